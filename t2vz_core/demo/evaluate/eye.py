"""A small classifier that tells which shape a picture of the demo world shows."""

from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ..captions import SHAPES

SIDE = 64
FILE = "eye.safetensors"


class Eye(nn.Sequential):
    """Pictures (n, 3, SIDE, SIDE) in 0..1 to a score (n, 6) for each of SHAPES, in their order."""

    def __init__(self) -> None:
        blocks, widths = [], (3, 32, 64, 96, 128)
        for narrow, wide in pairwise(widths):
            blocks += [
                nn.Conv2d(narrow, wide, 3, stride=2, padding=1),
                nn.GroupNorm(8, wide),
                nn.SiLU(),
            ]
            blocks += [nn.Conv2d(wide, wide, 3, padding=1), nn.SiLU()]
        super().__init__(
            *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], len(SHAPES))
        )


def open_eye(folder: Path) -> Eye:
    """The trained classifier of an exported folder."""
    eye = Eye()
    eye.load_state_dict(load_file(folder / FILE))
    return eye.eval()


@torch.no_grad()
def shapes_of(eye: Eye, pictures: Tensor) -> list[str]:
    """The key of SHAPES that each picture (n, 3, h, w) in 0..1 shows."""
    scores = eye(adaptive_avg_pool2d(pictures, SIDE))
    return [list(SHAPES)[place] for place in scores.argmax(1)]
