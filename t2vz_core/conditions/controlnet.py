"""Passes to ControlNet conditions: the pictures that steer a frame.

A condition is a function (spec, source, frame) -> (H, W, 3) uint8 RGB in `CONDITIONS`;
docs/conditions.md tells how to add one. The colours are those the public ControlNets 1.1 were
trained with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ..fault import Fault
from ..job_folder.passes import Source
from ..wire.job import Frame, JobSpec
from .openpose import draw_people

CANNY_LOW, CANNY_HIGH = 100, 200
JUMP = 0.03  # inverse depth leaps by this part of itself at a silhouette
FEW = 0.02  # of a shot's pixels: far nearer than all else, they do not decide what is white
FEW_OF_SURFACES = 0.1  # the same of those pixels that show a surface
LEAP = 2.0  # so many times nearer is far nearer
SAMPLED = 128  # so many pixels along a picture's longer side tell which depths are few
CREASE_COS = 0.9  # normals of neighbouring pixels more than 26° apart are a crease


def conditions(spec: JobSpec, source: Source, frame: Frame) -> list[np.ndarray]:
    """One (H, W, 3) uint8 picture per control of the job, in its order.

    Raises:
        Fault: the frame lacks a pass that a control needs, or the pass has another size than the
            shot.
    """
    pictures = [CONDITIONS[control.kind](spec, source, frame) for control in spec.controls]
    size = (spec.shot.height_px, spec.shot.width_px)
    for control, picture in zip(spec.controls, pictures):
        if picture.shape[:2] != size:
            raise Fault(
                f"Frame {frame.number}: what the {control.kind} control reads is "
                f"{_by(picture.shape)} pixels, "
                f"the shot is {_by(size)}: capture the shot again at its size."
            )
    return pictures


def depth(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """Inverse depth in one range for the whole shot: near white, far and background black."""
    near, far = depth_range(spec, source)
    inverse = 1.0 / np.maximum(source.read(frame, "depth"), 1e-9)
    span = 1.0 / near - 1.0 / far
    grey = (inverse - 1.0 / far) / span if span > 0 else (inverse > 0).astype(np.float32)
    return _grey(255.0 * np.clip(grey, 0.0, 1.0))


def depth_range(spec: JobSpec, source: Source) -> tuple[float, float]:
    """Depths shown white and black, scene units, in all of the shot.

    The artist's, or else the shot's nearest and its farthest: infinity where the background is in
    sight, which alone is black then, as MiDaS has it (inverse depth, 0 for the sky). A nearest far
    before all the rest, a leaf at the lens, does not count: see `_Depths`.
    """
    near, far = spec.shot.near, spec.shot.far
    if not (near and far):
        found = _depths(spec, source)
        near, far = near or found.near, far or found.far
    near = near if np.isfinite(near) else 1.0  # a shot of nothing but background
    return near, max(far, near)


def notes(spec: JobSpec, source: Source) -> list[str]:
    """What the artist should know about the job's conditions.

    Raises:
        Fault: a frame lacks its depth.
    """
    if spec.shot.near or not any(control.kind == "depth" for control in spec.controls):
        return []
    found = _depths(spec, source)
    if found.near == found.nearest:
        return []
    return [
        f"Depth: what is nearer than {found.near:.3g}, down to {found.nearest:.3g}, is drawn as "
        f"white as that, so that all else keeps its depth; Near decides otherwise."
    ]


@dataclass(frozen=True)
class _Depths:
    """Planar depths of a shot, scene units.

    nearest: of all its surfaces; near: the same without the FEW of the picture, and of its
    surfaces, that lie more than LEAP times nearer than all else; far: its farthest, or infinity
    """

    nearest: float
    near: float
    far: float


@lru_cache(maxsize=1)  # every frame of a job asks, and the answer takes all of its depth passes
def _depths(spec: JobSpec, source: Source) -> _Depths:
    nearest, farthest, pixels = np.inf, 0.0, 0
    samples = []
    for frame in spec.frames:
        depth = source.read(frame, "depth")
        known = depth[depth > 0]
        nearest = min(nearest, float(known.min(initial=np.inf)))
        farthest = max(farthest, float(known.max(initial=0.0)))
        step = -(-max(depth.shape) // SAMPLED)
        sample = depth[::step, ::step]
        pixels += sample.size
        samples.append(sample[np.isfinite(sample) & (sample > 0)])
    ranked = np.sort(np.concatenate(samples))
    few = int(min(FEW * pixels, FEW_OF_SURFACES * len(ranked)))
    if not len(ranked) or ranked[few] <= LEAP * nearest:
        return _Depths(nearest, nearest, farthest)
    return _Depths(nearest, float(ranked[ranked >= ranked[few] / LEAP][0]), farthest)


def normal(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """Camera-space normals as normalbae paints them: red is left, green is up, blue is front."""
    n = source.read(frame, "normal")
    # normalbae gives every pixel a unit normal, so the background faces the viewer.
    n = np.where(_is_surface(n)[..., None], n, np.array([0, 0, 1], np.float32))
    return np.round(127.5 * (1.0 + n * np.array([-1, 1, 1], np.float32))).astype(np.uint8)


def pose(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """OpenPose's drawing of everybody on screen, with hands where the frame has them."""
    people = source.read(frame, "pose")
    hands = source.read(frame, "hands") if frame.passes.hands else None
    if hands is not None and len(hands) != len(people):
        raise Fault(
            f"Frame {frame.number} has hands of {len(hands)} people and poses of {len(people)}: "
            "capture the shot again."
        )
    return draw_people(people, spec.shot.height_px, spec.shot.width_px, hands)


def edges(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """Canny edges of the frame's own picture."""
    image = np.ascontiguousarray(source.read(frame, "image"))
    return _grey(cv2.Canny(image, CANNY_LOW, CANNY_HIGH))


def outline(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """White lines one pixel wide where the geometry has them: silhouettes, creases and borders of
    objects."""
    inverse = 1.0 / np.maximum(source.read(frame, "depth"), 1e-9)
    n = source.read(frame, "normal")
    ids = source.read(frame, "ids") if frame.passes.ids else np.zeros(inverse.shape, np.int32)
    across = _lines(inverse, n, ids)
    down = _lines(inverse.T, n.swapaxes(0, 1), ids.T).T
    return _grey(255 * (across | down))


def _lines(inverse: np.ndarray, n: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """True at the nearer one of two pixels of a row between which a line runs. (H, W) bool"""
    step = np.diff(inverse, axis=1)
    # On a plane, however steep, inverse depth is linear across the screen: every step is like its
    # neighbours.
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
    """Every object flat in the artist's colour, or in one that depends on nothing but its id;
    background black."""
    ids = source.read(frame, "ids")
    known, places = np.unique(ids, return_inverse=True)
    colours = id_colours(known)
    for own in spec.colours:
        colours[known == own.id] = own.rgb
    return colours[places.reshape(ids.shape)]


def id_colours(ids: np.ndarray) -> np.ndarray:
    """Colours (n, 3) uint8 of ids (n,): neighbouring ids lie a golden angle of hue apart; 0 is
    black."""
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


def _by(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}"


def _is_surface(n: np.ndarray) -> np.ndarray:
    return (n * n).sum(-1) > 0.25


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.round(values).astype(np.uint8)[..., None], 3, axis=-1)
