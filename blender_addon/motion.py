"""Where each visible point was at another frame, and how far the picture's content has moved since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bodies import Body, Snapshot, Surface, local_points, look
from .projection import depths, is_inside, pixel_centres, places, sky_places, transformed
from .raster import samples_at

TOLERANCE = 1e-4  # of the depth: a point this close behind the nearest surface is on it
ENOUGH = 0.02  # of the picture: fewer points still visible do not speak for the whole


def backward_map(
    here: Snapshot, surface: Surface, there: Snapshot, note: Callable[[str], None], pixels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Where what is seen here was seen there: map (n, 2) float64 px and whether it was visible there (n,) bool.

    A point keeps its triangle and its place in it. Where the triangles themselves have changed, or the body was not
    there, it keeps its place in the object, or in the world; `note` is told of the former.

    Args:
        pixels: (n, 2) px, the points that `surface` was looked at; the centres of all pixels if None.
    """
    if pixels is None:
        pixels = pixel_centres(here.view.width_px, here.view.height_px)
    where = sky_places(here.view, there.view, pixels)
    depth = np.full(len(pixels), np.inf)
    known = np.ones(len(pixels), bool)
    before = _befores(here, there, note)
    for index, group in surface.groups():
        points = _points_before(here.bodies[index], before[index], surface.triangle[group], surface.weight[group])
        where[group], depth[group] = places(there.view, points), depths(there.view, points)
        known[group] = before[index] is not None and not here.bodies[index].is_holdout
    return where, known & _is_visible(_cut_alike(there, before), where, depth)


def _befores(here: Snapshot, there: Snapshot, note: Callable[[str], None]) -> list[Body | None]:
    """What each body was at the other frame: None if it was not, with triangles of now if its topology is the same."""
    bodies = {body.key: body for body in there.bodies}
    befores: list[Body | None] = []
    for body in here.bodies:
        before = bodies.get(body.key)
        if before is not None and body.shape.has_topology_of(before.shape):
            before = replace(before, shape=replace(before.shape, triangles=body.shape.triangles))
        elif before is not None:
            note(f"{body.name}: its mesh changes its topology, so its motion is taken from the object as a whole.")
        befores.append(before)
    return befores


def _cut_alike(there: Snapshot, befores: list[Body | None]) -> Snapshot:
    """The other frame with faces cut into the triangles of now, so that a point of now lies on a triangle there."""
    alike = {body.key: body for body in befores if body is not None}
    return replace(there, bodies=tuple(alike.get(body.key, body) for body in there.bodies))


def _points_before(body: Body, before: Body | None, triangle: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """World points (n, 3) at the other frame of points on a body's triangles."""
    if before is None:
        return transformed(body.matrix[:3], local_points(body.shape, triangle, weight))
    shape = before.shape if before.shape.triangles is body.shape.triangles else body.shape
    return transformed(before.matrix[:3], local_points(shape, triangle, weight))


def _is_visible(there: Snapshot, where: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Whether points at `where` (n, 2) px and `depth` (n,) are in the picture, in front, and hidden by nothing."""
    view = there.view
    nearest = look(there, samples_at(where, view.width_px, view.height_px)).depth
    is_sky = np.isinf(depth)
    is_clear = np.where(is_sky, np.isinf(nearest), depth <= nearest * (1 + TOLERANCE))
    within = is_sky | ((depth >= view.near) & (depth <= view.far))
    return is_clear & within & is_inside(view, where)


def shift(where: np.ndarray, visible: np.ndarray, pixels: np.ndarray) -> tuple[float, float]:
    """The one movement of the content, x right y down in px, that fits the flow best.

    Least squares, made robust to parts that move otherwise (Tukey's biweight around the median, reweighted).

    Args:
        where: (n, 2) px, where the points were.
        visible: (n,) bool, whether they were visible there.
        pixels: (n, 2) px, where they are now.
    """
    flow = (pixels - where)[visible] if visible.mean() > ENOUGH else pixels - where
    centre = np.median(flow, axis=0)
    for _ in range(10):
        off = np.linalg.norm(flow - centre, axis=1)
        width = max(4.685 * 1.4826 * float(np.median(off)), 0.5)
        weight = np.clip(1 - (off / width) ** 2, 0, None) ** 2
        centre = (weight[:, None] * flow).sum(0) / weight.sum()
    return round(float(centre[0]), 6) + 0.0, round(float(centre[1]), 6) + 0.0
