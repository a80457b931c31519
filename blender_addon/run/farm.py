"""*Send to Farm*: the shot is captured; the engine writes beside it what a render farm needs."""

from __future__ import annotations

import subprocess
import tempfile
from functools import partial
from pathlib import Path

import bpy
from bpy.props import EnumProperty

from .. import preferences
from ..job.engine import OPTIONS
from ..job.generation import Generation
from . import scene_job, session

TICK_S = 0.3


def send(scene: bpy.types.Scene, engine: str) -> None:
    """Begins to capture; no frame is made on this machine.

    Raises:
        ValueError: the settings do not make a job, or no engine is found.
        OSError: the job's folder cannot be made.
    """
    python = preferences.engine_python()
    if python is None:
        raise ValueError(preferences.NO_ENGINE)
    generation = scene_job.generation_of(scene, None)
    session.begin(generation, scene, partial(hand_over, python, engine))


def hand_over(python: Path, engine: str, generation: Generation, _: bpy.types.Scene) -> None:
    """Has the engine write the farm's files into the captured job's folder, and tells what it says
    when it has."""
    out = generation.folder / f"farm-{engine}"
    words = ["farm", generation.folder, "--engine", engine, "--out", out]
    said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - kept
    models = ["--models", preferences.models_home()] if preferences.models_home().is_dir() else []
    command = [python, *OPTIONS, *words, *models]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def look() -> float | None:
        if process.poll() is None:
            return TICK_S
        said.seek(0)
        generation.notes += [line for line in said.read().splitlines() if line.strip()]
        if process.returncode:
            session.now.refusal = generation.notes[-1] if generation.notes else "No files written."
        said.close()
        session.redraw()
        return None

    bpy.app.timers.register(look, first_interval=TICK_S, persistent=True)


class T2VZ_OT_send_to_farm(bpy.types.Operator):
    """Capture the frame range, and write beside it what a render farm needs to paint it"""

    bl_idname = "t2vz.send_to_farm"
    bl_label = "Send to Farm"

    engine: EnumProperty(
        name="Farm",
        items=(
            ("openjd", "OpenJD", "A template for openjd run and AWS Deadline Cloud"),
            ("flamenco", "Flamenco", "A job type and a job for a Flamenco 3 Manager"),
        ),
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only one generation at a time."""
        return not session.now.is_busy

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Begins, and leaves the rest to the timer."""
        try:
            send(context.scene, self.engine)
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        return {"FINISHED"}


def register() -> None:
    bpy.utils.register_class(T2VZ_OT_send_to_farm)


def unregister() -> None:
    bpy.utils.unregister_class(T2VZ_OT_send_to_farm)
