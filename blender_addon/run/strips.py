"""Finished frames become one image strip in the sequencer."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import bpy

from t2vz_core.wire.job import JobSpec

from ..capture.strip_pictures import span_of
from ..job import folders

NAME_LENGTH = 40
CHANNELS = 128
# pictures come in multiples of 32 or 64 px: an aspect so near to the render's was meant to be it
NEAR = 1.2
PROVENANCE = "t2vz"


def add_strip(
    scene: bpy.types.Scene,
    name: str,
    frames: list[tuple[int, Path]],
    last: int,
    provenance: str = "",
    pixel_aspect: float = 1.0,
) -> Any:
    """Adds one strip that shows each (frame number, picture) from its frame on until the next, the
    last until `last`.

    It lies in the lowest channel that is free above everything else there, and is scaled to the
    render's size; `pixel_aspect` is the pictures' pixels' width:height. `provenance`, JSON, is kept
    in the strip's property `t2vz`. Returns the strip.

    Raises:
        ValueError: there is no frame, or no free channel.
    """
    if not frames:
        raise ValueError("There is no finished frame to put into the sequencer.")
    first = frames[0][0]
    files = _file_per_frame(frames, last)
    strips = strips_of(scene)
    channel = _free_channel(strips, first, first + len(files))
    strip = strips.new_image(name, path_of(frames[0][1]), channel, first)
    _scale(strip, scene.render, pixel_aspect)
    for file in files[1:]:
        strip.elements.append(file)
    strip[PROVENANCE] = provenance
    _show(scene)
    return strip


def import_job(scene: bpy.types.Scene, folder: Path, spec: JobSpec, is_once: bool = False) -> Any:
    """Adds the strip of a job's finished frames; returns it.

    With `is_once` the strip that this job has there already is brought up to date instead.

    Raises:
        ValueError: there is no finished frame, or no free channel.
    """
    frames = folders.finished_frames(folder, spec)
    last = frames[-1][0] + _every(spec) - 1 if frames else 0
    if is_once and frames and (strip := strip_of_job(scene, folder)) is not None:
        _bring_up_to_date(strip, frames, last)
        return strip
    told, pixel_aspect = folders.provenance(path_of(folder), spec), spec.shot.pixel_aspect
    return add_strip(scene, name_of(folder, spec), frames, last, told, pixel_aspect)


def name_of(folder: Path, spec: JobSpec) -> str:
    """What a take is called: its prompt, mode and seed."""
    mode = spec.controls[0].kind if spec.controls else ""
    words = spec.prompt.text.strip()[:NAME_LENGTH] or folder.name
    return " · ".join(filter(None, (words, mode, f"seed {spec.sampling.seed}")))


def strip_of_job(scene: bpy.types.Scene, folder: Path) -> Any:
    """The scene's strip that shows the frames of this job folder, or None."""
    if scene.sequence_editor is None:
        return None
    where = Path(os.path.normpath(folder))
    return next((strip for strip in strips_of(scene) if folder_of(strip) == where), None)


def folder_of(strip: Any) -> Path | None:
    """The job folder of a strip; None of strips that are not ours."""
    try:
        told = json.loads(strip.get(PROVENANCE, ""))["folder"]
        return Path(os.path.normpath(bpy.path.abspath(told)))
    except (ValueError, KeyError, TypeError):
        return None


def _every(spec: JobSpec) -> int:
    numbers = [frame.number for frame in spec.frames]
    return min((two - one for one, two in pairwise(numbers)), default=1)


def _bring_up_to_date(strip: Any, frames: list[tuple[int, Path]], last: int) -> None:
    """Gives a strip that has begun with the same frame what has been finished since."""
    files = _file_per_frame(frames, last)
    for element, file in zip(strip.elements, files):
        if element.filename != file:
            element.filename = file
    for file in files[len(strip.elements) :]:
        strip.elements.append(file)


def caution(scene: bpy.types.Scene) -> str:
    """What the artist should know before judging a strip's colours; nothing where they are shown as
    they are."""
    transform = scene.view_settings.view_transform
    if transform == "Standard":
        return ""
    return (
        f"The view transform of {scene.name}, {transform}, changes the strip's colours: Move to an "
        "Edit Scene shows them as generated."
    )


def strips_of(scene: bpy.types.Scene) -> Any:
    """The scene's top-level strips; makes its sequencer where it has none."""
    editor = scene.sequence_editor or scene.sequence_editor_create()
    return (
        editor.strips if hasattr(editor, "strips") else editor.sequences
    )  # 4.4 renamed them, 5.0 dropped the old


def _show(scene: bpy.types.Scene) -> None:
    """Gives the scene to workspaces that have chosen none for their Sequencers, which from 5.0 on
    show nothing then."""
    for workspace in bpy.data.workspaces:
        if getattr(workspace, "sequencer_scene", scene) is None:
            workspace.sequencer_scene = scene


def _scale(strip: Any, render: bpy.types.RenderSettings, pixel_aspect: float) -> None:
    """Has the strip fill the render's picture, or, where too much of it were cut off, fit into
    it."""
    picture = strip.elements[0]
    if picture.orig_width:  # a file that cannot be read has no size
        across = pixel_aspect / (render.pixel_aspect_x / render.pixel_aspect_y)  # pixels to a pixel
        scales = (
            render.resolution_x / (picture.orig_width * across),
            render.resolution_y / picture.orig_height,
        )
        scale = max(scales) if max(scales) < NEAR * min(scales) else min(scales)
        strip.transform.scale_x, strip.transform.scale_y = scale * across, scale


def _file_per_frame(frames: list[tuple[int, Path]], last: int) -> list[str]:
    ends = [number for number, _ in frames[1:]] + [max(last, frames[-1][0]) + 1]
    return [path.name for (number, path), end in zip(frames, ends) for _ in range(end - number)]


def _free_channel(strips: Any, start: int, end: int) -> int:
    spans = [(strip.channel, *span_of(strip)) for strip in strips]
    taken = {channel for channel, one, two in spans if one < end and start < two}
    above = max(taken, default=0) + 1
    free = [above, *range(1, CHANNELS + 1)] if above <= CHANNELS else range(1, CHANNELS + 1)
    for channel in free:
        if channel not in taken:
            return channel
    raise ValueError(
        f"All {CHANNELS} channels of the sequencer are taken there: free one and import again."
    )


def path_of(path: Path) -> str:
    """The path as the .blend should remember it: relative to it where it is saved."""
    if not bpy.data.filepath:
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:  # another drive
        return str(path)
