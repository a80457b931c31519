"""Where each visible point was at another frame, and how far the picture's content has moved
since."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np

from .projection import depths, is_inside, pixel_centres, places, sky_places
from .rasteriser import NONE, samples_at
from .surfaces import Body, Shape, Sight, Snapshot, look, world_points

MISSING = -2  # the index of a body that was not there
TOLERANCE = 1e-4  # of the depth: a point this close behind the nearest surface is on it
CLEARLY = 0.02  # of the depth: a point this far behind all that is seen around it is hidden
ENOUGH = 0.02  # of the picture: fewer points still visible do not speak for the whole
MOST_FLOWS = 1 << 14  # points that the shift is fitted to


@dataclass(frozen=True)
class Past:
    """What n points were at another frame: their place (n, 2) px, planar depth (n,), inf for the
    sky, and body there.

    body: (n,) index in the other frame's snapshot, NONE for the sky, MISSING if it was not there;
    bodies: what the other frame held, its faces cut into the triangles of now
    """

    where: np.ndarray
    depth: np.ndarray
    body: np.ndarray
    bodies: Snapshot


def past(here: Sight, there: Sight, note: Callable[[str], None], pixels: np.ndarray) -> Past:
    """Where what is seen at `pixels` (n,), row by row, was at another frame.

    A point keeps its triangle and its place in it. Where the triangles themselves have changed, or
    the body was not there, it keeps its place in the object, or in the world; `note` is told of the
    former.
    """
    view = here.snapshot.view
    where = sky_places(
        view, there.snapshot.view, pixel_centres(view.width_px, view.height_px)[pixels]
    )
    depth, body = np.full(len(pixels), np.inf), np.full(len(pixels), NONE)
    befores, place_of = _befores(here.snapshot, there.snapshot, note), _places_of(there.snapshot)
    surface = here.surface.part(pixels)
    for index, group in surface.groups():
        now, before = here.snapshot.bodies[index], befores[index]
        points = _points_before(now, before, surface.triangle[group], surface.weight[group])
        where[group] = places(there.snapshot.view, points)
        depth[group] = depths(there.snapshot.view, points)
        body[group] = MISSING if before is None or now.is_holdout else place_of[now.key]
    return Past(where, depth, body, _cut_alike(there.snapshot, befores))


def backward_map(
    here: Sight, there: Sight, note: Callable[[str], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Where what is seen in each pixel was seen at another frame: (n, 2) px, and whether it was
    visible there (n,)."""
    then = past(here, there, note, np.arange(len(here.surface.depth)))
    seen, doubtful = sighted(then, there)
    seen[doubtful] = _is_nearest(then.bodies, then.where[doubtful], then.depth[doubtful])
    return then.where, seen


def sighted(then: Past, there: Sight) -> tuple[np.ndarray, np.ndarray]:
    """Which points were seen there, and of which (n,) bool the four pixels around do not tell."""
    view, depth = there.snapshot.view, then.depth
    around = _around(then.where, view.width_px, view.height_px)
    farthest, nearest = there.surface.depth[around].max(0), there.surface.depth[around].min(0)
    is_sky = np.isinf(depth)
    alike = (there.surface.body[around] == then.body).all(0)
    alike &= is_sky | (farthest <= nearest * (1 + CLEARLY))
    behind = depth > np.where(np.isinf(farthest), np.inf, farthest * (1 + CLEARLY))
    hidden = (then.body == MISSING) | np.where(is_sky, np.isfinite(farthest), behind)
    hidden |= ~is_inside(view, then.where) | ~(
        is_sky | ((depth >= view.near) & (depth <= view.far))
    )
    seen = (
        ~hidden & alike & np.where(is_sky, np.isinf(nearest), depth <= farthest * (1 + TOLERANCE))
    )
    return seen, ~hidden & ~seen


