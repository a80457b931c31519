"""What the settings of a scene ask for, as a generation that is ready to be stepped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from datetime import datetime
from pathlib import Path

import bpy
from mathutils import Color

from t2vz_core.wire.job import GRID, Colour, Control, JobSpec

from .. import preferences
from ..capture import beauty, rendered_passes
from ..capture.animated_values import is_animated
from ..capture.capture import Wanted, capture, object_numbers
from ..capture.meshes import MESHED
from ..job import folders, resume
from ..job.engine import Engine
from ..job.generation import Generation
from ..job.settings import passes_needed, spec_of, suited_sentence

FEW_DEPTHS = "Grey shows the depths of these frames alone; the whole range, or Near and Far, shows the shot's."
KEYED_MOTION = (
    "The motion shown is the current frame's alone; keyed, it adds up over the whole range."
)
STRENGTH = "t2vz.motion.strength"  # its path in the scene
UNCOLOURED = (1.0, 1.0, 1.0)  # an object's colour where the artist has not chosen one
TARGETED = {
    "object": "object",
    "own": "own",
    "both": "sum",
}  # our motion sources that need an object: capture's


def generation_of(
    scene: bpy.types.Scene, worker: Engine | None, folder: Path | None = None
) -> Generation:
    """The frames that the settings ask for; `folder`, new or empty, takes the job, else one is made
    for it.

    A folder that holds this very job, interrupted, has it taken up.

    Raises:
        ValueError: the settings do not make a job, in one sentence; nothing is left behind.
        OSError: the folder cannot be made.
    """
    return _begun(scene, _spec_of(scene), scene.t2vz.frame_numbers(), worker, folder)


def preview_of(scene: bpy.types.Scene, worker: Engine, numbers: list[int]) -> Generation:
    """The conditions that the settings ask for at these frames; depth and outlines where they ask
    for none.

    Raises:
        ValueError, OSError: as `generation_of`.
    """
    spec = _spec_of(scene)
    spec = dataclasses.replace(
        spec, controls=spec.controls or (Control("depth"), Control("outline"))
    )
    generation = _begun(scene, spec, numbers, worker, is_preview=True)
    has_depth = any(control.kind == "depth" for control in spec.controls)
    if (
        has_depth
        and not (spec.shot.near and spec.shot.far)
        and len(numbers) < len(scene.t2vz.frame_numbers())
    ):
        generation.notes.append(FEW_DEPTHS)
    if _is_keyed(scene) and len(numbers) < len(scene.t2vz.frame_numbers()):
        generation.notes.append(KEYED_MOTION)
    return generation


def _spec_of(scene: bpy.types.Scene) -> JobSpec:
    render = scene.render
    across, down = (
        render.resolution_x * render.pixel_aspect_x,
        render.resolution_y * render.pixel_aspect_y,
    )
    spec = spec_of(scene.t2vz, across / down, preferences.stored_model, preferences.path_of_model)
    if any(control.kind == "segments" for control in spec.controls):
        spec = dataclasses.replace(
            spec, colours=_colours(rendered_passes.holds_passes(scene, scene.t2vz.rendered))
        )
    if _is_keyed(scene):
        return dataclasses.replace(
            spec, motion=dataclasses.replace(spec.motion, mode="translation")
        )
    return spec


def _colours(has_files: bool) -> tuple[Colour, ...]:
    """Of the objects to which the artist gave one, in the viewport's sense; rendered files know
    pass indices alone."""
    numbers = object_numbers()
    coloured = [
        item
        for item in bpy.data.objects
        if item.type in MESHED and tuple(item.color[:3]) != UNCOLOURED
    ]
    ids = [item.pass_index if has_files else numbers[item.name_full] for item in coloured]
    srgb = [Color(item.color[:3]).from_scene_linear_to_srgb() for item in coloured]
    return tuple(
        Colour(id, tuple(round(255 * part) for part in colour))
        for id, colour in zip(ids, srgb)
        if id
    )


def _is_keyed(scene: bpy.types.Scene) -> bool:
    """The motion is set by hand and changes from frame to frame."""
    return scene.t2vz.motion_source == "strength" and is_animated(scene, STRENGTH)


def _begun(
    scene: bpy.types.Scene,
    spec: JobSpec,
    numbers: list[int],
    worker: Engine | None,
    folder: Path | None = None,
    is_preview: bool = False,
) -> Generation:
    settings = scene.t2vz
    wanted = _wanted(scene, spec)
    folders.check(spec, numbers[0])
    home = preferences.jobs_home(settings.output)
    earlier = folder if folder and folders.is_job(folder) else None
    if earlier:
        folder = resume.folder_for_another_capture(earlier)
    else:
        folder = (
            folders.claimed(folder)
            if folder
            else folders.new_folder(home, spec.prompt.text, datetime.now())
        )
    generation = Generation(folder, spec, worker, is_preview)
    if not is_preview and (taken := suited_sentence(settings, spec)):
        generation.notes.append(taken)
    return generation.captures(
        _arrays(scene, wanted, numbers, generation.notes.append), len(numbers), earlier
    )


def _wanted(scene: bpy.types.Scene, spec: JobSpec) -> Wanted:
    settings = scene.t2vz
    if settings.motion_source == "vectors" and not rendered_passes.holds_passes(
        scene, settings.rendered
    ):
        raise ValueError(
            "The Vector Pass needs Renders: choose multilayer EXR files, or another source."
        )
    if settings.motion_source in TARGETED and settings.motion_object is None:
        raise ValueError(
            "Choose the object whose movement is followed, or take the motion from the camera."
        )
    needed = passes_needed(spec, settings.mode)
    if settings.has_hands and "pose" in needed:
        needed.add("hands")
    return Wanted(
        spec.shot.width_px,
        spec.shot.height_px,
        frozenset(needed),
        TARGETED.get(settings.motion_source, "camera"),
        settings.motion_object,
        settings.motion_bone,
        settings.foreground,
        settings.has_flow,
    )


def _arrays(
    scene: bpy.types.Scene, wanted: Wanted, numbers: list[int], note: Callable[[str], None]
) -> Generator[folders.FrameArrays]:
    """The frames' arrays, read from the scene or, as far as they have them, from files rendered
    before."""
    settings = scene.t2vz
    view_layer = bpy.context.view_layer if scene == bpy.context.scene else scene.view_layers[0]
    if sum(layer.use for layer in scene.view_layers) > 1:
        note(f"Only the view layer {view_layer.name} is captured; renders put several together.")
    from_files = _passes_of_files(scene, wanted.passes)
    captured = dataclasses.replace(wanted, passes=wanted.passes - from_files)
    arrays = capture(scene, view_layer, captured, numbers, note)
    if _is_keyed(scene):
        arrays = _moved_by_hand(arrays, scene, min(wanted.width_px, wanted.height_px))
    where = (scene, view_layer, (wanted.width_px, wanted.height_px), settings.rendered)
    if from_files:
        return rendered_passes.with_files(arrays, *where, from_files, settings.foreground)
    return beauty.with_pictures(arrays, *where) if "image" in wanted.passes else arrays


def _moved_by_hand(
    arrays: Generator[folders.FrameArrays], scene: bpy.types.Scene, side_px: int
) -> Generator[folders.FrameArrays]:
    """The captured frames, each moved on from the one before by the strength that is keyed at
    it."""
    x = y = 0.0
    try:
        for each in arrays:
            left, up = scene.t2vz.motion.strength
            x, y = (
                (0.0, 0.0)
                if each.is_anchor
                else (x - left * side_px / GRID, y - up * side_px / GRID)
            )
            yield dataclasses.replace(each, shift_px=(x, y))
    finally:
        arrays.close()


def _passes_of_files(scene: bpy.types.Scene, needed: frozenset[str]) -> frozenset[str]:
    """Of the passes needed, those that the rendered files have; they take the place of captured
    ones."""
    settings = scene.t2vz
    if not rendered_passes.holds_passes(scene, settings.rendered):
        return frozenset()
    return needed & (
        rendered_passes.PASSES
        | (rendered_passes.VECTORS if settings.motion_source == "vectors" else frozenset())
    )
