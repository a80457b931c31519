"""The frames of a scene as arrays, from its surfaces or from files rendered before, in one go or
after a pause."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable
from typing import Any

import bpy

from t2vz_core.wire.job import GRID

from ..capture import beauty, object_words, rendered_passes
from ..capture.cameras import CaptureError
from ..capture.capture import Past, Wanted, capture
from ..job.folders import FrameArrays

RENDERED = frozenset({"image", "depth", "normal", "ids", "mask"})  # passes that a render may hold
Frames = Generator[FrameArrays | None]


class SceneArrays:
    """What a scene's settings asked for when it began, told by names and numbers alone: undo and
    reading a file anew leave no pointer as it was.

    Args:
        from_files: the passes that the rendered files give.
        numbers: the frames wanted.
        is_keyed: the motion is set by hand and changes from frame to frame.
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        view_layer: bpy.types.ViewLayer,
        wanted: Wanted,
        from_files: frozenset[str],
        numbers: list[int],
        note: Callable[[str], None],
        is_keyed: bool,
    ) -> None:
        self._scene, self._view_layer = scene.session_uid, view_layer.name
        self._target, self._subject = (
            item and item.session_uid for item in (wanted.target, wanted.subject)
        )
        self._wanted = dataclasses.replace(wanted, target=None, subject=None)
        self._files, self._from_files = scene.t2vz.rendered, from_files
        self._numbers, self._note, self._is_keyed = numbers, note, is_keyed
        self._past = Past()

    def behind(self, done: int) -> Frames:
        """The frames after so many, which have been made before.

        Raises:
            CaptureError: the scene, or what of it was meant, is not there any more.
        """
        last = self._numbers[done - 1] if done else None
        if self._past.number != last and self._past.earlier is not None:
            self._past = self._past.earlier  # a frame was read, but its picture not yet rendered
        scene = _same(self._scene, bpy.data.scenes)
        view_layer = scene.view_layers.get(self._view_layer)
        if view_layer is None:
            raise CaptureError(f"The view layer {self._view_layer} is not there any more.")
        wanted = dataclasses.replace(
            self._wanted,
            target=self._target and _same(self._target, bpy.data.objects),
            subject=self._subject
            and _same(self._subject, (*bpy.data.collections, *bpy.data.objects)),
        )
        return self._frames(scene, view_layer, wanted, self._numbers[done:])

    def _frames(
        self,
        scene: bpy.types.Scene,
        view_layer: bpy.types.ViewLayer,
        wanted: Wanted,
        numbers: list[int],
    ) -> Frames:
        has_files = rendered_passes.holds_passes(scene, self._files)
        self._say(scene, view_layer, has_files)
        captured = dataclasses.replace(wanted, passes=wanted.passes - self._from_files)
        before = self._past.number
        arrays = capture(scene, view_layer, captured, numbers, self._note, self._past)
        if self._is_keyed:
            arrays = self._moved_by_hand(arrays, scene)
        if object_words.are_animated(scene):
            arrays = object_words.with_strengths(arrays, scene, view_layer)
        where = (scene, view_layer, (wanted.width_px, wanted.height_px))
        if "image" in captured.passes:
            files = "" if has_files else self._files
            arrays = beauty.with_pictures(arrays, *where, files, wanted.pixel_aspect)
        if self._from_files:
            read = (self._files, self._from_files, wanted.subject, wanted.pixel_aspect)
            arrays = rendered_passes.with_files(arrays, *where, *read, before)
        return arrays

    def _say(
        self, scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, has_files: bool
    ) -> None:
        if self._past.number is not None:  # it has been said
            return
        if sum(layer.use for layer in scene.view_layers) > 1:
            self._note(
                f"Only the view layer {view_layer.name} is captured; renders put several together."
            )
        if has_files and (left := self._wanted.passes & RENDERED - self._from_files):
            self._note(
                f"Not in the rendered files, so taken from the scene: {', '.join(sorted(left))}."
            )

    def _moved_by_hand(self, arrays: Frames, scene: bpy.types.Scene) -> Frames:
        """The captured frames, each moved on from the one before by the strength that is keyed at
        it."""
        a_512th = min(self._wanted.width_px, self._wanted.height_px) / GRID
        try:
            for each in arrays:
                if each is None:
                    yield None
                    continue
                left, up = scene.t2vz.motion.strength
                x, y = self._past.by_hand
                moved = (x - left * a_512th, y - up * a_512th)
                self._past.by_hand = (0.0, 0.0) if each.is_anchor else moved
                yield dataclasses.replace(each, shift_px=self._past.by_hand)
        finally:
            arrays.close()


def _same(uid: int, items: Iterable[Any]) -> Any:
    """The data-block of this number."""
    found = next((item for item in items if item.session_uid == uid), None)
    if found is None:
        raise CaptureError(
            "What was captured is not there any more, so the capture has ended: generate again."
        )
    return found
