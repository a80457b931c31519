"""How steady, true to the motion and sharp a sequence is, measured against exact motion, without learned networks.

Pictures are (H, W, 3) float32 in 0..1; maps (H, W, 2) float32 hold x_px, y_px (x right, y down, centres at +0.5) of
the point seen at each pixel in another frame; visibility is (H, W) bool.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Array = np.ndarray

RESIDUAL_PX = 0.25
INVERSE_ROUNDS = 8
TEXTURE = 1e-3
DEPTH_JUMP = 0.1
EDGE_TOLERANCE_PX = 2


@dataclass(frozen=True)
class Link:
    """Where the points of one frame lie in another: map (H, W, 2) and whether they are visible there (H, W)."""

    map: Array
    visible: Array


def link(frame: Link, other: Link, way: float) -> Link:
    """From a frame to `other`, both known by where their points lie in their common anchor.

    The map of `other` is turned around by fixed-point rounds q ← q + (a − T(q)), and a pixel counts only where they
    land on the same anchor point, seen or hidden there alike.

    Args:
        way: how far along its movement since the anchor the content is in `other`, as a multiple of how far it is
            in `frame`; a first guess only.
    """
    height, width = frame.visible.shape
    here, goal = grid(height, width), frame.map
    place = goal + (here - goal) * np.float32(way)
    for _ in range(INVERSE_ROUNDS):
        place = place + goal - warp(other.map, place)
    miss = np.abs(warp(other.map, place) - goal).max(-1)
    alike = _nearest(other.visible, place) == frame.visible
    return Link(place, (miss < RESIDUAL_PX) & alike & _inside(place, height, width))


def grid(height: int, width: int) -> Array:
    """The map (height, width, 2) under which nothing moves."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5)
    return np.stack([x, y], -1)


def warp(picture: Array, map_px: Array) -> Array:
    """What `picture` (H, W, n) holds at `map_px` (H, W, 2), bilinear, the border repeated."""
    x, y = (np.ascontiguousarray(map_px[..., i] - 0.5, np.float32) for i in (0, 1))
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def warp_error(picture: Array, other: Array, to: Link, where: Array | None = None) -> float | None:
    """Mean squared difference (0..1 values, mean of the channels) to the other picture moved here, where visible.

    `where` (H, W) bool restricts it; None where nothing is left to compare.
    """
    used = to.visible if where is None else to.visible & where
    return _mean(np.square(picture - warp(other, to.map)).mean(-1), used)


def flicker(before: Array, picture: Array, after: Array, back: Link, forth: Link) -> float | None:
    """Mean absolute second difference along the motion: what jumps and is no steady change."""
    change = np.abs(warp(before, back.map) - 2 * picture + warp(after, forth.map)).mean(-1)
    return _mean(change, back.visible & forth.visible)


def motion_error_px(picture: Array, before: Array, back: Link) -> float | None:
    """Mean distance, in pixels, between the optical flow (Farnebäck 2003) and the exact motion, on textured pixels.

    Texture that sticks to the screen while the scene moves shows here, and does not in the warp error of flat areas.
    """
    one, two = _grey(picture), _grey(before)
    flow = cv2.calcOpticalFlowFarneback(one, two, None, 0.5, 4, 13, 5, 5, 1.1, cv2.OPTFLOW_FARNEBACK_GAUSSIAN)
    exact = back.map - grid(*back.visible.shape)
    textured = cv2.cornerMinEigenVal(one.astype(np.float32) / 255, 7) > TEXTURE
    return _mean(np.linalg.norm(flow - exact, axis=-1), back.visible & textured)


def motion_px(back: Link) -> float | None:
    """Mean length of the exact motion, in pixels."""
    return _mean(np.linalg.norm(back.map - grid(*back.visible.shape), axis=-1), back.visible)


def structure(picture: Array, depth: Array) -> float:
    """F-score (0..1) of the picture's edges against the scene's depth edges, two pixels apart still being one."""
    drawn, wanted = cv2.Canny(_grey(picture), 60, 150) > 0, depth_edges(depth)
    precision, recall = _share_near(drawn, wanted), _share_near(wanted, drawn)
    return 2 * precision * recall / max(precision + recall, 1e-9)


def depth_edges(depth: Array) -> Array:
    """Where neighbouring depths (H, W) differ by more than a tenth -> (H, W) bool."""
    nearness = 1 / np.maximum(depth, 1e-6)
    edges = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        one, two = np.moveaxis(nearness, axis, 0)[:-1], np.moveaxis(nearness, axis, 0)[1:]
        np.moveaxis(edges, axis, 0)[:-1] |= np.abs(one - two) > DEPTH_JUMP * np.maximum(one, two)
    return edges


def sharpness(picture: Array) -> float:
    """Variance of the Laplacian of the grey picture in 0..1."""
    return float(cv2.Laplacian(_grey(picture).astype(np.float32) / 255, cv2.CV_32F).var())


def _grey(picture: Array) -> Array:
    return cv2.cvtColor((picture * 255).round().astype(np.uint8), cv2.COLOR_RGB2GRAY)


def _mean(values: Array, where: Array) -> float | None:
    return float(values[where].mean()) if where.any() else None


def _nearest(flags: Array, place: Array) -> Array:
    height, width = flags.shape
    x, y = (np.floor(place[..., i]).clip(0, limit - 1).astype(int) for i, limit in ((0, width), (1, height)))
    return flags[y, x]


def _inside(place: Array, height: int, width: int) -> Array:
    x, y = place[..., 0], place[..., 1]
    return (x >= 0) & (y >= 0) & (x <= width) & (y <= height)


def _share_near(these: Array, those: Array) -> float:
    """The part of `these` that has one of `those` near."""
    side = 2 * EDGE_TOLERANCE_PX + 1
    near = cv2.dilate(those.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return float((these & near).sum() / max(these.sum(), 1))
