"""The engine's page on its own health: in the preferences, and as a text in the Text Editor."""

import subprocess
from pathlib import Path

import bpy

from .. import preferences
from ..job.engine import no_engine
from . import session

TEXT = "T2VZ Engine"
LIMIT_S = 120
TICK_S = 0.3

_asked: list[tuple[Path, subprocess.Popen[str]]] = []


class T2VZ_OT_test_engine(bpy.types.Operator):
    """Ask the engine what it has and what it lacks"""

    bl_idname = "t2vz.test_engine"
    bl_label = "Test Engine"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Runs `t2vz_core doctor`, beside the artist's work where timers run."""
        try:
            python = preferences.engine_python()
            if python is None:
                raise ValueError(preferences.NO_ENGINE)
            if bpy.app.background:
                show_text(doctor(python))
            else:
                ask(python)
        except ValueError as error:
            return session.refuse(self, error)
        return {"FINISHED"}


def show_text(words: str) -> None:
    """Puts them into the text of the Text Editor."""
    text = bpy.data.texts.get(TEXT) or bpy.data.texts.new(TEXT)
    text.from_string(words)


def ask(python: Path) -> None:
    """Starts the engine's doctor; its answer comes into the preferences.

    Raises:
        ValueError: it cannot be started.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    try:
        _asked[:] = [(python, subprocess.Popen(_command(python), **pipes))]
    except OSError as error:
        raise ValueError(no_engine(python, str(error.strerror))) from error
    preferences.answer[:] = ["Asking the engine…"]
    if not bpy.app.timers.is_registered(_listen):
        bpy.app.timers.register(_listen, persistent=True)


def _listen() -> float | None:
    """Waits for the answer."""
    if not _asked:
        return None
    python, process = _asked[0]
    if process.poll() is None:
        return TICK_S
    said = (process.stdout.read() if process.stdout else "").strip()
    if process.returncode:
        said = no_engine(python, said.rpartition("\n")[2] or f"exit code {process.returncode}")
    preferences.answer[:] = said.splitlines()
    show_text(said)
    _asked.clear()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()
    return None


def doctor(python: Path) -> str:
    """The engine's page about itself.

    Raises:
        ValueError: this is no engine.
    """
    command = _command(python)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().rpartition("\n")[2]
        raise ValueError(no_engine(python, words or f"exit code {error.returncode}")) from error
    except subprocess.TimeoutExpired as error:
        raise ValueError(no_engine(python, f"no answer within {LIMIT_S} s")) from error
    except OSError as error:
        raise ValueError(no_engine(python, str(error.strerror))) from error
    return done.stdout + done.stderr


def _command(python: Path) -> list[str]:
    models = str(preferences.models_home())
    return [str(python), "-I", "-m", "t2vz_core", "doctor", "--models", models]


CLASSES = (T2VZ_OT_test_engine,)


def register() -> None:
    for kind in CLASSES:
        bpy.utils.register_class(kind)


def unregister() -> None:
    for _, process in _asked:
        process.kill()
    _asked.clear()
    if bpy.app.timers.is_registered(_listen):
        bpy.app.timers.unregister(_listen)
    for kind in CLASSES:
        bpy.utils.unregister_class(kind)
