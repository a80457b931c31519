"""The add-on registered in this Blender, and a scene to work in."""

import os
import sys
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon import preferences, session

PAINTER = Path(__file__).with_name("painter.py")


@pytest.fixture(scope="session", autouse=True)
def registered():
    """The add-on, registered while the tests run: some bpy modules hang at exit on a panel that stays registered."""
    is_installed = hasattr(bpy.types.Scene, "t2vz")
    if not is_installed:
        blender_addon.register()
    yield
    if not is_installed:
        blender_addon.unregister()


@pytest.fixture(autouse=True)
def stays_registered():
    """Blender's factory settings disable an installed add-on: what ran after them would test nothing, or crash."""
    yield
    assert hasattr(bpy.types.Scene, "t2vz"), "this test has disabled the add-on: read_homefile leaves it enabled"


@pytest.fixture
def scene(tmp_path):
    """Blender's own startup scene (a cube, a camera, a light), three frames, 64 px, saved as tmp_path/scene.blend."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.t2vz.side_px = 64
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    return scene


@pytest.fixture
def painter(monkeypatch):
    """Puts tests/blender/painter.py in the engine's place; call it to set its delay and its early death."""
    python = os.environ.get(preferences.ENGINE_VARIABLE) or sys.executable
    monkeypatch.setenv(preferences.ENGINE_VARIABLE, python)

    def paints(delay_s=0.0, dies_after=0):
        session.stop_engine()
        command = [preferences.engine_python(), PAINTER, str(delay_s), str(dies_after)]
        monkeypatch.setattr(session, "worker_command", lambda _python: command)

    paints()
    yield paints
    session.stop_engine()
    session.now.generation, session.now.refusal = None, ""
