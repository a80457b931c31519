"""First hits: which triangle is seen through each of many points of a picture, exactly, in numpy
alone.

Triangles are drawn without clipping, in homogeneous pixel coordinates (Olano and Greer, Triangle
Scan Conversion using 2D Homogeneous Coordinates, 1997): a point p = (x, y, 1) is inside where
p·(P1×P2), p·(P2×P0), p·(P0×P1) agree in sign, and these three are in the ratio of the triangle's
barycentric weights in the world, perspective included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .projection import View, pixel_centres

PAIRS = 1 << 17  # triangle-point pairs looked at in one go
TILES = (64, 8, 1)  # sides, px, of the tiles a large triangle is narrowed down to
NONE = -1
ROUNDING_PX = 0.01  # by which a place may be off in single precision


@dataclass(frozen=True)
class Samples:
    """Points of a picture (n, 2) px, found by the pixel they lie in.

    order: (n,) the points sorted by pixel; start: (height·width + 1,) where each pixel's points
    begin in it, or None if every pixel has the one of its own number; reach: the points of pixel c
    lie between c + reach[0] and c + reach[1], in x and in y; area: (height + 1, width + 1) how many
    there are above and to the left of each corner
    """

    points: np.ndarray
    order: np.ndarray
    start: np.ndarray | None
    reach: tuple[float, float]
    area: np.ndarray

    def are_in(self, boxes: np.ndarray) -> np.ndarray:
        """(m,) bool: whether any lies in the pixel box x0 y0 x1 y1 (m, 4), both ends within."""
        (x0, y0), (x1, y1) = boxes[:, :2].T, boxes[:, 2:].T + 1
        return self.area[y1, x1] - self.area[y0, x1] - self.area[y1, x0] + self.area[y0, x0] > 0


@dataclass
class Hits:
    """What is seen at each sample: number of the triangle or NONE, planar depth or inf."""

    triangle: np.ndarray
    depth: np.ndarray


def centre_samples(width_px: int, height_px: int) -> Samples:
    """One sample in the middle of every pixel, row by row."""
    every = np.arange(width_px * height_px)
    area = np.outer(np.arange(height_px + 1), np.arange(width_px + 1))
    return Samples(pixel_centres(width_px, height_px), every, None, (0.5, 0.5), area)


def samples_at(points: np.ndarray, width_px: int, height_px: int) -> Samples:
    """Samples at any points (n, 2) px; those outside the picture hit nothing."""
    x, y = np.floor(points).astype(np.int64).T
    inside = (x >= 0) & (y >= 0) & (x < width_px) & (y < height_px)
    pixel = np.where(inside, y * width_px + x, width_px * height_px)
    order = np.argsort(pixel, kind="stable")
    start = np.searchsorted(pixel[order], np.arange(width_px * height_px + 1))
    area = np.zeros((height_px + 1, width_px + 1), np.int64)
    area[1:, 1:] = np.diff(start).reshape(height_px, width_px).cumsum(0).cumsum(1)
    return Samples(points, order, start, (0.0, 1.0), area)


def no_hits(samples: Samples) -> Hits:
    count = len(samples.points)
    return Hits(np.full(count, NONE, np.int64), np.full(count, np.inf))


def draw(
    hits: Hits,
    samples: Samples,
    view: View,
    corners: np.ndarray,
    depth: np.ndarray,
    numbers: np.ndarray | None = None,
) -> None:
    """Adds triangles to the picture: where one is nearer than what `hits` holds, it takes the
    sample.

    Args:
        corners: (n, 3, 3) float64, each corner as (x_px·w, y_px·w, w), see `View.to_pixel`.
        depth: (n, 3) float64, planar depth of the corners.
        numbers: (n,) the triangles' own; None: from 0 up.
    """
    kept, boxes = _boxes(samples, view, corners, depth)
    planes = _planes(corners[kept], depth[kept])
    small = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) < 2 * TILES[1]
    brush = _Brush(hits, samples, view, planes, kept if numbers is None else numbers[kept])
    brush.fill(np.flatnonzero(small), boxes[small], boxes[small], len(TILES) - 1)
    large = boxes[~small]
    brush.fill(np.flatnonzero(~small), large, large // TILES[0], 0)


def may_hit(
    samples: Samples, view: View, points: np.ndarray, depth: np.ndarray, triangles: np.ndarray
) -> np.ndarray:
    """(t,) bool: which triangles may cover a sample; told quickly, so that of a dense mesh few are
    looked at closely.

    Args:
        points: (v, 3) float64 homogeneous pixels; depth: (v,) float64 planar; triangles: (t, 3).
    """
    is_ahead = (depth >= view.near) & (depth <= view.far)
    flat = points[:, :2] / np.where(is_ahead, points[:, 2], 1.0)[:, None]
    flat[~is_ahead] = np.nan  # and so is all that is reckoned with it
    x, y = np.ascontiguousarray(flat.T, np.float32)
    (left, right), (top, bottom) = (_ends(place, triangles) for place in (x, y))
    low, high = samples.reach[0] - ROUNDING_PX, samples.reach[1] + ROUNDING_PX
    is_empty = (np.ceil(left - high) > np.floor(right - low)) | (
        np.ceil(top - high) > np.floor(bottom - low)
    )
    is_beside = (right < 0) | (left > view.width_px) | (bottom < 0) | (top > view.height_px)
    return ~(is_empty | is_beside)


def _ends(place: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest of each triangle's three values; NaN where one is."""
    one, two, three = (place[triangles[:, i]] for i in range(3))
    return np.minimum(np.minimum(one, two), three), np.maximum(np.maximum(one, two), three)


