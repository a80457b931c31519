"""Frames rendered already as EXR: what their files hold becomes passes in place of captured
arrays."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import bpy

from t2vz_core.wire.exr_layout import PASSES as KINDS
from t2vz_core.wire.exr_layout import channel_names, channels_of, view_layers
from t2vz_core.wire.rendered import SUFFIX, Rendered

from ..geometry.projection import View
from ..job.folders import FrameArrays, RenderedFile
from .cameras import CaptureError, camera_view
from .images import place_of, suffix_of

Subject = bpy.types.Object | bpy.types.Collection | None
VECTORS = frozenset({"map", "visible"})  # what vectors and depth become


def holds_passes(scene: bpy.types.Scene, files: str) -> bool:
    """Whether these files may hold more than a picture."""
    return suffix_of(scene, files) == SUFFIX


def held(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    files: str,
    numbers: Iterable[int],
    subject: Subject = None,
) -> frozenset[str]:
    """Names of the passes that all of these frames' files hold, as `t2vz_core.wire.job.Passes`.

    Raises:
        ValueError: a file is missing, is no EXR, or holds other view layers than this one.
        OSError: a file cannot be read.
    """
    if not holds_passes(scene, files):
        return frozenset()
    paths = {place_of(scene, files, number).path for number in numbers}
    return frozenset.intersection(*(_held_by(path, view_layer, subject) for path in sorted(paths)))


def _held_by(path: Path, view_layer: bpy.types.ViewLayer, subject: Subject) -> frozenset[str]:
    names = set(channel_names(path))
    known = view_layers(names)
    if len(known) > 1 and view_layer.name not in known:
        raise CaptureError(
            f"{path.name} does not hold the view layer {view_layer.name} but {', '.join(known)}: "
            f"make one of these active, or render again."
        )
    kinds = {kind for kind in KINDS if channels_of(names, view_layer.name, kind)}
    has_matte = "matte" in kinds
    # A pass of nothing but zeros tells no objects apart.
    has_index = "index" in kinds and any(item.pass_index for item in bpy.data.objects)
    is_marked = "index" in kinds and any(item.pass_index for item in _objects(subject))
    found = kinds & {"image", "depth", "normal"}
    found |= {"ids"} if has_matte or has_index else set()
    tells_mask = has_matte or is_marked if subject else "depth" in kinds
    found |= {"mask"} if tells_mask else set()
    return frozenset(found | (VECTORS if {"vector", "depth"} <= kinds else set()))


def with_files(
    arrays: Generator[FrameArrays | None],
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    size_px: tuple[int, int],
    files: str,
    passes: frozenset[str],
    subject: Subject = None,
    pixel_aspect: float = 0.0,
    previous: int | None = None,
) -> Iterator[FrameArrays | None]:
    """The captured frames, each with its rendered file, whose `passes` the engine reads.

    Args:
        arrays: a running capture, which has set the scene to the frame that it yields.
        size_px: width and height of the picture; the files may be of any size.
        files: where the EXR files are, see `images.place_of`.
        subject: what the mask shows; None: every surface.
        pixel_aspect: width:height of a pixel of the picture; 0: the scene's.
        previous: the frame before the first, where a capture goes on.

    Raises:
        CaptureError: a file is missing; one sentence.
    """
    try:
        for each in arrays:
            if each is None:
                yield None
                continue
            file = place_of(scene, files, each.number).path
            with bpy.context.temp_override(scene=scene, view_layer=view_layer):
                depsgraph = bpy.context.evaluated_depsgraph_get()
                view = camera_view(scene, depsgraph, *size_px, pixel_aspect)
            if passes & VECTORS and not each.is_anchor and each.number != previous + 1:
                raise CaptureError(
                    "Vectors lead from one frame to the one before: make every frame, "
                    "or take the motion from Geometry."
                )
            said = _said(view, view_layer.name, subject, None if each.is_anchor else previous)
            previous = each.number
            yield replace(each, file=RenderedFile(file, said, passes))
    finally:
        arrays.close()


def _said(
    view: View,
    view_layer: str,
    subject: Subject,
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


def _objects(subject: Subject) -> list[bpy.types.Object]:
    if subject is None:
        return []
    return (
        list(subject.all_objects)
        if isinstance(subject, bpy.types.Collection)
        else [subject, *subject.children_recursive]
    )