def _around(where: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """(4, n) numbers of the pixels whose centres are around places (n, 2) px."""
    x = np.clip(np.floor(where[:, 0] - 0.5), 0, width_px - 2).astype(np.int64)
    y = np.clip(np.floor(where[:, 1] - 0.5), 0, height_px - 2).astype(np.int64)
    first = y * width_px + x
    return np.stack([first, first + 1, first + width_px, first + width_px + 1])


def _is_nearest(snapshot: Snapshot, where: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Whether nothing is in front of points at `where` (n, 2) px and `depth` (n,)."""
    nearest = look(
        snapshot, samples_at(where, snapshot.view.width_px, snapshot.view.height_px)
    ).depth
    return np.where(np.isinf(depth), np.isinf(nearest), depth <= nearest * (1 + TOLERANCE))


def _places_of(snapshot: Snapshot) -> dict[Hashable, int]:
    return {body.key: index for index, body in enumerate(snapshot.bodies)}


def _befores(here: Snapshot, there: Snapshot, note: Callable[[str], None]) -> list[Body | None]:
    """What each body was at the other frame: None if it was not, with triangles of now if its
    topology is the same."""
    bodies = {body.key: body for body in there.bodies}
    cut: dict[tuple[int, int], Shape | None] = {}  # instances share their shapes
    befores: list[Body | None] = []
    for body in here.bodies:
        before = bodies.get(body.key)
        if before is not None:
            pair = id(body.shape), id(before.shape)
            if pair not in cut:
                cut[pair] = _cut_into(before.shape, body.shape)
            if cut[pair] is None:
                note(
                    f"{body.name}: its mesh changes its topology, "
                    "so its motion is taken from the object as a whole."
                )
            before = replace(before, shape=cut[pair] or before.shape)
        befores.append(before)
    return befores


def _cut_into(before: Shape, now: Shape) -> Shape | None:
    """The shape of before with the triangles of now, or None if their topology differs."""
    return (
        replace(before, triangles=now.triangles, one_sided=now.one_sided)
        if now.has_topology_of(before)
        else None
    )


def _cut_alike(there: Snapshot, befores: list[Body | None]) -> Snapshot:
    """The other frame with faces cut into the triangles of now, so that a point of now lies on a
    triangle there."""
    alike = {body.key: body for body in befores if body is not None}
    return replace(there, bodies=tuple(alike.get(body.key, body) for body in there.bodies))


def _points_before(
    body: Body, before: Body | None, triangle: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """World points (n, 3) at the other frame of points on a body's triangles."""
    if before is None:
        return world_points(body, triangle, weight)
    is_alike = before.shape.triangles is body.shape.triangles
    return world_points(before if is_alike else replace(before, shape=body.shape), triangle, weight)


def shift(
    where: np.ndarray, visible: np.ndarray, pixels: np.ndarray, is_surface: np.ndarray
) -> tuple[float, float]:
    """The one movement of the content, x right y down in px, that fits the flow best.

    Least squares, made robust to parts that move otherwise (Tukey's biweight around the median,
    reweighted). The sky, which stands still when the camera travels, has no say unless there is
    hardly anything else.

    Args:
        where: (n, 2) px, where the points were.
        visible: (n,) bool, whether they were visible there.
        pixels: (n, 2) px, where they are now.
        is_surface: (n,) bool, whether they are more than sky.
    """
    if is_surface.mean() > ENOUGH:
        where, visible, pixels = where[is_surface], visible[is_surface], pixels[is_surface]
    flow = (pixels - where)[visible] if visible.mean() > ENOUGH else pixels - where
    flow = flow[:: max(1, len(flow) // MOST_FLOWS)]
    centre = np.median(flow, axis=0)
    for _ in range(10):
        off = np.linalg.norm(flow - centre, axis=1)
        width = max(4.685 * 1.4826 * float(np.median(off)), 0.5)
        weight = np.clip(1 - (off / width) ** 2, 0, None) ** 2
        centre = (weight[:, None] * flow).sum(0) / weight.sum()
    return round(float(centre[0]), 6) + 0.0, round(float(centre[1]), 6) + 0.0
