"""The one engine and the one generation of this Blender, driven by a timer so that Blender stays usable."""

from __future__ import annotations

import atexit
import dataclasses
import traceback
from datetime import datetime
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from t2vz_core.wire.job import JobSpec, read_job

from . import jobs, preferences
from .capture import Wanted, capture
from .engine import Engine, worker_command
from .generation import FINISHED, Generation
from .properties import T2VZ_Settings

TICK_S = 0.1
CAPTURE_TICK_S = 0.01
EDITORS = {"VIEW_3D", "SEQUENCE_EDITOR"}
TARGETED = {"object": "object", "own": "own", "both": "sum"}  # our motion sources that need an object: capture's


@dataclasses.dataclass
class Session:
    """What this Blender is making, or made last, and what it must tell the artist."""

    generation: Generation | None = None
    scene_name: str = ""
    refusal: str = ""
    warm_engine: Engine | None = None
    python: Path | None = None

    @property
    def is_busy(self) -> bool:
        """A generation is under way."""
        return self.generation is not None and self.generation.end is None

    @property
    def error(self) -> str:
        """The sentence that ended the last generation, or kept it from beginning."""
        return self.refusal or (self.generation.error if self.generation else "")


now = Session()


def engine() -> Engine:
    """The warm engine; a fresh one where the preferences name another Python by now.

    Raises:
        ValueError: no engine is found.
    """
    python = preferences.engine_python()
    if python is None:
        raise ValueError(preferences.NO_ENGINE)
    if now.warm_engine is None or python != now.python:
        stop_engine()
        log = preferences.own_folder("logs") / "engine.log"
        now.warm_engine, now.python = Engine(worker_command(python), log), python
    return now.warm_engine


def stop_engine() -> None:
    """Ends the worker process, and with it what is under way."""
    if now.warm_engine is not None:
        now.warm_engine.stop()
    now.warm_engine = None


def generation_of(scene: bpy.types.Scene, worker: Engine | None, folder: Path | None = None) -> Generation:
    """What the scene's settings ask for, ready to be stepped; `folder` takes the job, else a new one is made.

    Raises:
        ValueError: the settings or the scene do not make a job, in one sentence.
        OSError: the folder cannot be made.
    """
    settings = scene.t2vz
    numbers = settings.frame_numbers()
    spec = jobs.spec_of(settings, _aspect(scene), preferences.find_model)
    wanted = _wanted(settings, spec)
    home = preferences.jobs_home(settings.output)
    generation = Generation(folder or jobs.new_folder(home, spec.prompt.text, datetime.now()), spec, worker)
    view_layer = scene.view_layers[0] if scene != bpy.context.scene else bpy.context.view_layer
    arrays = capture(scene, view_layer, wanted, numbers, generation.notes.append)
    return generation.captures(arrays, len(numbers))


def _wanted(settings: T2VZ_Settings, spec: JobSpec) -> Wanted:
    if settings.motion_source in TARGETED and settings.motion_object is None:
        raise ValueError("Choose the object whose movement is followed, or take the motion from the camera.")
    return Wanted(
        spec.shot.width_px,
        spec.shot.height_px,
        frozenset(jobs.passes_needed(spec, settings.mode)),
        TARGETED.get(settings.motion_source, "camera"),
        settings.motion_object,
        settings.motion_bone,
        settings.foreground,
    )


def resumed(folder: Path, worker: Engine) -> Generation:
    """The job of a folder, taken up where it stopped.

    Raises:
        ValueError: the folder holds no job.
    """
    return Generation(folder, read_job(folder), worker)


def begin(generation: Generation, scene: bpy.types.Scene) -> None:
    """Drives a generation in the background of the user interface; its strip will go into this scene."""
    now.generation, now.scene_name, now.refusal = generation, scene.name, ""
    bpy.app.timers.register(tick, persistent=True)


def tick() -> float | None:
    """Goes on a little; returns the seconds until it wants to be called again, None at the end."""
    generation = now.generation
    if generation is None:
        return None
    if generation.is_capturing and _is_scene_in_use():
        return TICK_S
    try:
        _step(generation)
    except Exception as error:
        traceback.print_exc()
        generation.fail(f"The add-on failed ({type(error).__name__}: {error}); Blender's console has the details.")
    redraw()
    if generation.end is None:
        return CAPTURE_TICK_S if generation.is_capturing else TICK_S
    _conclude(generation)
    return None


def _step(generation: Generation) -> None:
    scene = bpy.data.scenes.get(now.scene_name)
    if not generation.is_capturing or scene is None:
        return generation.step()
    frame, part = scene.frame_current, scene.frame_subframe
    generation.step()
    if generation.is_capturing:  # between two steps the artist may look, save or undo: show no other frame
        scene.frame_set(frame, subframe=part)


def _is_scene_in_use() -> bool:
    """A render reads the scene, or it plays: its current frame must not be moved now."""
    playing = any(window.screen.is_animation_playing for window in bpy.context.window_manager.windows)
    return playing or bpy.app.is_job_running("RENDER")


def _conclude(generation: Generation) -> None:
    window = bpy.context.window_manager.windows[0]
    scene = bpy.data.scenes.get(now.scene_name)
    if generation.end != FINISHED or generation.is_preview:
        return
    if scene is None:
        generation.notes.append("Its scene is not open any more; Import Frames adds the strip to another one.")
        return
    with bpy.context.temp_override(window=window):
        bpy.ops.t2vz.import_frames("EXEC_DEFAULT", True, directory=str(generation.folder), scene=scene.name)


def redraw() -> None:
    """Has the panels drawn anew."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in EDITORS:
                area.tag_redraw()


@persistent
def _before_load(*_: object) -> None:
    """Another file is opened: a capture ends with its scene, the engine goes on but its frames have no scene."""
    if now.is_busy and now.generation.is_capturing:
        now.generation.fail("Another file was opened while the scene was captured: open it again and generate again.")
    now.scene_name = ""


@persistent
def _before_undo(*_: object) -> None:
    """Undo replaces the data that a capture holds."""
    if now.is_busy and now.generation.is_capturing:
        now.generation.fail("Undo while the scene was captured ended the capture: generate again.")


HANDLERS = (("load_pre", _before_load), ("undo_pre", _before_undo), ("redo_pre", _before_undo))


def register() -> None:
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)
    atexit.register(stop_engine)


def unregister() -> None:
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if now.is_busy:
        now.generation.cancel()
    stop_engine()
    atexit.unregister(stop_engine)


def _aspect(scene: bpy.types.Scene) -> float:
    render = scene.render
    return render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
