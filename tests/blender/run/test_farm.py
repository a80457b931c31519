"""*Send to Farm* captures the shot and has the engine write beside it; no frame is made here."""

import time

import bpy
import pytest

from blender_addon import preferences
from blender_addon.run import farm, session
from t2vz_core.wire.job import read_job
from tests.blender.driving import to_the_end


@pytest.fixture
def python(tmp_path, monkeypatch):
    """An engine that says what it was asked for."""
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "$@" >&2\n')
    program.chmod(0o755)
    monkeypatch.setenv(preferences.ENGINE_VARIABLE, str(program))
    yield program
    session.now.refusal = ""


@pytest.fixture
def timers(monkeypatch):
    """The timers that were begun, since none runs in background mode."""
    begun, begin = [], bpy.app.timers.register

    def register(timer, **words):
        if timer.__module__ == farm.__name__:
            begun.append(timer)
        else:
            begin(timer, **words)

    monkeypatch.setattr(farm.bpy.app.timers, "register", register, raising=False)
    return begun


def until_heard(timers):
    (look,) = timers
    while look() is not None:
        time.sleep(0.02)


def sent(engine, timers):
    assert bpy.ops.t2vz.send_to_farm(engine=engine) == {"FINISHED"}
    generation = to_the_end()
    assert generation.end == "finished", generation.error
    until_heard(timers)
    return generation


@pytest.mark.parametrize("engine", ["openjd", "flamenco"])
def test_the_shot_is_captured_and_the_engine_asked_for_the_farms_files(
    scene, python, timers, engine
):
    generation = sent(engine, timers)
    assert [frame.number for frame in read_job(generation.folder).frames] == [1, 2, 3]
    words = generation.notes[-1]
    assert f"-m t2vz_core farm {generation.folder} --engine {engine}" in words
    assert str(generation.folder / f"farm-{engine}") in words and not session.now.refusal
    assert not list(generation.folder.glob("frames/*.png"))


def test_an_engine_that_refuses_is_heard_in_the_panel(scene, python, timers):
    python.write_text("#!/bin/sh\necho 'The job has no frames.' >&2\nexit 1\n")
    sent("openjd", timers)
    assert session.now.error == "The job has no frames."


def test_without_an_engine_nothing_is_captured(scene, monkeypatch, tmp_path):
    monkeypatch.setattr(preferences, "engine_python", lambda: None)
    assert bpy.ops.t2vz.send_to_farm(engine="openjd") == {"CANCELLED"}
    assert session.now.error == preferences.NO_ENGINE
    session.now.refusal = ""