def weights(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Barycentric weights (n, 3) in the world of what is seen at points (n, 2) on triangles (n, 3,
    3)."""
    edges = _edges(corners)
    raw = edges[..., 0] * points[:, :1] + edges[..., 1] * points[:, 1:] + edges[..., 2]
    return raw / raw.sum(axis=1, keepdims=True)


def _edges(corners: np.ndarray) -> np.ndarray:
    return np.stack([np.cross(corners[:, i - 2], corners[:, i - 1]) for i in range(3)], axis=1)


def _planes(corners: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(5, 3, n): linear functions of (x, y, 1), three edges, depth·s and s; all negative for
    triangles seen edge-on."""
    edges = _edges(corners)
    volume = (corners[:, 0] * edges[:, 0]).sum(1)
    edges *= np.sign(volume)[:, None, None]
    edges[volume == 0] = [0, 0, -1]
    height = depth[:, :1] * edges[:, 0] + depth[:, 1:2] * edges[:, 1] + depth[:, 2:] * edges[:, 2]
    planes = np.concatenate([edges, height[:, None], edges.sum(1)[:, None]], axis=1)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _boxes(
    samples: Samples, view: View, corners: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The triangles in front of the camera that have samples around, and their pixel boxes (m, 4)
    x0 y0 x1 y1."""
    kept = np.flatnonzero((_most(depth) >= view.near) & (-_most(-depth) <= view.far))
    low, high = _bounds(corners[kept], depth[kept], view.near)
    size = np.array([view.width_px, view.height_px])
    first = np.clip(np.ceil(low - samples.reach[1]), 0, size).astype(np.int64)
    last = np.clip(np.floor(high - samples.reach[0]), -1, size - 1).astype(np.int64)
    boxes = np.concatenate([first, last], axis=1)
    filled = (boxes[:, 0] <= boxes[:, 2]) & (boxes[:, 1] <= boxes[:, 3])
    filled[filled] = samples.are_in(boxes[filled])
    return kept[filled], boxes[filled]


def _bounds(corners: np.ndarray, depth: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest x y (n, 2) of the part of each triangle beyond the near plane."""
    crossing = _most(-depth) > -near
    low = np.empty((len(corners), 2))
    high = np.empty((len(corners), 2))
    whole = corners[~crossing]
    flat = whole[..., :2] / whole[..., 2:]
    low[~crossing], high[~crossing] = -_most(-flat), _most(flat)
    if crossing.any():
        cut = _cut(corners[crossing], depth[crossing], near)
        low[crossing], high[crossing] = np.nanmin(cut, axis=1), np.nanmax(cut, axis=1)
    return low, high


def _cut(corners: np.ndarray, depth: np.ndarray, near: float) -> np.ndarray:
    """Corners (n, 6, 2) px of triangles cut off at the near plane: their own in front, and the
    edges' crossings."""
    after = [1, 2, 0]
    rise = depth[:, after] - depth
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (near - depth) / rise
    part = np.where((part >= 0) & (part <= 1), part, np.nan)[..., None]
    own = np.where((depth >= near)[..., None], corners, np.nan)
    points = np.concatenate([own, corners + part * (corners[:, after] - corners)], axis=1)
    return points[..., :2] / points[..., 2:]


def _most(values: np.ndarray) -> np.ndarray:
    """The largest of each triangle's three (n, 3, …); many times quicker than max(axis=1)."""
    return np.maximum(np.maximum(values[:, 0], values[:, 1]), values[:, 2])


class _Brush:
    """Fills samples with triangles, narrowing large ones down tile by tile."""

    def __init__(
        self, hits: Hits, samples: Samples, view: View, planes: np.ndarray, numbers: np.ndarray
    ):
        self.hits, self.samples, self.view, self.planes, self.numbers = (
            hits,
            samples,
            view,
            planes,
            numbers,
        )

    def fill(self, triangle: np.ndarray, boxes: np.ndarray, tiles: np.ndarray, level: int) -> None:
        """Looks at the tiles (m, 4) x0 y0 x1 y1 of each triangle, at this level's size, within its
        pixel box."""
        for part in _portions(tiles):
            which, x, y = _spread(tiles[part])
            self._look(triangle[part][which], boxes[part][which], x, y, level)

    def _look(
        self, triangle: np.ndarray, boxes: np.ndarray, x: np.ndarray, y: np.ndarray, level: int
    ) -> None:
        side = TILES[level]
        if side == 1:
            self._paint(triangle, y * self.view.width_px + x)
            return
        low = np.maximum(np.stack([x, y], 1) * side, boxes[:, :2])
        high = np.minimum(np.stack([x, y], 1) * side + side - 1, boxes[:, 2:])
        kept = self._touches(triangle, low + self.samples.reach[0], high + self.samples.reach[1])
        boxes = np.concatenate([low, high], axis=1)
        kept &= self.samples.are_in(boxes)
        boxes = boxes[kept]
        self.fill(triangle[kept], boxes, boxes // TILES[level + 1], level + 1)

    def _touches(self, triangle: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Whether any of a tile can be inside: each edge is asked at the tile's corner that suits
        it best."""
        touches = np.ones(len(triangle), bool)
        for a, b, c in self.planes[:3]:
            a, b = a[triangle], b[triangle]
            best = a * np.where(a > 0, high[:, 0], low[:, 0]) + b * np.where(
                b > 0, high[:, 1], low[:, 1]
            )
            touches &= best + c[triangle] >= 0
        return touches

    def _paint(self, triangle: np.ndarray, pixel: np.ndarray) -> None:
        sample, triangle = self._samples_in(triangle, pixel)
        x, y = self.samples.points[sample].T
        for a, b, c in self.planes[:3]:
            inside = a[triangle] * x + b[triangle] * y + c[triangle] >= 0
            sample, triangle, x, y = sample[inside], triangle[inside], x[inside], y[inside]
        height, scale = (
            a[triangle] * x + b[triangle] * y + c[triangle] for a, b, c in self.planes[3:]
        )
        depth = height / scale
        seen = (depth >= self.view.near) & (depth <= self.view.far)
        self._keep_nearest(sample[seen], depth[seen], triangle[seen])

    def _samples_in(self, triangle: np.ndarray, pixel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The samples in each pair's pixel, and the pair's triangle beside each."""
        if self.samples.start is None:
            return pixel, triangle
        start = self.samples.start[pixel]
        count = self.samples.start[pixel + 1] - start
        which, rank = _counted(count)
        return self.samples.order[start[which] + rank], triangle[which]

    def _keep_nearest(self, sample: np.ndarray, depth: np.ndarray, triangle: np.ndarray) -> None:
        hits = self.hits
        before = hits.depth[sample]
        np.minimum.at(hits.depth, sample, depth)
        won = (depth == hits.depth[sample]) & (depth < before)
        hits.triangle[sample[won]] = self.numbers[triangle[won]]


def _portions(tiles: np.ndarray) -> Iterator[slice]:
    """Slices of the tile lists that hold about PAIRS tiles each."""
    total = np.cumsum((tiles[:, 2] - tiles[:, 0] + 1) * (tiles[:, 3] - tiles[:, 1] + 1))
    first = 0
    while first < len(tiles):
        done = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, done + PAIRS, side="right")))
        yield slice(first, last)
        first = last


def _spread(tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every tile of each box (m, 4): the box's number, x, y."""
    columns = tiles[:, 2] - tiles[:, 0] + 1
    which, rank = _counted(columns * (tiles[:, 3] - tiles[:, 1] + 1))
    return which, tiles[which, 0] + rank % columns[which], tiles[which, 1] + rank // columns[which]


def _counted(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(2, 0, 1) -> which (0, 0, 2), rank (0, 1, 0)."""
    which = np.repeat(np.arange(len(count)), count)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
