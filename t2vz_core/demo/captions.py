"""What a picture of the demo world shows, and the many ways to say it."""

from dataclasses import dataclass
from random import Random

COLOURS = {
    "red": (0.86, 0.10, 0.10),
    "orange": (0.98, 0.48, 0.04),
    "yellow": (0.98, 0.86, 0.08),
    "green": (0.08, 0.62, 0.14),
    "cyan": (0.05, 0.80, 0.85),
    "blue": (0.08, 0.20, 0.88),
    "purple": (0.47, 0.12, 0.70),
    "pink": (1.00, 0.45, 0.70),
    "white": (0.95, 0.95, 0.95),
    "black": (0.06, 0.06, 0.07),
}
FINISHES = {
    "plain": ("",),
    "striped": ("striped", "stripy"),
    "checkered": ("checkered", "chequered"),
    "metal": ("metal", "metallic", "shiny"),
}
SHAPES = {
    "ball": ("ball", "sphere"),
    "cube": ("cube", "box", "block"),
    "cylinder": ("cylinder",),
    "cone": ("cone",),
    "torus": ("torus", "ring", "donut"),
    "mannequin": ("mannequin", "figure", "person"),
}
GROUNDS = {
    "grass": ("on grass", "on the grass", "on a green meadow", "in a field"),
    "sand": ("on sand", "on the sand", "on a beach", "in the desert"),
    "snow": ("on snow", "in the snow", "in winter"),
    "asphalt": ("on asphalt", "on a road", "in the street"),
    "water": ("on water", "on the sea", "on a lake"),
    "wood": ("on wood", "on a wooden floor", "on wooden planks"),
}
SKIES = {
    "blue": ("under a blue sky", "on a sunny day", "blue sky"),
    "cloudy": ("under a cloudy sky", "on a cloudy day", "grey sky"),
    "sunset": ("at sunset", "under a sunset sky", "in the evening"),
    "night": ("at night", "under a night sky", "in the dark"),
}
VIEWS = {
    "level": ("",),
    "close": ("a close-up of", "close-up,"),
    "above": ("seen from above,", "a high view of"),
    "low": ("seen from below,", "a low view of"),
}
OPENINGS = ("", "", "", "a picture of", "a photo of", "a render of")
POSES = {
    "standing": ("standing", ""),
    "walking": ("walking",),
    "running": ("running",),
    "waving": ("waving",),
    "dancing": ("dancing",),
    "cheering": ("cheering", "with raised arms"),
}


@dataclass(frozen=True)
class Thing:
    """One object: keys of COLOURS, FINISHES, SHAPES and, for a mannequin, POSES."""

    colour: str
    finish: str
    shape: str
    pose: str = "standing"


@dataclass(frozen=True)
class Description:
    """One picture: keys of GROUNDS, SKIES and VIEWS beside its one or two things."""

    things: tuple[Thing, ...]
    ground: str
    sky: str
    view: str


def imagine(rng: Random) -> Description:
    """A random picture: half of them hold one solid, a quarter two, a quarter a mannequin, which is
    plain or metal."""

    def thing(shapes: list[str]) -> Thing:
        finish = rng.choices(
            list(FINISHES), (5, 0, 0, 1) if shapes == ["mannequin"] else (5, 2, 2, 2)
        )[0]
        return Thing(rng.choice(list(COLOURS)), finish, rng.choice(shapes), rng.choice(list(POSES)))

    solids = [shape for shape in SHAPES if shape != "mannequin"]
    if rng.random() < 0.25:
        things = (thing(["mannequin"]),)
    else:
        things = tuple(thing(solids) for _ in range(1 if rng.random() < 0.67 else 2))
    view = rng.choices(list(VIEWS), (6, 2, 1.5, 1.5))[0]
    return Description(things, rng.choice(list(GROUNDS)), rng.choice(list(SKIES)), view)


def plain_caption(description: Description) -> str:
    """The full caption in its most usual words."""
    things = " and ".join(_thing_words(thing, None) for thing in description.things)
    return f"{things} {GROUNDS[description.ground][0]} {SKIES[description.sky][0]}"


def caption(description: Description, rng: Random) -> str:
    """One of the many captions of this picture: words vary, parts are dropped or change places."""
    things = " and ".join(_thing_words(thing, rng) for thing in description.things)
    if rng.random() < 0.1:
        things = things.removeprefix("a ")
    view = rng.choice(VIEWS[description.view]) if rng.random() < 0.8 else ""
    opening = view or rng.choice(OPENINGS)
    places = [rng.choice(GROUNDS[description.ground])] if rng.random() < 0.88 else []
    if rng.random() < 0.85:
        places.append(rng.choice(SKIES[description.sky]))
    if rng.random() < 0.2:
        places.reverse()
    if places and rng.random() < 0.12:
        return f"{places[-1]}, {' '.join([things, *places[:-1]])}"
    return rng.choice((" ", " ", ", ")).join([f"{opening} {things}".strip(), *places])


def _thing_words(thing: Thing, rng: Random | None) -> str:
    pick = rng.choice if rng else (lambda words: words[0])
    words = [pick(FINISHES[thing.finish]), thing.colour, pick(SHAPES[thing.shape])]
    if rng and rng.random() < 0.04:
        words[1] = ""
    if thing.shape == "mannequin":
        words.append(pick(POSES[thing.pose]))
    words = " ".join(word for word in words if word)
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"
