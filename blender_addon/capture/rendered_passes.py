"""Frames rendered already as multilayer EXR: their files become passes in place of captured
arrays."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import bpy

from t2vz_core.wire.rendered import SUFFIX, Rendered

from ..geometry.projection import View
from ..job.folders import FrameArrays, RenderedFile
from .cameras import CaptureError, camera_view
from .images import place_of, suffix_of

PASSES = frozenset({"image", "depth", "normal", "ids", "mask"})
VECTORS = frozenset({"map", "visible"})


def holds_passes(scene: bpy.types.Scene, files: str) -> bool:
    """Whether these files may hold more than a picture."""
    return suffix_of(scene, files) == SUFFIX


def with_files(
    arrays: Generator[FrameArrays],
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    size_px: tuple[int, int],
    files: str,
    passes: frozenset[str],
    subject: bpy.types.Object | bpy.types.Collection | None = None,
) -> Iterator[FrameArrays]:
    """The captured frames, each with its rendered file, whose `passes` the engine reads.

    Args:
        arrays: a running capture, which has set the scene to the frame that it yields.
        size_px: width and height of the picture; the files may be of any size.
        files: where the EXR files are, see `footage.place_of`.
        subject: what the mask shows; None: every surface.

    Raises:
        CaptureError: a file is missing; one sentence.
    """
    previous = None
    try:
        for each in arrays:
            file = place_of(scene, files, each.number).path
            with bpy.context.temp_override(scene=scene, view_layer=view_layer):
                view = camera_view(scene, bpy.context.evaluated_depsgraph_get(), *size_px)
            if passes & VECTORS and not each.is_anchor and each.number != previous + 1:
                raise CaptureError(
                    "Vectors lead from one frame to the one before: make every frame, or take the motion from Geometry."
                )
            said = _said(view, view_layer.name, subject, None if each.is_anchor else previous)
            previous = each.number
            yield replace(each, file=RenderedFile(file, said, passes))
    finally:
        arrays.close()


def _said(
    view: View,
    view_layer: str,
    subject: bpy.types.Object | bpy.types.Collection | None,
    previous: int | None,
) -> Rendered:
    shown = _objects(subject)
    return Rendered(
        view.width_px,
        view.height_px,
        to_pixel=tuple(map(float, view.to_pixel.ravel())),
        to_camera=tuple(map(float, view.to_camera.ravel())),
        far=float(view.far),
        layer=view_layer,
        subject=tuple(item.name for item in shown),
        subject_indices=tuple(sorted({item.pass_index for item in shown} - {0})),
        previous=None if previous is None else RenderedFile.name_of(previous),
    )


def _objects(subject: bpy.types.Object | bpy.types.Collection | None) -> list[bpy.types.Object]:
    if subject is None:
        return []
    return (
        list(subject.all_objects)
        if isinstance(subject, bpy.types.Collection)
        else [subject, *subject.children_recursive]
    )
