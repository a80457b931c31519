"""The one engine and the one generation of this Blender, driven by a timer so that Blender stays
usable."""

from __future__ import annotations

import atexit
import dataclasses
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from t2vz_core.wire.homes import MODELS_VARIABLE
from t2vz_core.wire.job import read_job

from .. import preferences
from ..job.engine import Engine, worker_command
from ..job.folders import is_job
from ..job.generation import CANCELLED, FAILED, FINISHED, Generation, caption, sentence
from . import strips, unfinished
from .assignments import values

TICK_S = 0.1
CAPTURE_TICK_S = 0.01
# so long after a generation the model is kept loaded; then its memory is the artist's again
WARM_S = 600.0
EDITORS = {"VIEW_3D", "SEQUENCE_EDITOR"}
Conclude = Callable[[Generation, bpy.types.Scene], None]


@dataclasses.dataclass
class Session:
    """What this Blender is making, or made last, and what it must tell the artist."""

    generation: Generation | None = None
    scene_uid: int = 0  # stays through renaming and undo, and no other file has it
    conclude: Conclude | None = None
    home: tuple[str, str] = ("", "")  # the .blend and the name of the generation's scene
    refusal: str = ""
    asked: Any = None  # what was set in the scene when the last sentence was said
    scene_user: str = ""
    warm_engine: Engine | None = None
    chosen: tuple[Path, Path] | None = None  # its Python and its models folder

    @property
    def is_busy(self) -> bool:
        """A generation is under way."""
        return self.generation is not None and self.generation.end is None

    @property
    def waits_for(self) -> str:
        """What the capture waits for to end; "" while it goes on, and when there is none."""
        return self.scene_user if self.is_busy and self.generation.is_capturing else ""

    @property
    def can_resume(self) -> bool:
        """The last generation has left a job that is not done."""
        last = self.generation
        return (
            last is not None
            and last.end in (FAILED, CANCELLED)
            and not last.is_preview
            and is_job(last.folder)
        )

    @property
    def notes(self) -> list[str]:
        """What the artist should know of the generation that is shown."""
        return self.generation.notes if self.generation and not self.refusal else []

    @property
    def error(self) -> str:
        """The sentence that ended the last generation, or kept it from beginning."""
        return self.refusal or (self.generation.error if self.generation else "")


now = Session()


def asked_of(scene: bpy.types.Scene) -> Any:
    """All that a sentence about this scene's settings may have been about."""
    render = scene.render
    return (
        *values(scene.t2vz),
        (scene.name, scene.camera and scene.camera.name, scene.frame_start, scene.frame_end),
        (render.resolution_x, render.resolution_y, render.resolution_percentage),
    )


def is_outdated(scene: bpy.types.Scene) -> bool:
    """What the last sentence was about has been changed since."""
    return now.asked is not None and now.asked != asked_of(scene)


def engine() -> Engine:
    """The warm engine; a fresh one where the preferences name another Python or models folder by
    now.

    Raises:
        ValueError: no engine is found.
    """
    python = preferences.engine_python()
    if python is None:
        raise ValueError(preferences.NO_ENGINE)
    chosen = (python, preferences.models_home())
    if now.warm_engine is None or chosen != now.chosen:
        stop_engine()
        log = preferences.own_folder("logs") / "engine.log"
        models = {MODELS_VARIABLE: str(chosen[1])}
        now.warm_engine, now.chosen = Engine(worker_command(python), log, variables=models), chosen
    return now.warm_engine


def stop_engine() -> None:
    """Ends the worker process, and with it what is under way."""
    if now.warm_engine is not None:
        now.warm_engine.stop()
    now.warm_engine = None


def resumed(folder: Path, worker: Engine) -> Generation:
    """The job of a folder, taken up where it stopped.

    Raises:
        ValueError: the folder holds no job.
    """
    return Generation(folder, read_job(folder), worker)


def import_strip(generation: Generation, scene: bpy.types.Scene) -> None:
    """Adds the strip by the button's own operator, so that it can be undone."""
    bpy.ops.t2vz.import_frames(
        "EXEC_DEFAULT", True, directory=str(generation.folder), scene=scene.name
    )
    generation.notes.append(f"The film is a strip in the sequencer of {scene.name}.")
    if caution := strips.caution(scene):
        generation.notes.append(caution)


