"""The engine's page on its own health, as a text in the Text Editor."""

import subprocess
from pathlib import Path

import bpy

from .. import preferences
from ..job.engine import no_engine
from . import session

TEXT = "T2VZ Engine"
LIMIT_S = 120


class T2VZ_OT_test_engine(bpy.types.Operator):
    """Ask the engine what it has and what it lacks; the answer is a text in the Text Editor"""

    bl_idname = "t2vz.test_engine"
    bl_label = "Test Engine"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Runs `t2vz_core doctor`."""
        python = preferences.engine_python()
        if python is None:
            return session.refuse(self, ValueError(preferences.NO_ENGINE))
        context.window_manager.progress_begin(0, 1)
        try:
            answer = doctor(python)
        except ValueError as error:
            return session.refuse(self, error)
        finally:
            context.window_manager.progress_end()
        text = bpy.data.texts.get(TEXT) or bpy.data.texts.new(TEXT)
        text.from_string(answer)
        self.report({"INFO"}, f"The engine answers: read the text “{TEXT}” in the Text Editor")
        return {"FINISHED"}


def doctor(python: Path) -> str:
    """The engine's page about itself.

    Raises:
        ValueError: this is no engine.
    """
    command = [python, "-I", "-m", "t2vz_core", "doctor", "--models", preferences.models_home()]
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


CLASSES = (T2VZ_OT_test_engine,)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
