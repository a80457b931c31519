"""What the settings of a scene ask for, as a generation that is ready to be stepped."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import bpy
from mathutils import Color

from t2vz_core.wire.job import Colour, Frame, JobSpec
from t2vz_core.wire.rules import is_moved_by_scene, passes_needed

from .. import preferences
from ..capture import armatures, images, object_words, rendered_passes
from ..capture.animated_values import is_animated
from ..capture.cameras import aspect_of
from ..capture.capture import Wanted, object_numbers
from ..capture.meshes import MESHED
from ..job import folders, resume, timing
from ..job.engine import Engine
from ..job.generation import Generation
from ..job.settings import INSTRUCT, spec_of, suited_sentence
from . import models, settings_file
from .assignments import seed_of
from .scene_arrays import SceneArrays

FEW_DEPTHS = (
    "Grey shows the depths of these frames alone; "
    "the whole range, or Near and Far, shows the shot's."
)
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
    scene: bpy.types.Scene,
    worker: Engine | None,
    folder: Path | None = None,
    view_layer: str = "",
    numbers: list[int] | None = None,
) -> Generation:
    """The frames that the settings ask for, or `numbers`; `folder`, new or empty, takes the job,
    else one is made for it.

    A folder that holds this very job, interrupted, has it taken up. `view_layer` names the one that
    is captured, in place of the active one.

    Raises:
        ValueError: the settings do not make a job, in one sentence; nothing is left behind.
        OSError: the folder cannot be made.
    """
    shown = view_layer_of(scene, view_layer)
    spec = models.with_controlnets(scene.t2vz, _spec_of(scene))
    asked = numbers or scene.t2vz.frame_numbers()
    if worker is not None:
        _demand_words(spec)
        models.demand(scene.t2vz, spec)
    return _begun(scene, shown, spec, asked, worker, folder)


def retried(scene: bpy.types.Scene, worker: Engine, last: Generation) -> Generation:
    """What was captured for `last`, painted as the settings ask by now; the scene is not captured
    again. Frames that are done stay, and the others get a job of their own.

    Raises:
        ValueError: the settings ask for more than was captured, or for other frames.
        OSError: the folder cannot be written.
    """
    spec = models.with_controlnets(scene.t2vz, _spec_of(scene))
    _demand_words(spec)
    frames = last.spec.frames
    missing = passes_needed(spec, scene.t2vz.mode == INSTRUCT) - _passes_of(frames)
    if _captured_by(scene, spec) != last.captured_with or missing:
        raise ValueError(
            "The settings ask for what was not captured: Generate captures the scene again."
        )
    spec = _coloured(spec, frozenset())
    if scene.t2vz.rendered:  # whose numbers of objects may be the files' own
        spec = dataclasses.replace(spec, colours=last.spec.colours, regions=last.spec.regions)
    folder = last.folder
    if folders.finished_frames(folder, last.spec):
        home = preferences.jobs_home(scene.t2vz.output)
        folder = folders.new_folder(home, spec.prompt.text, datetime.now())
        folders.copy_passes(last.folder, folder)
    generation = Generation(folder, folders.finish(folder, spec, list(frames)), worker)
    generation.captured_with = last.captured_with
    if taken := suited_sentence(scene.t2vz, spec):
        generation.notes.append(taken)
    return generation


def _passes_of(frames: Sequence[Frame]) -> set[str]:
    """The passes that any frame has; anchors lack some that need none before them."""
    return {name for frame in frames for name, path in vars(frame.passes).items() if path}


def _captured_by(scene: bpy.types.Scene, spec: JobSpec) -> object:
    """The settings that decide what is captured, but for the passes."""
    asked = scene.t2vz
    named = tuple(thing and thing.name for thing in (asked.motion_object, asked.foreground))
    shot = (spec.shot.width_px, spec.shot.height_px, spec.motion.mode)
    return (*named, *shot, asked.motion_source, asked.motion_bone, asked.rendered, asked.has_flow)


def _demand_words(spec: JobSpec) -> None:
    """Nobody waits for a film of nothing; controls that guess do without words, and objects may
    have some of their own."""
    texts = [spec.prompt.text, *(key.text for key in spec.prompt.keys)]
    has_words = any(text.strip() for text in texts) or spec.regions
    if not has_words and not any(control.is_guess for control in spec.controls):
        raise ValueError("The prompt is empty: write what the frames show.")


def view_layer_of(scene: bpy.types.Scene, name: str = "") -> bpy.types.ViewLayer:
    """The scene's view layer of this name, or else the active one; also in background mode, the one
    that was when the file was saved.

    Raises:
        ValueError: it has no view layer of this name.
    """
    if name:
        if name not in scene.view_layers:
            known = ", ".join(layer.name for layer in scene.view_layers)
            raise ValueError(f"The scene {scene.name} has no view layer {name!r}; it has {known}.")
        return scene.view_layers[name]
    windows = [bpy.context.window, *bpy.context.window_manager.windows]
    shown = (window.view_layer for window in windows if window and window.scene == scene)
    return next(shown, scene.view_layers[0])


def one_frame_of(scene: bpy.types.Scene, worker: Engine) -> Generation:
    """The current frame with all settings; with it the first, from which the film's own frame takes
    its look.

    Raises:
        ValueError, OSError: as `generation_of`.
    """
    current = scene.frame_current
    numbers = sorted({min(scene.t2vz.frame_numbers()[0], current), current})
    return generation_of(scene, worker, numbers=numbers)


def estimate_of(scene: bpy.types.Scene, past: list[timing.Past]) -> timing.Estimate | None:
    """What Generate will take; None where the settings do not make a job."""
    try:
        frames = len(scene.t2vz.frame_numbers()) * scene.t2vz.takes
        return timing.estimate(_spec_of(scene), frames, past)
    except ValueError:
        return None


def size_of(scene: bpy.types.Scene) -> tuple[int, int]:
    """Width and height of the pictures, px."""
    shot = _spec_of(scene).shot
    return shot.width_px, shot.height_px


def preview_of(scene: bpy.types.Scene, worker: Engine, numbers: list[int]) -> Generation:
    """What of the scene steers these frames: conditions, pictures, motion.

    Raises:
        ValueError, OSError: as `generation_of`; nothing steers.
    """
    spec = _spec_of(scene)
    if not spec.controls and scene.t2vz.mode != INSTRUCT and spec.motion.mode == "none":
        raise ValueError("Nothing of the scene steers: the prompt alone decides what is seen.")
    generation = _begun(scene, view_layer_of(scene), spec, numbers, worker, is_preview=True)
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
    aspect = aspect_of(scene.render)
    spec = spec_of(scene.t2vz, aspect, preferences.stored_model, preferences.path_of_model)
    sampling = dataclasses.replace(spec.sampling, seed=seed_of(scene.t2vz))
    spec = _worded(scene, dataclasses.replace(spec, sampling=sampling))
    if scene.t2vz.rendered:  # their whole frame becomes the picture, whatever its shape
        pixel_aspect = aspect * spec.shot.height_px / spec.shot.width_px
        spec = dataclasses.replace(
            spec, shot=dataclasses.replace(spec.shot, pixel_aspect=round(pixel_aspect, 6))
        )
    if _is_keyed(scene):
        return dataclasses.replace(
            spec, motion=dataclasses.replace(spec.motion, mode="translation")
        )
    return spec


def _worded(scene: bpy.types.Scene, spec: JobSpec, has_files: bool = False) -> JobSpec:
    """The job with what is said of single objects."""
    regions = object_words.regions(scene, has_files)
    return dataclasses.replace(
        spec, regions=regions, repaints=object_words.repaints(scene, has_files)
    )


def _with_references(spec: JobSpec) -> JobSpec:
    """The job with the whole paths of its reference pictures.

    Raises:
        ValueError: one is not there.
    """
    found = []
    for one in spec.references:
        path = Path(bpy.path.abspath(one.picture))
        if one.picture and not path.is_file():
            raise ValueError(f"The reference {path} is not there: choose a picture.")
        found.append(dataclasses.replace(one, picture=str(path) if one.picture else ""))
    return dataclasses.replace(spec, references=tuple(found))


def _coloured(spec: JobSpec, from_files: frozenset[str]) -> JobSpec:
    """The job with the objects' colours, if it has segments."""
    if not any(control.kind == "segments" for control in spec.controls):
        return spec
    return dataclasses.replace(spec, colours=_colours("ids" in from_files))


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
    view_layer: bpy.types.ViewLayer,
    spec: JobSpec,
    numbers: list[int],
    worker: Engine | None,
    folder: Path | None = None,
    is_preview: bool = False,
) -> Generation:
    settings = scene.t2vz
    wanted = _wanted(scene, spec)
    from_files = _passes_of_files(scene, view_layer, wanted.passes, numbers)
    spec = _coloured(spec, from_files)
    if "ids" in from_files:
        spec = _worded(scene, spec, has_files=True)
    caution = ""
    if settings.rendered and "image" in wanted.passes - from_files:
        caution = images.check(scene, settings.rendered, numbers)
    spec = _with_references(spec)
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
    settings_file.write(folder / folders.PANEL, settings)
    spec = folders.keep_pictures(folder, spec)
    generation = Generation(folder, spec, worker, is_preview)
    generation.captured_with = _captured_by(scene, spec)
    generation.notes += [caution] if caution else []
    if not is_preview and (taken := suited_sentence(settings, spec)):
        generation.notes.append(taken)
    note = generation.notes.append
    arrays = SceneArrays(scene, view_layer, wanted, from_files, numbers, note, _is_keyed(scene))
    return generation.captures(arrays.behind, len(numbers), earlier)


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
    if settings.mode == "pose" and not armatures.is_anybody_known():
        raise ValueError(armatures.NOBODY)
    if _is_keyed(scene):  # nothing of the scene moves it
        by_hand = dataclasses.replace(spec.motion, mode="strength")
        spec = dataclasses.replace(spec, motion=by_hand)
    needed = passes_needed(spec, settings.mode == INSTRUCT)
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
        spec.shot.pixel_aspect,
        is_moved_by_scene(spec),
    )


def _passes_of_files(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    needed: frozenset[str],
    numbers: list[int],
) -> frozenset[str]:
    """Of the passes needed, those that all rendered files hold; they take the place of captured
    ones."""
    settings = scene.t2vz
    subject = settings.foreground
    held = rendered_passes.held(scene, view_layer, settings.rendered, numbers, subject)
    if settings.motion_source != "vectors":
        return needed & (held - rendered_passes.VECTORS)
    if not held >= rendered_passes.VECTORS:
        raise ValueError(
            "The rendered files lack the Vector or the Z pass: switch both on in the view layer's "
            "properties and render again, or take the motion from Geometry."
        )
    return needed & held
