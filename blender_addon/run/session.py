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
from ..capture.scene_print import scene_print
from ..job.engine import Engine, worker_command
from ..job.folders import is_job
from ..job.generation import CANCELLED, FAILED, FINISHED, Generation, caption, sentence
from ..job.left_over import LeftOver
from . import edit_scenes, live, queue_file, strips, unfinished
from .assignments import values

TICK_S = 0.1
CAPTURE_TICK_S = 0.01
# so long after a generation the model is kept loaded; then its memory is the artist's again
WARM_S = 600.0
EDITORS = {"VIEW_3D", "SEQUENCE_EDITOR"}
Conclude = Callable[[Generation, bpy.types.Scene], None]


@dataclasses.dataclass
class Task:
    """One generation, the scene it is of, the scene that takes its strip, and what becomes of
    it.

    Scenes are known by their session_uid, which stays through renaming and undo.
    """

    generation: Generation
    scene_uid: int
    target_uid: int
    home: tuple[str, str]  # the .blend and the name of the scene that takes the strip
    conclude: Conclude
    when_captured: Callable[[Generation], None] | None = None
    has_strip: bool = False

    @property
    def title(self) -> str:
        """What the queue calls it."""
        return strips.name_of(self.generation.folder, self.generation.spec)


@dataclasses.dataclass
class Session:
    """What this Blender is making, what waits behind it, and what it must tell the artist."""

    task: Task | None = None  # under way, or the last one
    waiting: list[Task] = dataclasses.field(default_factory=list)
    left_over: list[LeftOver] = dataclasses.field(default_factory=list)  # of earlier Blenders
    is_paused: bool = False
    scene_prints: dict[int, bytes] = dataclasses.field(default_factory=dict)  # before an undo
    refusal: str = ""
    asked: Any = None  # what was set in the scene when the last sentence was said
    scene_user: str = ""
    warm_engine: Engine | None = None
    chosen: tuple[Path, Path] | None = None  # its Python and its models folder

    @property
    def generation(self) -> Generation | None:
        """Under way, or the last one."""
        return self.task.generation if self.task else None

    @property
    def is_busy(self) -> bool:
        """A generation is under way."""
        return self.generation is not None and self.generation.end is None

    @property
    def capturing(self) -> Generation | None:
        """The one to which the scene belongs at present."""
        tasks = ([self.task] if self.task else []) + self.waiting
        return next((t.generation for t in tasks if t.generation.is_capturing), None)

    @property
    def waits_for(self) -> str:
        """What the capture waits for to end; "" while it goes on, and when there is none."""
        return self.scene_user if self.capturing else ""

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


def folder_to_resume(scene: bpy.types.Scene) -> str:
    """The last job's folder where frames of it are missing, or this scene's from another day; else
    "" """
    if now.can_resume:
        return str(now.generation.folder)
    return str(unfinished.job_of(scene) or "") if now.generation is None else ""


def strip_of_last() -> tuple[bpy.types.Scene, Any] | None:
    """Scene and strip of the film that was made or begun last; None where there is none."""
    scene = _target_of(now.task) if now.task else None
    if scene is None or now.generation.is_preview:
        return None
    strip = strips.strip_of_job(scene, now.generation.folder)
    return None if strip is None else (scene, strip)


def import_strip(generation: Generation, scene: bpy.types.Scene) -> None:
    """Adds the strip by the button's own operator, so that it can be undone."""
    said = edit_scenes.keep_render(scene)
    bpy.ops.t2vz.import_frames(
        "EXEC_DEFAULT", True, directory=str(generation.folder), scene=scene.name, is_once=True
    )
    generation.notes.append(f"The film is a strip in the sequencer of {scene.name}: Show.")
    for note in (said, strips.caution(scene)):
        if note:
            generation.notes.append(note)


def begin(
    generation: Generation,
    scene: bpy.types.Scene,
    conclude: Conclude = import_strip,
    target: bpy.types.Scene | None = None,
    when_captured: Callable[[Generation], None] | None = None,
) -> None:
    """Drives a generation beside the artist's work, or queues it behind the one under way.

    `conclude` is called when it has finished, with `target`, the scene itself where none is named;
    `when_captured` once its job is whole on disk, before any frame is made.
    """
    into = target or scene
    home = (bpy.data.filepath, into.name)
    uids = (scene.session_uid, into.session_uid)
    task = Task(generation, *uids, home, conclude, when_captured)
    now.refusal, now.asked = "", asked_of(scene)
    if not generation.is_preview and conclude is import_strip:
        unfinished.remember(scene, generation.folder)
    if now.is_busy:
        generation.is_held = True
        now.waiting.append(task)
    else:
        now.task = task
    queue_file.write(now)
    _forget(stop_engine)
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, persistent=True)


def tick() -> float | None:
    """Goes on a little; returns the seconds until it wants to be called again, None at the end."""
    task = now.task
    if task is None:
        return None
    before = _shown()
    former, now.scene_user = now.scene_user, user_of_the_scene()
    # Playback that ends may jump back; by the next tick the scene has followed.
    is_scene_free = not (former or now.scene_user)
    if is_scene_free or not task.generation.is_capturing:
        _advance(task)
    if is_scene_free:
        _capture_behind(task)
    if task.generation.end is not None:
        take_next()
    if _shown() != before:
        redraw()
    if now.generation.end is not None and now.capturing is None:
        _forget(stop_engine)
        bpy.app.timers.register(stop_engine, first_interval=WARM_S, persistent=True)
        return None
    return CAPTURE_TICK_S if now.capturing and not now.waits_for else TICK_S


def cancel(task: Task) -> None:
    """Stops one task of the queue, or the one under way; frames already done are kept."""
    task.generation.cancel()
    if task in now.waiting:
        now.waiting.remove(task)
    queue_file.write(now)
    redraw()