def begin(
    generation: Generation, scene: bpy.types.Scene, conclude: Conclude = import_strip
) -> None:
    """Drives a generation beside the artist's work; `conclude` is called when it has finished in
    its scene."""
    now.generation, now.conclude, now.refusal = generation, conclude, ""
    now.scene_uid, now.home = scene.session_uid, (bpy.data.filepath, scene.name)
    now.asked = asked_of(scene)
    if not generation.is_preview:
        unfinished.remember(scene, generation.folder)
    _forget(stop_engine)
    bpy.app.timers.register(tick, persistent=True)


def tick() -> float | None:
    """Goes on a little; returns the seconds until it wants to be called again, None at the end."""
    generation = now.generation
    if generation is None:
        return None
    before = _shown(generation)
    former, now.scene_user = now.scene_user, _user_of_the_scene()
    # Playback that ends may jump back; by the next tick the scene has followed.
    if not (generation.is_capturing and (former or now.scene_user)):
        _advance(generation)
    if _shown(generation) != before:
        redraw()
    if generation.end is not None:
        _forget(stop_engine)
        bpy.app.timers.register(stop_engine, first_interval=WARM_S, persistent=True)
        return None
    return CAPTURE_TICK_S if generation.is_capturing and not now.waits_for else TICK_S


def _forget(timer: Callable[[], float | None]) -> None:
    if bpy.app.timers.is_registered(timer):
        bpy.app.timers.unregister(timer)


def _advance(generation: Generation) -> None:
    try:
        generation.step()
        if generation.end == FINISHED:
            _conclude(generation)
        if generation.end in (FINISHED, CANCELLED) and not generation.is_without_scene:
            unfinished.forget(generation.folder)
    except Exception as error:
        traceback.print_exc()
        generation.fail(
            f"The add-on failed ({type(error).__name__}: {error}); "
            "Blender's console has the details."
        )


def _shown(generation: Generation) -> tuple[object, ...]:
    """What the panel tells of it."""
    return (
        caption(generation),
        len(generation.notes),
        generation.end,
        generation.error,
        now.waits_for,
    )


def _user_of_the_scene() -> str:
    """What needs the scene's current frame to stay where it is, which a capture would move; "" if
    nothing does."""
    if bpy.app.is_job_running("RENDER"):
        return "the render"
    playing = any(
        window.screen.is_animation_playing for window in bpy.context.window_manager.windows
    )
    return "playback" if playing else ""


def _conclude(generation: Generation) -> None:
    scene = _scene_of_the_run()
    if scene is None:
        generation.is_without_scene = True
        generation.notes.append(
            "Its scene is not open any more; Import Frames adds the strip to another one."
        )
    else:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            now.conclude(generation, scene)


def _scene_of_the_run() -> bpy.types.Scene | None:
    """Its scene, also where the file has been read again since."""
    for scene in bpy.data.scenes:
        if scene.session_uid == now.scene_uid:
            return scene
    file, name = now.home
    return bpy.data.scenes.get(name) if file and file == bpy.data.filepath else None


def redraw() -> None:
    """Has the sidebars drawn anew, and not the views beside them, which may take long."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in EDITORS:
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def refuse(operator: bpy.types.Operator, error: Exception) -> set[str]:
    """What an operator that cannot begin returns; the panel keeps the sentence."""
    now.refusal, now.asked = sentence(error), asked_of(bpy.context.scene)
    redraw()
    operator.report({"WARNING"}, now.refusal)
    return {"CANCELLED"}


def _end_capture(reason: str) -> None:
    """The scene must be as it was, and let go, before Blender does what `reason` says."""
    if now.is_busy and now.generation.is_capturing:
        now.generation.fail(
            f"{reason} while the scene was captured, which ended it: generate again."
        )


@persistent
def _before_load(*_: object) -> None:
    """What was said of this file is not said in the next."""
    now.refusal = ""
    if not now.is_busy:
        now.generation = None
    _end_capture("Another file was opened")


@persistent
def _before_save(*_: object) -> None:
    _end_capture("The file was saved")


@persistent
def _before_undo(*_: object) -> None:
    _end_capture("A step was undone")


HANDLERS = (
    ("load_pre", _before_load),
    ("save_pre", _before_save),
    ("undo_pre", _before_undo),
    ("redo_pre", _before_undo),
)


def register() -> None:
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)
    atexit.register(stop_engine)


def unregister() -> None:
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    for timer in (tick, stop_engine):
        _forget(timer)
    if now.is_busy:
        now.generation.fail("The add-on was disabled, which ended it.")
    stop_engine()
    atexit.unregister(stop_engine)
