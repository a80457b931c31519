"""How steady, true to the motion and sharp a sequence is, measured against exact motion, without
learned networks.

Pictures are (H, W, 3) float32 in 0..1; maps (H, W, 2) float32 hold x_px, y_px (x right, y down,
centres at +0.5) of the point seen at each pixel in another frame; visibility is (H, W) bool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ..geometry.pixel_maps import Array, Link, grid, warp

Measures = dict[str, float | None]
"""The measures of a frame by name; None where one does not apply."""

TEXTURE = 1e-3
DEPTH_JUMP = 0.1
EDGE_TOLERANCE_PX = 2
FEWEST_PX = 24  # of an object, below which its mean says nothing


def warp_error(picture: Array, other: Array, to: Link, where: Array | None = None) -> float | None:
    """Mean squared difference (0..1 values, mean of the channels) to the other picture moved here,
    where visible.

    `where` (H, W) bool restricts it; None where nothing is left to compare.
    """
    used = to.visible if where is None else to.visible & where
    return _mean(np.square(picture - warp(other, to.map)).mean(-1), used)


def flicker(
    before: Array,
    picture: Array,
    after: Array,
    back: Link,
    forth: Link,
    where: Array | None = None,
) -> float | None:
    """Mean absolute second difference along the motion: what jumps and is no steady change.

    `where` (H, W) bool restricts it.
    """
    change = np.abs(warp(before, back.map) - 2 * picture + warp(after, forth.map)).mean(-1)
    used = back.visible & forth.visible
    return _mean(change, used if where is None else used & where)


def new_colour(picture: Array, new: Array, ids: Array) -> float | None:
    """How far the colour of what is newly shown lies from that of the same object elsewhere: the
    distance of the means (0..1 RGB), weighed by the pixels of each object.

    Args:
        new: (H, W) bool, what the anchor did not show.
        ids: (H, W), one number for each object, background 0.
    """
    apart = [
        (float(np.linalg.norm(picture[part].mean(0) - picture[rest].mean(0))), int(part.sum()))
        for part, rest in _new_and_rest(new, ids)
    ]
    return _weighed(apart)


def new_texture(picture: Array, new: Array, ids: Array) -> float | None:
    """How sharp what is newly shown is beside the same object elsewhere: the mean of the ratio of
    squared Laplacians; 1 is alike, near 0 a smear."""
    energy = np.square(_laplacian(picture))
    ratios = [
        (energy[part].mean() / energy[rest].mean(), part.sum())
        for part, rest in _new_and_rest(new, ids)
        if energy[rest].mean() > 0
    ]
    return _weighed(ratios)


def _new_and_rest(new: Array, ids: Array) -> Iterator[tuple[Array, Array]]:
    """Of each object that shows something new and something known, both, away from their borders
    and each other."""
    for number in np.unique(ids[new]):
        part = _inner(new & (ids == number))
        rest = _inner(~new & (ids == number))
        if number and part.sum() >= FEWEST_PX and rest.sum() >= FEWEST_PX:
            yield part, rest


def _inner(where: Array) -> Array:
    edge = np.ones((3, 3), np.uint8)
    return cv2.erode(where.astype(np.uint8), edge) > 0


def _weighed(values: Sequence[tuple[float, int]]) -> float | None:
    total = sum(int(weight) for _, weight in values)
    return sum(float(value) * int(weight) for value, weight in values) / total if total else None


def motion_error_px(picture: Array, before: Array, back: Link) -> float | None:
    """Mean distance, in pixels, between the optical flow (Farnebäck 2003) and the exact motion, on
    textured pixels.

    Texture that sticks to the screen while the scene moves shows here, and does not in the warp
    error of flat areas.
    """
    one, two = _grey(picture), _grey(before)
    nothing_known = np.zeros((*one.shape, 2), np.float32)
    flow = cv2.calcOpticalFlowFarneback(
        one, two, nothing_known, 0.5, 4, 13, 5, 5, 1.1, cv2.OPTFLOW_FARNEBACK_GAUSSIAN
    )
    exact = back.map - grid(*back.visible.shape)
    textured = cv2.cornerMinEigenVal(one.astype(np.float32) / 255, 7) > TEXTURE
    return _mean(np.linalg.norm(flow - exact, axis=-1), back.visible & textured)


def motion_px(back: Link) -> float | None:
    """Mean length of the exact motion, in pixels."""
    return _mean(np.linalg.norm(back.map - grid(*back.visible.shape), axis=-1), back.visible)


def structure(picture: Array, depth: Array) -> float:
    """F-score (0..1) of the picture's edges against the scene's depth edges, two pixels apart still
    being one."""
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
    return float(_laplacian(picture).var())


def sharpness_kept(picture: Array, anchor: Array, to: Link) -> float | None:
    """The squared Laplacian beside that of the anchor on the same points: below 1 where moving has
    blurred them."""
    now, before = (np.square(_laplacian(one)) for one in (picture, anchor))
    frame = np.pad(np.ones((picture.shape[0] - 2, picture.shape[1] - 2), np.float32), 1)
    seen = (to.visible & (warp(frame, to.map) == 1)).astype(np.uint8)
    needed = np.ones((5, 5), np.uint8)  # a Laplacian needs its neighbours
    inside = cv2.erode(seen, needed, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    one, two = _mean(now, inside), _mean(warp(before, to.map), inside)
    return one / two if one is not None and two else None


def _laplacian(picture: Array) -> Array:
    return cv2.Laplacian(_grey(picture).astype(np.float32) / 255, cv2.CV_32F)


def _grey(picture: Array) -> Array:
    return cv2.cvtColor((picture * 255).round().astype(np.uint8), cv2.COLOR_RGB2GRAY)


def _mean(values: Array, where: Array) -> float | None:
    return float(values[where].mean()) if where.any() else None


def _share_near(these: Array, those: Array) -> float:
    """The part of `these` that has one of `those` near."""
    side = 2 * EDGE_TOLERANCE_PX + 1
    near = cv2.dilate(those.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return float((these & near).sum() / max(these.sum(), 1))
