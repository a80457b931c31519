"""Tells from mean colours what a picture of the demo world shows, knowing the light of its sky; no
network."""

from typing import TypeVar

import torch
from torch import Tensor

from ..captions import COLOURS, GROUNDS, SKIES, Description, Thing
from ..paint import GROUND_COLOURS, SKY_COLOURS

Key = TypeVar("Key")
# of the picture's height: its lowest rows show the ground, beside what stands there, its highest
# sky
STRIP = 0.08
SUNS = (0.0, 0.25, 0.5, 0.9)  # how a thing may face the light, see _lit
PATCH = 0.2  # of the picture's side: its middle is the object


def _lit(colour: tuple[float, float, float], sky: str, sun: float) -> Tensor:
    """A colour (3,) by daylight, `sun` 0 in its own shade to 1 facing the light."""
    sunlight, ambient = torch.tensor(SKY_COLOURS[sky][2:])
    return (torch.tensor(colour) * (0.85 * ambient + sun * sunlight)).clamp(0, 1)


def _nearest(colour: Tensor, choices: dict[Key, Tensor]) -> Key:
    return min(choices, key=lambda name: float((colour - choices[name]).square().sum()))


def colour_of(region: Tensor, sky: str) -> str:
    """The name in COLOURS nearest to the mean of pixels (3, n)."""
    tones = {
        (name, sun): _lit(value, sky, sun)
        for name, value in COLOURS.items()
        for sun in (0.0, 0.3, 0.6, 0.9)
    }
    return _nearest(region.mean(1), tones)[0]


def ground_of(picture: Tensor, sky: str) -> str:
    """The ground nearest to the lower corners of a picture (3, h, w), lit by a high or a low
    sun."""
    height, width = picture.shape[1:]
    rows, side = picture[:, -int(STRIP * height) :], width // 5
    corners = torch.cat([rows[:, :, :side], rows[:, :, -side:]], 2).mean((1, 2))
    tones = {
        (name, sun): _lit(_middle(*GROUND_COLOURS[name]), sky, sun)
        for name in GROUNDS
        for sun in (0.3, 0.75)
    }
    return _nearest(corners, tones)[0]


def sky_of(picture: Tensor) -> str:
    """The sky nearest to the highest rows of a picture (3, h, w)."""
    rows = picture[:, : int(STRIP * picture.shape[1])].mean((1, 2))
    return _nearest(rows, {name: torch.tensor(_middle(*SKY_COLOURS[name][:2])) for name in SKIES})


def middle_of(picture: Tensor) -> Tensor:
    """Pixels (3, n) of the middle of a picture (3, h, w)."""
    side = picture.shape[1]
    near, far = int(side * (0.5 - PATCH / 2)), int(side * (0.5 + PATCH / 2))
    return picture[:, near:far, near:far].flatten(1)


def object_in(picture: Tensor, description: Description, place: int = 0) -> Tensor:
    """Mask (h, w) of the pixels nearer to a tone of the described object at this place than to one
    of its ground, its sky or the other object."""
    sky = description.sky
    own, *beside = (
        [_lit(COLOURS[thing.colour], sky, sun) for sun in SUNS]
        for thing in (description.things[place], *_without(description.things, place))
    )
    ground = [_lit(tone, sky, sun) for tone in GROUND_COLOURS[description.ground] for sun in SUNS]
    horizon, zenith = (torch.tensor(tone) for tone in SKY_COLOURS[sky][:2])
    air = [horizon + (zenith - horizon) * part / 4 for part in range(5)]
    others = [*ground, *air, *(tone for tones in beside for tone in tones)]
    pixels = picture.movedim(0, -1)
    return _gap(pixels, own) < _gap(pixels, others)


def _without(things: tuple[Thing, ...], place: int) -> tuple[Thing, ...]:
    return things[:place] + things[place + 1 :]


def _gap(pixels: Tensor, tones: list[Tensor]) -> Tensor:
    return (
        torch.cdist(pixels.flatten(0, 1), torch.stack(tones)).amin(1).unflatten(0, pixels.shape[:2])
    )


def _middle(
    a: tuple[float, float, float], b: tuple[float, float, float]
) -> tuple[float, float, float]:
    red, green, blue = ((x + y) / 2 for x, y in zip(a, b, strict=True))
    return red, green, blue
