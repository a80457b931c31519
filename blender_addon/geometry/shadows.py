"""Where the light may have changed: on what stands still, near to what has moved.

A map tells where a point of a surface was, not that a shadow has left it or come to it.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from .projection import transformed
from .surfaces import Body, Sight, Snapshot, Surface, world_points

STEP = 8  # every so many pixels are measured: a cell of the latents
STILL = 1e-6  # of the world's unit and of its size: a body that has moved less has not
MOST = 512  # bodies that are reckoned with, the largest ones: sparks and leaves cast small shadows

Box = tuple[np.ndarray, np.ndarray]


def disturbed(here: Sight, there: Sight) -> np.ndarray:
    """Which of the points seen here have not moved since `there`, but lie near to a body that has.

    Near is within its longest side of the box around it, as it was then or as it is now.

    Returns:
        (n,) bool, pixel by pixel, row by row.
    """
    moved = _moved(here.snapshot, there.snapshot)
    view = here.snapshot.view
    if not moved:
        return np.zeros(len(here.surface.body), bool)
    numbers = np.arange(len(here.surface.body)).reshape(view.height_px, view.width_px)[
        ::STEP, ::STEP
    ]
    near = _are_near(
        _points_seen(here.snapshot, here.surface.part(numbers.ravel())), _boxes(moved, here, there)
    )
    spread = (
        near.reshape(numbers.shape)
        .repeat(STEP, 0)
        .repeat(STEP, 1)[: view.height_px, : view.width_px]
    )
    stands = np.array([body.key not in moved for body in here.snapshot.bodies] + [False])
    return spread.ravel() & stands[here.surface.body]


def _moved(now: Snapshot, before: Snapshot) -> set[Hashable]:
    """Keys of the bodies that are elsewhere, have another form, or are there at one time only."""
    bodies, earlier = ({body.key: body for body in snapshot.bodies} for snapshot in (now, before))
    alike: dict[tuple[int, int], bool] = {}  # instances share their shapes

    def stands(one: Body, other: Body) -> bool:
        if not np.allclose(one.matrix, other.matrix, STILL, STILL):
            return False
        pair = id(one.shape), id(other.shape)
        if pair not in alike:
            alike[pair] = one.shape is other.shape or np.array_equal(
                one.shape.points, other.shape.points
            )
        return alike[pair]

    stay = {key for key in bodies.keys() & earlier.keys() if stands(bodies[key], earlier[key])}
    return (bodies.keys() | earlier.keys()) - stay


def _boxes(moved: set[Hashable], *sights: Sight) -> list[Box]:
    """Lowest and highest corner (3,) of the world's boxes around the largest of these bodies, in
    each frame."""
    bodies = [body for sight in sights for body in sight.snapshot.bodies if body.key in moved]
    boxes = [_box(body) for body in bodies if len(body.shape.points)]
    return sorted(boxes, key=_longest, reverse=True)[:MOST]


def _box(body: Body) -> Box:
    low, high = body.shape.points.min(0), body.shape.points.max(0)
    corners = np.stack(np.meshgrid(*zip(low, high)), -1).reshape(-1, 3)
    placed = transformed(body.matrix[:3], corners)
    return placed.min(0), placed.max(0)


def _longest(box: Box) -> float:
    return float((box[1] - box[0]).max())


def _are_near(points: np.ndarray, boxes: list[Box]) -> np.ndarray:
    """Which points (n, 3) lie within its longest side of one of the boxes."""
    near = np.zeros(len(points), bool)
    for low, high in boxes:
        off = np.maximum(np.maximum(low - points, points - high), 0)
        near |= np.einsum("ni,ni->n", off, off) <= _longest((low, high)) ** 2
    return near


def _points_seen(snapshot: Snapshot, surface: Surface) -> np.ndarray:
    """(n, 3) float64, infinitely far where nothing is seen."""
    points = np.full((len(surface.body), 3), np.inf)
    for index, group in surface.groups():
        points[group] = world_points(
            snapshot.bodies[index], surface.triangle[group], surface.weight[group]
        )
    return points
