"""A frame range of the scene becomes arrays: depth, normals, ids, masks, and where each point was at the anchor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import bpy
import numpy as np

from .bodies import Snapshot, Surface, camera_normals, surface_at
from .cameras import CaptureError, camera_view
from .jobs import FrameArrays
from .motion import backward_map, shift
from .projection import pixel_centres, places
from .raster import centre_samples
from .render_state import RenderState
from .triangles import Reader

PASSES = frozenset({"depth", "normal", "ids", "mask", "map"})
SOURCES = ("camera", "object", "own", "sum")


@dataclass(frozen=True)
class Wanted:
    """What to read of each frame.

    passes:  names out of PASSES; "map" brings `visible` along
    source:  whence shift_px: "camera": the visible scene's flow, "object": the target as the camera sees it,
             "own": the target's own movement, the camera held still at the anchor, "sum": camera + own
    target:  object whose movement is meant; bone: name of a bone of it, if it is an armature
    subject: object (with all its children) or collection that the mask shows; None: every surface
    """

    width_px: int
    height_px: int
    passes: frozenset[str] = PASSES
    source: str = "camera"
    target: bpy.types.Object | None = None
    bone: str = ""
    subject: bpy.types.Object | bpy.types.Collection | None = None


def capture(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    wanted: Wanted,
    numbers: Iterable[int],
    note: Callable[[str], None] = print,
) -> Iterator[FrameArrays]:
    """Reads the frames `numbers`, in this order, one at each step; the first is the anchor.

    The scene's frame moves while this runs and is put back at the end, also when closed early. `note` is told, once
    each, what the artist should know (a new anchor after a cut, hair that is not captured).

    Raises:
        CaptureError: no camera, a panoramic one, or nothing to see; one sentence.
    """
    frame, subframe, camera = scene.frame_current, scene.frame_subframe, scene.camera
    state = RenderState(scene, view_layer)
    try:
        yield from _Run(scene, view_layer, wanted, state, note).frames(numbers)
    finally:
        state.restore()
        scene.frame_set(frame, subframe=subframe)
        scene.camera = camera


@dataclass
class _Moment:
    """What is kept of a frame: its surfaces, its camera, and where the target is in the world (or None)."""

    snapshot: Snapshot
    camera: str
    target: np.ndarray | None


class _Run:
    """One capture: what it wants, and its anchor."""

    def __init__(self, scene, view_layer, wanted: Wanted, state: RenderState, note: Callable[[str], None]):
        self.scene, self.view_layer, self.wanted, self.state = scene, view_layer, wanted, state
        self.told: set[str] = set()
        self.tell = note
        names = sorted(item.name_full for item in bpy.data.objects)
        self.reader = Reader(
            view_layer,
            _names(wanted.subject),
            "normal" in wanted.passes,
            self.note,
            {name: index for index, name in enumerate(names, 1)},
        )

    def note(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            self.tell(text)

    def frames(self, numbers: Iterable[int]) -> Iterator[FrameArrays]:
        anchor: _Moment | None = None
        for number in numbers:
            self.scene.frame_set(number)
            self.state.apply()
            now = self._moment()
            surface = surface_at(now.snapshot, centre_samples(self.wanted.width_px, self.wanted.height_px))
            is_anchor = anchor is None or anchor.camera != now.camera
            if is_anchor and anchor is not None:
                self.note(f"Frame {number}: the camera changes, so the motion starts anew there.")
            anchor = now if is_anchor else anchor
            yield self._arrays(number, is_anchor, now, surface, anchor)

    def _moment(self) -> _Moment:
        depsgraph = self._depsgraph()
        view = camera_view(self.scene, depsgraph, self.wanted.width_px, self.wanted.height_px)
        snapshot = self.reader.snapshot(depsgraph, view)
        if not snapshot.bodies:
            raise CaptureError(f"The scene {self.scene.name} has nothing to capture: no surface is shown in renders.")
        return _Moment(snapshot, self.scene.camera.name_full, self._target(depsgraph))

    def _depsgraph(self) -> bpy.types.Depsgraph:
        with bpy.context.temp_override(scene=self.scene, view_layer=self.view_layer):
            return bpy.context.evaluated_depsgraph_get()

    def _target(self, depsgraph: bpy.types.Depsgraph) -> np.ndarray | None:
        if self.wanted.target is None:
            return None
        target = self.wanted.target.evaluated_get(depsgraph)
        matrix = target.matrix_world
        if self.wanted.bone and self.wanted.bone in target.pose.bones:
            return np.array(matrix @ target.pose.bones[self.wanted.bone].head)
        return np.array(matrix.translation)

    def _arrays(self, number: int, is_anchor: bool, now: _Moment, surface: Surface, anchor: _Moment) -> FrameArrays:
        arrays = FrameArrays(number, is_anchor, **self._passes(now.snapshot, surface))
        pixels = pixel_centres(self.wanted.width_px, self.wanted.height_px)
        if is_anchor:
            where, visible = pixels, np.ones(len(pixels), bool)
            moved = (0.0, 0.0)
        else:
            where, visible = backward_map(now.snapshot, surface, anchor.snapshot, self.note)
            moved = self._shift(now, anchor, where, visible, pixels)
        if "map" in self.wanted.passes:
            arrays = dataclasses.replace(
                arrays, map=self._picture(where, np.float32), visible=self._picture(visible * 255, np.uint8)
            )
        return dataclasses.replace(arrays, shift_px=moved)

    def _shift(self, now: _Moment, anchor: _Moment, where, visible, pixels) -> tuple[float, float]:
        parts = []
        if self.wanted.source in ("camera", "sum") or now.target is None:
            parts.append(shift(where, visible, pixels))
        if self.wanted.source in ("own", "sum", "object") and now.target is not None:
            view = now.snapshot.view if self.wanted.source == "object" else anchor.snapshot.view
            moved = places(view, now.target[None]) - places(anchor.snapshot.view, anchor.target[None])
            parts.append(tuple(moved[0]))
        return tuple(float(sum(part)) for part in zip(*parts))

    def _passes(self, snapshot: Snapshot, surface: Surface) -> dict[str, np.ndarray]:
        """The arrays of this frame alone; holdouts are empty in them, as in a render."""
        bodies = snapshot.bodies
        is_empty = np.array([body.is_holdout for body in bodies] + [True])[surface.body]
        passes = {}
        if "depth" in self.wanted.passes:
            passes["depth"] = self._picture(np.where(is_empty, np.inf, surface.depth), np.float32)
        if "normal" in self.wanted.passes:
            normals = np.where(is_empty[:, None], 0, camera_normals(snapshot, surface))
            passes["normal"] = self._picture(normals, np.float32)
        if "ids" in self.wanted.passes:
            number = np.array([body.number for body in bodies] + [0])[surface.body]
            passes["ids"] = self._picture(np.where(is_empty, 0, number), np.int32)
        if "mask" in self.wanted.passes:
            is_subject = np.array([body.is_subject for body in bodies] + [False])[surface.body]
            passes["mask"] = self._picture((is_subject & ~is_empty) * 255, np.uint8)
        return passes

    def _picture(self, values: np.ndarray, dtype: type) -> np.ndarray:
        """(n, …) -> (height, width, …)."""
        return values.astype(dtype).reshape(self.wanted.height_px, self.wanted.width_px, *values.shape[1:])


def _names(subject: bpy.types.Object | bpy.types.Collection | None) -> frozenset[str]:
    if subject is None:
        return frozenset(item.name_full for item in bpy.data.objects)
    items = subject.all_objects if isinstance(subject, bpy.types.Collection) else [subject, *subject.children_recursive]
    return frozenset(item.name_full for item in items)
