"""The scene at one frame as triangles, and the surface that is seen through a picture of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from .projection import View, depths, is_inside, transformed
from .rasteriser import NONE, Hits, Samples, draw, may_hit, no_hits, weights

# triangles drawn in one go, so that neither a forest of instances nor a dense mesh needs much
# memory
BATCH = 1 << 17
FEW = 1 << 10  # so few triangles are looked at closely at once


@dataclass(frozen=True)
class Shape:
    """A triangle mesh in its own space, shared by the bodies that are its instances.

    points: (v, 3) float32; triangles: (t, 3) int32 indices of points; corners: (c,) int32 of the
    faces that were cut into triangles, the same as long as the topology is; normals: (t, 3, 3)
    float32 of each triangle's corners, or None;
    one_sided: (t,) bool, which are not seen from their back, or None if all are
    """

    points: np.ndarray
    triangles: np.ndarray
    corners: np.ndarray
    normals: np.ndarray | None = None
    one_sided: np.ndarray | None = None

    def has_topology_of(self, other: Shape) -> bool:
        """Whether each vertex here is the same vertex there; faces may be cut into other
        triangles."""
        if self is other:
            return True
        return len(self.points) == len(other.points) and np.array_equal(self.corners, other.corners)


@dataclass(frozen=True)
class Body:
    """A shape placed in the world.

    key: the same in every frame; name: what the artist calls it; number: its object's, 1 and up;
    is_subject: belongs to what the mask shows; is_holdout: hides what is behind it and is not seen
        itself
    """

    key: Hashable
    name: str
    number: int
    shape: Shape
    matrix: np.ndarray
    is_subject: bool = False
    is_holdout: bool = False


@dataclass(frozen=True)
class Snapshot:
    """All bodies at one frame, and the view of them."""

    view: View
    bodies: tuple[Body, ...]

    def first_triangles(self) -> np.ndarray:
        """(bodies + 1,) int64, the number of each body's first triangle in the whole."""
        return np.cumsum([0, *(len(body.shape.triangles) for body in self.bodies)])


@dataclass(frozen=True)
class Surface:
    """What is seen at each of n points of a picture.

    body: (n,) its index in the snapshot or NONE; triangle: (n,) within its shape; weight: (n, 3)
        barycentric;
    depth: (n,) planar, scene units, inf where there is nothing
    """

    body: np.ndarray
    triangle: np.ndarray
    weight: np.ndarray
    depth: np.ndarray

    def part(self, points: np.ndarray) -> Surface:
        """The same at some of the points, given by index."""
        return Surface(
            self.body[points], self.triangle[points], self.weight[points], self.depth[points]
        )

    def groups(self) -> Iterator[tuple[int, np.ndarray]]:
        """Each body that is seen, with the indices of its points."""
        order = np.argsort(self.body, kind="stable")
        order = order[np.searchsorted(self.body[order], 0) :]
        bodies, start = np.unique(self.body[order], return_index=True)
        yield from zip(bodies.tolist(), np.split(order, start[1:]))


@dataclass(frozen=True)
class Sight:
    """A frame: all its bodies, and what is seen of them in the middle of each pixel, row by row."""

    snapshot: Snapshot
    surface: Surface


def look(snapshot: Snapshot, samples: Samples) -> Hits:
    """The nearest triangle at each sample within the border, numbered through all bodies."""
    hits = no_hits(samples)
    for numbers, corners, depth in _batches(snapshot, samples):
        draw(hits, samples, snapshot.view, corners, depth, numbers)
    outside = ~is_inside(snapshot.view, samples.points)
    hits.triangle[outside], hits.depth[outside] = NONE, np.inf
    return hits


def surface_at(snapshot: Snapshot, samples: Samples) -> Surface:
    """What is seen at each sample, holdouts included."""
    hits = look(snapshot, samples)
    first = snapshot.first_triangles()
    hit = hits.triangle != NONE
    body = np.where(hit, np.searchsorted(first, hits.triangle, side="right") - 1, NONE)
    triangle = np.where(hit, hits.triangle - first[body], 0)
    surface = Surface(body, triangle, np.zeros((len(body), 3)), hits.depth)
    for index, where in surface.groups():
        corners = _pixel_corners(snapshot, snapshot.bodies[index], triangle[where])
        surface.weight[where] = weights(corners, samples.points[where])
    return surface


