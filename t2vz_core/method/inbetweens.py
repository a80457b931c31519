"""In-betweens by exact flow: every n-th frame is painted, the others are carried along the scene's
own maps from the painted ones before and after, the nearer counting more.

A point takes its colour from the sides that show it; what neither shows is filled from around.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..geometry.pixel_maps import Array, Link, link, warp
from ..wire.job import Frame, JobSpec
from .fusion import filled


@dataclass(frozen=True)
class Side:
    """A painted frame beside an in-between.

    Attributes:
        picture: (H, W, 3) uint8.
        link: where the in-between's points lie in it.
        weight: how much it counts, the nearer the more; both sides sum to 1.
    """

    picture: Array
    link: Link
    weight: float


def painted(spec: JobSpec) -> list[int]:
    """The numbers of the frames that are painted: of each anchor's frames every n-th, and the
    last."""
    every = spec.coherence.paint_every
    numbers = []
    for frames in _by_anchor(spec.frames):
        chosen = frames[::every]
        last = [] if chosen[-1] is frames[-1] else [frames[-1]]
        numbers += [frame.number for frame in (*chosen, *last)]
    return numbers


def neighbours(numbers: Sequence[int], number: int) -> tuple[int, int]:
    """The painted frames before and after an in-between."""
    after = next(i for i, one in enumerate(numbers) if one > number)
    return numbers[after - 1], numbers[after]


def carried(sides: Sequence[Side]) -> tuple[Array, Array]:
    """What painted frames show of an in-between, blended where both do, and which of its pixels
    (H, W) bool any of them shows; the rest is filled from around.

    Returns:
        picture (H, W, 3) uint8, known (H, W) bool.
    """
    total, weights = 0.0, 0.0
    for side in sides:
        weight = (side.weight * side.link.visible).astype(np.float32)[..., None]
        moved = warp(side.picture, side.link.map, cv2.INTER_CUBIC).astype(np.float32)
        total, weights = total + weight * moved, weights + weight
    known = weights[..., 0] > 0
    picture = np.round(total / np.maximum(weights, 1e-6)).astype(np.uint8)
    return filled(picture, known), known


def links(here: Link, sides: Sequence[tuple[Link, float]]) -> list[Link]:
    """Where a frame's points lie in its sides, all known by their place in the common anchor.

    Args:
        sides: each with how far it is from the anchor, as a multiple of how far the frame is.
    """
    return [link(here, other, way) for other, way in sides]


def _by_anchor(frames: Sequence[Frame]) -> list[list[Frame]]:
    groups: list[list[Frame]] = []
    for frame in frames:
        if frame.is_anchor or not groups:
            groups.append([])
        groups[-1].append(frame)
    return groups
