"""The command `blender -b scene.blend -c t2vz …`, which is also a function."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from t2vz_core.wire import presets
from t2vz_core.wire.ranges import numbers_in, with_negatives

from ..job.generation import CANCELLED, FAILED, FINISHED, Generation, sentence
from ..job.settings import MODES, SOURCES
from . import dry_run, edit_scenes, live, scene_job, session, settings_file, strips
from .assignments import Usage, assign
from .meters import JsonMeter, Meter, say, tell

NAME = "t2vz"
DONE, WRONG, USAGE, INTERRUPTED = 0, 1, 2, 130
CODES = {FINISHED: DONE, FAILED: WRONG, CANCELLED: INTERRUPTED}
POLL_S = 0.05


def main(arguments: list[str]) -> int:
    """Makes a video of the open .blend's scene.

    Returns 0 done, 1 failed with one sentence on stderr, 2 wrong usage, 130 cancelled by SIGINT.
    """
    try:
        asked = _parser().parse_args(with_negatives(arguments, "--frames"))
    except SystemExit as leaving:
        return int(leaving.code or DONE)
    try:
        return _perform(asked)
    except Usage as error:
        say(str(error))
        return USAGE
    except (OSError, ValueError, RuntimeError) as error:
        return _wrong(sentence(error))


def _perform(asked: argparse.Namespace) -> int:
    if not bpy.data.filepath:
        raise Usage(
            "No .blend file is open: name one that exists before -c, "
            "as in blender -b scene.blend -c t2vz …"
        )
    scene = _scene_named(asked.scene) if asked.scene else bpy.context.scene
    if asked.save and not asked.save.absolute().parent.is_dir():
        raise Usage(f"--save: there is no folder {asked.save.absolute().parent}; make it first.")
    if len(asked.settings) > 1 and asked.out:
        raise Usage("--out names one film's folder: leave it out where there are several.")
    for file in asked.settings or [None]:
        code = _one_film(asked, scene, file)
        if code != DONE:
            return code
    if asked.save and not asked.dry_run:
        bpy.ops.wm.save_as_mainfile(filepath=str(asked.save.absolute()), check_existing=False)
        say(f"Saved {asked.save}")
    return DONE


def _one_film(asked: argparse.Namespace, scene: bpy.types.Scene, file: Path | None) -> int:
    """The film of a settings file, or of the settings as they are, with what else is asked."""
    if file is not None and (unknown := settings_file.read(file, scene.t2vz)):
        say(f"{file}: not here, and left out: {', '.join(unknown)}")
    numbers = apply(asked, scene.t2vz)
    if asked.view_layer:
        _known(asked.view_layer, scene.view_layers, "view layer", f"The scene {scene.name}")
    if asked.dry_run:
        return _tell_dry(dry_run.look(scene), asked.json)
    worker = None if asked.capture_only else session.engine()
    out = asked.out and asked.out.absolute()
    generation = scene_job.generation_of(scene, worker, out, asked.view_layer, numbers)
    return carry_out(generation, scene, JsonMeter() if asked.json else Meter())


def _tell_dry(seen: dict[str, Any], is_json: bool) -> int:
    missing = seen["missing"]
    if is_json:
        tell("dry_run", **seen)
        return WRONG if missing else DONE
    for name, value in seen.items():
        if name != "missing":
            say(f"{name:<12} {'unknown' if value is None else value}")
    for each in missing:
        say(each)
    return WRONG if missing else DONE


def carry_out(
    generation: Generation,
    scene: bpy.types.Scene,
    meter: Callable[[Generation], None] | None = None,
) -> int:
    """Steps a generation to its end, adds its strip, and returns the exit code.

    `meter` is shown it after each step; without one progress goes to stderr.
    """
    meter = meter or Meter()
    interrupted = (
        threading.Event()
    )  # a signal comes in the midst of a step, and must wait for its end
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        _follow(generation, interrupted, meter)
    finally:
        signal.signal(
            signal.SIGINT, before or signal.SIG_DFL
        )  # None: the handler was Blender's own
        session.stop_engine()
    if isinstance(meter, JsonMeter):
        told = {"end": generation.end, "error": generation.error}
        tell("end", folder=str(generation.folder), frames=generation.frames_done, **told)
    live.remember_time(generation)
    if generation.end == FAILED:
        return _wrong(generation.error + (f" Log: {generation.log}" if generation.log else ""))
    if generation.end == CANCELLED:
        say("Cancelled; frames already done are kept.")
    elif generation.frames_done:
        target = edit_scenes.target_of(scene)
        notes = [edit_scenes.keep_render(target), strips.caution(target)]
        strips.import_job(target, generation.folder, generation.spec)
        for note in filter(None, (f"The film is in the Sequencer of {target.name}.", *notes)):
            say(note)
    say(str(generation.folder))
    return CODES[generation.end or FAILED]


def _scene_named(name: str) -> bpy.types.Scene:
    return _known(name, bpy.data.scenes, "scene", Path(bpy.data.filepath).name)


def _known(name: str, things: Any, kind: str, where: str) -> Any:
    if name not in things:
        names = ", ".join(thing.name for thing in things)
        raise Usage(f"{where} has no {kind} {name!r}; it has {names}.")
    return things[name]


def _follow(
    generation: Generation, interrupted: threading.Event, show: Callable[[Generation], None]
) -> None:
    while generation.end is None:
        if interrupted.is_set():
            generation.cancel()
        generation.step()
        show(generation)
        if not generation.is_capturing:
            time.sleep(POLL_S)


def apply(asked: argparse.Namespace, settings: bpy.types.PropertyGroup) -> list[int] | None:
    """Puts what the command line says into the scene's settings; returns the frames to make where
    they are no plain range.

    Raises:
        Usage: a setting that is not there or cannot have that value.
    """
    if asked.quality or asked.fast:
        settings.quality = asked.quality or presets.FAST
    for path in SETTINGS:
        value = getattr(asked, path.rpartition(".")[2])
        if value is not None:
            assign(settings, path, value)
    for text in asked.set:
        path, equals, value = text.partition("=")
        if not equals:
            raise Usage(f"--set {text}: write it as NAME=VALUE")
        assign(settings, path, value)
    if not asked.frames:
        return None
    settings.uses_scene_range = False
    settings.first, settings.last = asked.frames[0], asked.frames[-1]
    if len(asked.frames) == settings.last - settings.first + 1:
        return None
    return list(asked.frames[:: settings.every])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "blender -b scene.blend -c t2vz",
        description="Makes a styled video of the scene. What is not said here is as saved in the "
        ".blend.",
    )
    add = parser.add_argument
    add("--prompt", dest="text", metavar="TEXT", help="what the frames show")
    add("--negative", metavar="TEXT", help="what the frames must not show")
    add(
        "--frames",
        type=_frames,
        metavar="A-B",
        help="as in 1-16, -5--1 or 1,3,5 (default: the scene's range)",
    )
    add(
        "--every",
        type=int,
        metavar="N",
        help="make every n-th frame only and show it n frames long",
    )
    add(
        "--mode",
        choices=[mode[0] for mode in MODES],
        help="what the shapes in the picture follow",
    )
    add(
        "--motion",
        dest="motion_source",
        choices=[source[0] for source in SOURCES],
        help="what moves it",
    )
    add(
        "--flow",
        dest="has_flow",
        action="store_true",
        default=None,
        help="also write the flow from frame to frame",
    )
    add(
        "--model",
        dest="base",
        metavar="MODEL",
        help="'demo', a folder, a .safetensors file or a name in your models",
    )
    add("--seed", type=int, metavar="N", help="chooses the noise")
    add(
        "--fast",
        action="store_true",
        help="a quick solver with shortcuts, as the panel's preset Fast",
    )
    add(
        "--quality",
        choices=list(presets.PRESETS),
        help="solver, steps and shortcuts in one go, as in the panel",
    )
    add("--steps", type=int, metavar="N", help="denoising steps")
    add("--guidance", type=float, metavar="X", help="how closely the prompt is followed")
    add(
        "--size",
        dest="side_px",
        type=int,
        metavar="PX",
        help="side of the square with as many pixels",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other: coherence.smoothing=0.6, motion.strength=4,-2, foreground=Cast, "
        '\'model.loras=[{"path": "a.safetensors", "weight": 0.5}]\'',
    )
    add("--scene", metavar="NAME", help="the scene to take (default: the one that was active)")
    add(
        "--view-layer",
        default="",
        metavar="NAME",
        help="the view layer to capture (default: the one that was active)",
    )
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="the job's folder: new, empty, or with this job interrupted (default: "
        "a new one beside the .blend)",
    )
    add("--save", type=Path, metavar="FILE", help="save the .blend with its strip under this name")
    add(
        "--settings",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="settings saved by the panel; of several, one film each, in turn",
    )
    add("--dry-run", action="store_true", help="say what would be made and what is missing")
    add("--json", action="store_true", help="tell progress as JSON lines on stdout")
    add("--capture-only", action="store_true", help="write the job folder and make no frames")
    return parser


SETTINGS = (
    "prompt.text",
    "prompt.negative",
    "every",
    "mode",
    "motion_source",
    "has_flow",
    "model.base",
    "sampling.seed",
    "sampling.steps",
    "sampling.guidance",
    "side_px",
)


def _frames(text: str) -> tuple[int, ...]:
    try:
        return numbers_in(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _wrong(text: str) -> int:
    say(text)
    return WRONG


def register() -> None:
    """Makes the command known where Blender has commands; kept so that `unregister` can take it
    back."""
    global _command
    _command = bpy.utils.register_cli_command(NAME, main)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_command)
