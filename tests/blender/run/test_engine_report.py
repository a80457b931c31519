"""The engine's own page comes into the Text Editor."""

import time

import bpy
import pytest

from blender_addon import preferences
from blender_addon.run import engine_report, session


@pytest.fixture
def python(tmp_path, monkeypatch):
    """An engine that answers with the words it was asked with."""
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv(preferences.ENGINE_VARIABLE, str(program))
    yield program
    session.now.refusal = ""


def test_the_answer_is_a_text_and_knows_the_models_folder_of_the_preferences(python):
    assert bpy.ops.t2vz.test_engine() == {"FINISHED"}
    said = bpy.data.texts[engine_report.TEXT].as_string()
    assert f"-X utf8 -m t2vz_core doctor --models {preferences.models_home()}" in said


def test_blender_goes_on_while_the_engine_answers(python):
    python.write_text("#!/bin/sh\nsleep 0.5\necho well\n")
    began = time.monotonic()
    engine_report.ask()
    assert time.monotonic() - began < 0.4
    assert engine_report.tick() and not bpy.ops.t2vz.test_engine.poll()
    while engine_report.tick() is not None:
        time.sleep(0.05)
    assert bpy.data.texts[engine_report.TEXT].as_string().strip() == "well"
    assert bpy.ops.t2vz.test_engine.poll()


def test_an_engine_that_says_very_much_is_heard_to_the_end(python):
    python.write_text("#!/bin/sh\nfor i in $(seq 30000); do echo $i; done\n")
    assert bpy.ops.t2vz.test_engine() == {"FINISHED"}
    assert bpy.data.texts[engine_report.TEXT].as_string().split()[-1] == "30000"


def test_an_engine_that_cannot_be_started_is_a_sentence(python):
    python.write_text("")
    python.chmod(0o644)
    assert bpy.ops.t2vz.test_engine() == {"CANCELLED"}
    assert str(python) in session.now.refusal


def test_a_python_without_an_engine_is_a_sentence_and_no_text(python):
    python.write_text("#!/bin/sh\necho 'No module named t2vz_core' >&2\nexit 1\n")
    assert bpy.ops.t2vz.test_engine() == {"CANCELLED"}
    assert (
        "No module named t2vz_core" in session.now.refusal and "preferences" in session.now.refusal
    )
