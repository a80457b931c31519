"""The engine's page on its own health, as a text in the Text Editor."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

import bpy

from .. import preferences
from ..job.engine import OPTIONS, no_engine
from . import session

TEXT = "T2VZ Engine"
LIMIT_S = 120
TICK_S = 0.2
ASKING = "Asking the engine what it has…"


class Question:
    """`t2vz_core doctor` under way in a process of its own; Blender goes on meanwhile.

    Raises:
        ValueError: this Python cannot be started.
    """

    def __init__(self, python: Path) -> None:
        command = [python, *OPTIONS, "doctor", "--models", preferences.models_home()]
        self._python, self._last = python, time.monotonic() + LIMIT_S
        self._said, self._complained = _kept(), _kept()
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._complained
            )
        except OSError as error:
            raise ValueError(no_engine(python, str(error.strerror))) from error

    def answer(self) -> str | None:
        """The engine's page about itself; None while it is not there yet.

        Raises:
            ValueError: this is no engine, or it does not answer.
        """
        code = self._process.poll()
        if code is None and time.monotonic() > self._last:
            self.stop()
            raise ValueError(no_engine(self._python, f"no answer within {LIMIT_S} s"))
        if code is None:
            return None
        said, complained = (_text_of(file) for file in (self._said, self._complained))
        if code:
            words = complained.strip().rpartition("\n")[2] or f"exit code {code}"
            raise ValueError(no_engine(self._python, words))
        return said + complained

    def stop(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()


class T2VZ_OT_test_engine(bpy.types.Operator):
    """Ask the engine what it has and what it lacks; the answer is a text in the Text Editor"""

    bl_idname = "t2vz.test_engine"
    bl_label = "Test Engine"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """One question at a time."""
        return question is None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Asks, and leaves the rest to a timer; in background mode, where none runs, waits."""
        try:
            ask()
            if not bpy.app.background:
                context.workspace.status_text_set(ASKING)
                bpy.app.timers.register(tick, first_interval=TICK_S, persistent=True)
                return {"FINISHED"}
            while not heard():
                time.sleep(TICK_S)
        except ValueError as error:
            return session.refuse(self, error)
        return {"FINISHED"}


question: Question | None = None


def ask() -> None:
    """Begins to ask the engine of the preferences.

    Raises:
        ValueError: there is none, or it cannot be started.
    """
    global question
    python = preferences.engine_python()
    if python is None:
        raise ValueError(preferences.NO_ENGINE)
    question = Question(python)
    preferences.answer[:] = [ASKING]


def heard() -> bool:
    """Whether the answer has come; it is in the preferences and the Text Editor then.

    Raises:
        ValueError: there will be none.
    """
    global question
    assert question is not None
    asked, question = question, None
    answer = asked.answer()
    if answer is None:
        question = asked
        return False
    preferences.answer[:] = answer.splitlines()
    show_text(answer)
    return True


def show_text(words: str) -> None:
    """Puts them into the text of the Text Editor."""
    text = bpy.data.texts.get(TEXT) or bpy.data.texts.new(TEXT)
    text.from_string(words)


def tick() -> float | None:
    """Looks whether the answer has come, and shows it."""
    if question is None:
        return None
    try:
        if not heard():
            return TICK_S
        _show(f"The engine answers: read it in the preferences, or as the text “{TEXT}”")
    except ValueError as error:
        preferences.answer[:] = [str(error)]
        session.now.refusal = str(error)
        _show(str(error))
    return None


def _show(sentence: str) -> None:
    """A word where the artist looks, since a timer has no report."""
    for workspace in bpy.data.workspaces:
        workspace.status_text_set(None)
    session.redraw()
    manager = bpy.context.window_manager
    if manager.windows and not bpy.app.background:
        with bpy.context.temp_override(window=manager.windows[0]):
            manager.popup_menu(lambda menu, _: menu.layout.label(text=sentence), title="T2VZ")


def _kept() -> IO[str]:
    """A file for what the engine says; a pipe would fill up."""
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


def _text_of(file: IO[str]) -> str:
    file.seek(0)
    text = file.read()
    file.close()
    return text


def register() -> None:
    bpy.utils.register_class(T2VZ_OT_test_engine)


def unregister() -> None:
    global question
    if question is not None:
        question.stop()
        question = None
    bpy.utils.unregister_class(T2VZ_OT_test_engine)
