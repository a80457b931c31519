"""Passes to ControlNet conditions: the pictures that steer a frame.

A condition is a function (spec, source, frame) -> (H, W, 3) uint8 RGB in `CONDITIONS`; docs/conditions.md
tells how to add one. The colours are those the public ControlNets 1.1 were trained with.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np

from .openpose import draw_people
from .wire.job import Frame, JobSpec

CANNY_LOW, CANNY_HIGH = 100, 200
JUMP = 0.03  # inverse depth leaps by this part of itself at a silhouette
CREASE_COS = 0.9  # normals of neighbouring pixels more than 26° apart are a crease


class Source(Protocol):
    """Where the passes come from."""

    def read(self, frame: Frame, name: str) -> np.ndarray:
        """The pass `name` of `Passes`, in its units and at picture size."""
        ...


class ConditionError(ValueError):
    """A condition that cannot be drawn, in one sentence."""


def conditions(spec: JobSpec, source: Source, frame: Frame) -> list[np.ndarray]:
    """One (H, W, 3) uint8 picture per control of the job, in its order.

    Raises:
        ConditionError: the frame lacks a pass that a control needs.
    """
    return [CONDITIONS[control.kind](spec, source, frame) for control in spec.controls]


def depth(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """Inverse depth in one range for the whole shot: near white, far and background black."""
    near, far = depth_range(spec, source)
    inverse = 1.0 / np.maximum(_pass(source, frame, "depth", "depth"), 1e-9)
    span = 1.0 / near - 1.0 / far
    grey = (inverse - 1.0 / far) / span if span > 0 else (inverse > 0).astype(np.float32)
    return _grey(255.0 * np.clip(grey, 0.0, 1.0))


@lru_cache(maxsize=1)  # every frame of a job asks, and the answer takes all of its depth passes
def depth_range(spec: JobSpec, source: Source) -> tuple[float, float]:
    """Depths shown white and black, scene units: the artist's, or else the shot's nearest and farthest."""
    near, far = spec.shot.near, spec.shot.far
    if not (near and far):
        lows, highs = [np.inf], [0.0]
        for frame in spec.frames:
            known = _pass(source, frame, "depth", "depth")
            known = known[np.isfinite(known) & (known > 0)]
            lows.append(known.min(initial=np.inf))
            highs.append(known.max(initial=0.0))
        near, far = near or float(min(lows)), far or float(max(highs))
    near = near if np.isfinite(near) else 1.0  # a shot of nothing but background
    return near, max(far, near)


def normal(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """Camera-space normals as normalbae paints them: red is left, green is up, blue is front."""
    n = _pass(source, frame, "normal", "normal")
    # normalbae gives every pixel a unit normal, so the background faces the viewer.
    n = np.where(_is_surface(n)[..., None], n, np.float32([0, 0, 1]))
    return np.round(127.5 * (1.0 + n * np.float32([-1, 1, 1]))).astype(np.uint8)


def pose(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """OpenPose's drawing of everybody on screen."""
    return draw_people(_pass(source, frame, "pose", "pose"), spec.shot.height_px, spec.shot.width_px)


def edges(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """Canny edges of the frame's own picture."""
    image = np.ascontiguousarray(_pass(source, frame, "image", "edges"))
    return _grey(cv2.Canny(image, CANNY_LOW, CANNY_HIGH))


def outline(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """White lines one pixel wide where the geometry has them: silhouettes, creases and borders of objects."""
    inverse = 1.0 / np.maximum(_pass(source, frame, "depth", "outline"), 1e-9)
    n = _pass(source, frame, "normal", "outline")
    ids = source.read(frame, "ids") if frame.passes.ids else np.zeros(inverse.shape, np.int32)
    across = _lines(inverse, n, ids)
    down = _lines(inverse.T, n.swapaxes(0, 1), ids.T).T
    return _grey(255 * (across | down))


def _lines(inverse: np.ndarray, n: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """True at the nearer one of two pixels of a row between which a line runs. (H, W) bool"""
    step = np.diff(inverse, axis=1)
    # On a plane, however steep, inverse depth is linear across the screen: every step is like its neighbours.
    around = np.pad(step, ((0, 0), (1, 1)), constant_values=np.nan)
    leap = np.fmin(abs(step - around[:, :-2]), abs(step - around[:, 2:]))
    is_jump = leap > JUMP * np.maximum(inverse[:, 1:], inverse[:, :-1])
    is_crease = (n[:, 1:] * n[:, :-1]).sum(-1) < CREASE_COS
    is_crease &= _is_surface(n[:, 1:]) & _is_surface(n[:, :-1])
    is_line = is_jump | is_crease | (ids[:, 1:] != ids[:, :-1])
    is_nearer_left = step <= 0
    marked = np.zeros(inverse.shape, bool)
    marked[:, :-1] |= is_line & is_nearer_left
    marked[:, 1:] |= is_line & ~is_nearer_left
    return marked


def segments(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """Every object flat in a colour that depends on nothing but its id; background black."""
    ids = _pass(source, frame, "ids", "segments")
    known, places = np.unique(ids, return_inverse=True)
    return id_colours(known)[places.reshape(ids.shape)]


def id_colours(ids: np.ndarray) -> np.ndarray:
    """Colours (n, 3) uint8 of ids (n,): neighbouring ids lie a golden angle of hue apart; 0 is black."""
    hue = np.mod(ids * 0.6180339887498949, 1.0)
    value = 1.0 - 0.2 * np.mod(ids, 4)
    ramp = np.clip(abs(np.mod(hue[:, None] + np.array([0, 2 / 3, 1 / 3]), 1.0) * 6 - 3) - 1, 0, 1)
    return np.where(ids[:, None] == 0, 0, np.round(255 * value[:, None] * ramp)).astype(np.uint8)


CONDITIONS: dict[str, Callable[[JobSpec, Source, Frame], np.ndarray]] = {
    "depth": depth,
    "normal": normal,
    "pose": pose,
    "edges": edges,
    "outline": outline,
    "segments": segments,
}


def _pass(source: Source, frame: Frame, name: str, kind: str) -> np.ndarray:
    if getattr(frame.passes, name) is None:
        raise ConditionError(
            f"frame {frame.number}: the {kind} control needs the {name} pass, which this frame lacks; "
            f"capture the shot again with it or take the control out"
        )
    return source.read(frame, name)


def _is_surface(n: np.ndarray) -> np.ndarray:
    return (n * n).sum(-1) > 0.25


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.round(values).astype(np.uint8)[..., None], 3, axis=-1)
