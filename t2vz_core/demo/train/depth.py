"""Depth for a ControlNet to follow: inverse, near = white, as the add-on paints it."""

from pathlib import Path

import torch
from torch import Tensor

from . import dataset
from .lead import Control

TRIED = 8


def control(out: Path, size: int, share: float) -> Control:
    """Depth, which every picture has."""
    near = dataset.read(out / f"scenes-{size}", "nearness")

    def show(rows: Tensor, mirrored: bool) -> Tensor:
        pictures = as_captured(near[rows].float() / 255)
        return pictures.flip(-1) if mirrored else pictures

    told = dataset.describe(dataset.HELD_OUT, TRIED)
    seen = dataset.photographs(told, 1, size)[1] / 255
    return Control("depth", share, torch.arange(len(near)), show, (told, seen.repeat(1, 3, 1, 1)))


def as_captured(near: Tensor) -> Tensor:
    """A shot's range is wider than one frame's and may end before the horizon: shift and scale,
    then (b, 3, h, w)."""
    far, nearest = 0.15 * torch.rand(len(near), 1, 1, 1), 1 + 0.3 * torch.rand(len(near), 1, 1, 1)
    return ((near - far) / (nearest - far)).clamp(0, 1).repeat(1, 3, 1, 1)