def tasks_under_way() -> list[Task]:
    """The one that is made and those that wait."""
    return [*([now.task] if now.is_busy else []), *now.waiting]


def _capture_behind(task: Task) -> None:
    """Reads the scene for what waits, as the artist has it now, while the engine paints."""
    capturing = next((t for t in now.waiting if t.generation.is_capturing), None)
    if capturing is None or task.generation.is_capturing:
        return
    _advance(capturing)
    if capturing.generation.end is not None:
        now.waiting.remove(capturing)
        now.refusal = capturing.generation.error


def take_next() -> None:
    """The one that has ended makes room for the first that waits."""
    if now.waiting and not now.is_paused:
        now.task = now.waiting.pop(0)
        now.generation.is_held = False
    queue_file.write(now)


def _forget(timer: Callable[[], float | None]) -> None:
    if bpy.app.timers.is_registered(timer):
        bpy.app.timers.unregister(timer)


def _advance(task: Task) -> None:
    generation = task.generation
    newest, was_capturing = generation.newest, generation.is_capturing
    try:
        generation.step()
        is_captured = was_capturing and not generation.is_capturing and generation.end is None
        if is_captured and task.when_captured:
            task.when_captured(generation)
        if generation.newest != newest:
            live.show_newest(generation)
            _grow_strip(task)
        if generation.end == FINISHED:
            _conclude(task)
        if generation.end is not None:
            live.remember_time(generation)
        if generation.end in (FINISHED, CANCELLED) and not generation.is_without_scene:
            unfinished.forget(generation.folder)
    except Exception as error:
        traceback.print_exc()
        generation.fail(
            f"The add-on failed ({type(error).__name__}: {error}); "
            "Blender's console has the details."
        )


def _shown() -> tuple[object, ...]:
    """What the panel tells."""
    generation = now.generation
    return (
        caption(generation),
        len(generation.notes),
        generation.end,
        generation.error,
        now.waits_for,
        now.refusal,
        [task.generation.stage for task in now.waiting],
    )


def _grow_strip(task: Task) -> None:
    """Shows in the Sequencer what is done so far; a strip that the artist has removed stays
    away."""
    generation, scene = task.generation, _target_of(task)
    if task.conclude is not import_strip or scene is None or generation.is_capturing:
        return
    is_there = strips.strip_of_job(scene, generation.folder) is not None
    if is_there or not task.has_strip:
        if said := edit_scenes.keep_render(scene) if not is_there else "":
            generation.notes.append(said)
        strips.import_job(scene, generation.folder, generation.spec, is_once=True)
        task.has_strip = True


def user_of_the_scene() -> str:
    """What needs the scene's current frame to stay where it is, which a capture would move; "" if
    nothing does."""
    if bpy.app.is_job_running("RENDER"):
        return "the render"
    playing = any(
        window.screen.is_animation_playing for window in bpy.context.window_manager.windows
    )
    return "playback" if playing else ""


def _conclude(task: Task) -> None:
    scene = _target_of(task)
    if scene is None:
        task.generation.is_without_scene = True
        task.generation.notes.append(
            "Its scene is not open any more; Import Frames adds the strip to another one."
        )
    else:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            task.conclude(task.generation, scene)


def _scene_of(uid: int) -> bpy.types.Scene | None:
    return next((scene for scene in bpy.data.scenes if scene.session_uid == uid), None)


def _target_of(task: Task) -> bpy.types.Scene | None:
    """The scene that takes the strip, also where the file has been read again since."""
    file, name = task.home
    again = bpy.data.scenes.get(name) if file and file == bpy.data.filepath else None
    return _scene_of(task.target_uid) or again


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
    while capturing := now.capturing:
        capturing.fail(f"{reason} while the scene was captured, which ended it: generate again.")


@persistent
def _before_load(*_: object) -> None:
    """What was said of this file is not said in the next."""
    now.refusal = ""
    if not now.is_busy:
        now.task = None
    _end_capture("Another file was opened")


def _captures() -> list[Task]:
    """Whose frames are still read from a scene."""
    return [task for task in tasks_under_way() if task.generation.is_capturing]


@persistent
def _before_save(*_: object) -> None:
    """What is saved is the scene as the artist left it."""
    for task in _captures():
        task.generation.pause()


@persistent
def _before_undo(*_: object) -> None:
    """So is what the step is taken back from."""
    _before_save()
    scenes = filter(None, (_scene_of(task.scene_uid) for task in _captures()))
    now.scene_prints = {scene.session_uid: scene_print(scene) for scene in scenes}


@persistent
def _after_undo(*_: object) -> None:
    """Ends a capture that has begun, and whose scene is another one now."""
    for task in _captures():
        scene, before = _scene_of(task.scene_uid), now.scene_prints.get(task.scene_uid)
        if task.generation.done and (scene is None or before != scene_print(scene)):
            task.generation.fail(
                "A step that changed the scene was undone while it was captured, which ended it: "
                "generate again."
            )


HANDLERS = (
    ("load_pre", _before_load),
    ("save_pre", _before_save),
    ("undo_pre", _before_undo),
    ("redo_pre", _before_undo),
    ("undo_post", _after_undo),
    ("redo_post", _after_undo),
)


def register() -> None:
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)
    atexit.register(stop_engine)
    if not bpy.app.background:
        now.left_over = queue_file.left_over()


def unregister() -> None:
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    for timer in (tick, stop_engine):
        _forget(timer)
    _end_capture("The add-on was disabled")
    if now.is_busy:
        now.generation.fail("The add-on was disabled, which ended it.")
    now.waiting.clear()
    stop_engine()
    atexit.unregister(stop_engine)