def local_points(shape: Shape, triangle: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Points (n, 3) float64 on triangles (n,) of a shape, in its own space."""
    return np.einsum(
        "nk,nki->ni", weight, shape.points[shape.triangles[triangle]], dtype=np.float64
    )


def world_points(body: Body, triangle: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Points (n, 3) float64 on triangles (n,) of a body, in the world."""
    return transformed(body.matrix[:3], local_points(body.shape, triangle, weight))


def camera_normals(snapshot: Snapshot, surface: Surface) -> np.ndarray:
    """Shading normals (n, 3) float64, unit, towards the viewer, 0 where there is nothing.

    Camera space: x right, y up, z to the viewer.
    """
    normals = np.zeros((len(surface.body), 3))
    for index, where in surface.groups():
        shape = snapshot.bodies[index].shape
        assert shape.normals is not None  # what is drawn has them
        to_camera = snapshot.view.to_camera @ snapshot.bodies[index].matrix
        triangle, weight = surface.triangle[where], surface.weight[where]
        corners = transformed(
            to_camera, shape.points[shape.triangles[triangle]].reshape(-1, 3)
        ).reshape(-1, 3, 3)
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        is_back = _leans_away(snapshot.view, corners, flat) ^ (np.linalg.det(to_camera[:, :3]) < 0)
        smooth = np.einsum("nk,nki->ni", weight, shape.normals[triangle]) @ np.linalg.pinv(
            to_camera[:, :3]
        )
        turned = np.where(
            smooth.any(1, keepdims=True), smooth, flat * np.sign(np.linalg.det(to_camera[:, :3]))
        )
        length = np.linalg.norm(turned, axis=1)
        normals[where] = (
            turned * (np.where(is_back, -1, 1) / np.where(length > 0, length, 1))[:, None]
        )
    return normals


def _leans_away(view: View, corners: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Whether triangles (n, 3, 3) with these normals, both in camera space, show the viewer their
    back."""
    if view.is_orthographic:
        return normal[:, 2] < 0
    return np.einsum("ni,ni->n", normal, corners[:, 0]) > 0


Triangles = tuple[np.ndarray, np.ndarray, np.ndarray]


def _batches(snapshot: Snapshot, samples: Samples) -> Iterator[Triangles]:
    """Numbers (n,), corners (n, 3, 3) in homogeneous pixels and depths (n, 3) of the triangles that
    may cover a sample, some BATCH at a time."""
    held: list[Triangles] = []
    first = count = 0
    for body in snapshot.bodies:
        for triangles in _placed(snapshot.view, body, samples, first):
            held.append(triangles)
            count += len(triangles[0])
            if count >= BATCH:
                yield _joined(held)
                count, held = 0, []
        first += len(body.shape.triangles)
    if held:
        yield _joined(held)


def _joined(held: list[Triangles]) -> Triangles:
    if len(held) == 1:
        return held[0]
    numbers, corners, depths = (np.concatenate(parts) for parts in zip(*held))
    return numbers, corners, depths


def _placed(view: View, body: Body, samples: Samples, first: int) -> Iterator[Triangles]:
    """A body's triangles, BATCH at most at a time; `first` is the number of its first."""
    shape, world = body.shape, transformed(body.matrix[:3], body.shape.points)
    points, depth = transformed(view.to_pixel, world), depths(view, world)
    is_mirrored = np.linalg.det(body.matrix[:3, :3]) < 0
    for start in range(0, len(shape.triangles), BATCH):
        chosen = np.arange(start, min(start + BATCH, len(shape.triangles)))
        if len(chosen) > FEW:
            chosen = start + np.flatnonzero(
                may_hit(samples, view, points, depth, shape.triangles[start : start + BATCH])
            )
        corners = points[shape.triangles[chosen]]
        if shape.one_sided is not None:
            volume = (np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum(1)
            # y goes down: negative seen from front
            is_shown = ~shape.one_sided[chosen] | ((volume < 0) ^ is_mirrored) | (volume == 0)
            chosen, corners = chosen[is_shown], corners[is_shown]
        yield chosen + first, corners, depth[shape.triangles[chosen]]


def _pixel_corners(snapshot: Snapshot, body: Body, triangle: np.ndarray) -> np.ndarray:
    """Corners (n, 3, 3) in homogeneous pixels of some of a body's triangles."""
    corners = body.shape.points[body.shape.triangles[triangle]].reshape(-1, 3)
    world = transformed(body.matrix[:3], corners)
    return transformed(snapshot.view.to_pixel, world).reshape(-1, 3, 3)
