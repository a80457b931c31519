"""Whether pictures asked for in words show the colour, ground, sky and shape that were named."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from torch.nn.functional import max_pool2d

from ..captions import SHAPES, Description, plain_caption
from ..train.dataset import HELD_OUT, photographs
from ..train.loop import save_grid
from . import judge
from .eye import Eye, shapes_of
from .model import FULL, Model, pairs_of_things, single_things

LEAST = 0.01  # of a picture that a thing covers when it is there


def measure_words(
    model: Model, eye: Eye, count: int, guidance: float, grid: Path
) -> dict[str, float]:
    """Shares of `count` pictures, of any shape, that show what their prompt names; how far they
    part from grey."""
    shown = single_things(count, HELD_OUT, tuple(SHAPES))
    pictures = model.paint([plain_caption(it) for it in shown], guidance)
    save_grid(grid, pictures[:64], columns=16)
    return agreement(pictures, shown, eye) | {
        "saturation": float((pictures.amax(1) - pictures.amin(1)).mean())
    }


def measure_renderings(eye: Eye, count: int, size: int) -> dict[str, float]:
    """The same verdict on the renderer's own pictures: what a perfect model would get."""
    shown = single_things(count, HELD_OUT, tuple(SHAPES))
    return agreement(photographs(shown, HELD_OUT, size)[0] / 255, shown, eye)


def measure_pairs(model: Model, count: int, grid: Path) -> dict[str, float]:
    """Shares of pictures of two things in which each is there in its own colour; and of the
    renderer's own pictures, which is the best there is to get."""
    shown = pairs_of_things(count, HELD_OUT + 3)
    pictures = model.paint([plain_caption(it) for it in shown])
    save_grid(grid, pictures[:32])
    truth = photographs(shown, HELD_OUT + 3, model.size)[0] / 255
    return {"two_colours": both_there(pictures, shown), "of_renderings": both_there(truth, shown)}


def both_there(pictures: Tensor, shown: Sequence[Description]) -> float:
    """The share of pictures (n, 3, h, w) in which either thing is there in its own colour."""
    pairs = list(zip(pictures, shown, strict=True))
    right = [all(_is_there(picture, told, place) for place in (0, 1)) for picture, told in pairs]
    return sum(right) / len(right)


def _is_there(picture: Tensor, told: Description, place: int) -> bool:
    """Whether what is nearest to the thing's colour covers LEAST, but for what is thinner than 7
    pixels, and has that colour and no other of the ten."""
    found = judge.object_in(picture, told, place).float()[None]
    solid = -max_pool2d(-found, 7, 1, 3)[0] > 0
    if float(solid.float().mean()) < LEAST:
        return False
    return judge.colour_of(picture[:, solid], told.sky) == told.things[place].colour


def agreement(
    pictures: Tensor, shown: Sequence[Description], eye: Eye, masks: Tensor | None = None
) -> dict[str, float]:
    """Shares of pictures (n, 3, h, w) whose colour, ground, sky and shape are the described ones.

    The object's colour is looked for in its mask (n, h, w); without masks in the middle, and only
    of shapes that are sure to cover it.
    """
    if masks is None:
        objects = [
            (judge.middle_of(it), told)
            for it, told in zip(pictures, shown, strict=True)
            if _is_full(told)
        ]
    else:
        objects = [
            (it[:, mask], told) for it, mask, told in zip(pictures, masks, shown, strict=True)
        ]
    pairs = list(zip(pictures, shown, strict=True))
    right = {
        "colour": [
            judge.colour_of(region, told.sky) == told.things[0].colour for region, told in objects
        ],
        "ground": [judge.ground_of(picture, told.sky) == told.ground for picture, told in pairs],
        "sky": [judge.sky_of(picture) == told.sky for picture, told in pairs],
        "shape": [
            seen == told.things[0].shape
            for seen, told in zip(shapes_of(eye, pictures), shown, strict=True)
        ],
    }
    return {name: sum(verdicts) / len(verdicts) for name, verdicts in right.items()}


def _is_full(told: Description) -> bool:
    return told.things[0].shape in FULL
