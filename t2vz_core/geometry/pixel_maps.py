"""Where the points of one frame lie in another, at picture size.

Maps (H, W, 2) float32 hold x_px, y_px: x right, y down, the origin at the top-left corner, centres
at +0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Array = np.ndarray

RESIDUAL_PX = 0.25
INVERSE_ROUNDS = 8


@dataclass(frozen=True)
class Link:
    """Where the points of one frame lie in another: map (H, W, 2) and whether they are visible
    there (H, W).

    `ids` (H, W) tell of which object they are points, where that is known.
    """

    map: Array
    visible: Array
    ids: Array | None = None


def link(frame: Link, other: Link, way: float) -> Link:
    """From a frame to `other`, both known by where their points lie in their common anchor.

    The map of `other` is turned around by fixed-point rounds q ← q + (a − T(q)), and a pixel counts
    only where they land on the same anchor point, seen or hidden there alike, and on the same
    object where objects are known: what is hidden in the anchor may be one thing behind another.

    Args:
        way: how far along its movement since the anchor the content is in `other`, as a multiple of
            how far it is in `frame`; a first guess only.
    """
    height, width = frame.visible.shape
    here, goal = grid(height, width), frame.map
    place = goal + (here - goal) * np.float32(way)
    for _ in range(INVERSE_ROUNDS):
        place = place + goal - warp(other.map, place)
    miss = np.abs(warp(other.map, place) - goal).max(-1)
    alike = _nearest(other.visible, place) == frame.visible
    if frame.ids is not None and other.ids is not None:
        alike &= _nearest(other.ids, place) == frame.ids
    return Link(place, (miss < RESIDUAL_PX) & alike & _inside(place, height, width))


def grid(height: int, width: int) -> Array:
    """The map (height, width, 2) under which nothing moves."""
    x, y = np.meshgrid(
        np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5
    )
    return np.stack([x, y], -1)


def warp(picture: Array, map_px: Array, method: int = cv2.INTER_LINEAR) -> Array:
    """What `picture` (H, W, n) holds at `map_px` (H, W, 2), bilinear or as cv2 names it, the border
    repeated."""
    x, y = (np.ascontiguousarray(map_px[..., i] - 0.5, np.float32) for i in (0, 1))
    return cv2.remap(picture, x, y, method, borderMode=cv2.BORDER_REPLICATE)


def _nearest(values: Array, place: Array) -> Array:
    height, width = values.shape
    x, y = (
        np.floor(place[..., i]).clip(0, limit - 1).astype(int)
        for i, limit in ((0, width), (1, height))
    )
    return values[y, x]


def _inside(place: Array, height: int, width: int) -> Array:
    x, y = place[..., 0], place[..., 1]
    return (x >= 0) & (y >= 0) & (x <= width) & (y <= height)
