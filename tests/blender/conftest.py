"""The add-on registered in this Blender, and a scene to work in."""

import os
import sys
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon import preferences
from blender_addon.run import session
from tests.blender import cast

HERE = Path(__file__).parent
PAINTER = HERE / "painter.py"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("blender")


@pytest.fixture(scope="session", autouse=True)
def registered():
    """The add-on, registered while the tests run: some bpy modules hang at exit on a panel that
    stays registered."""
    is_installed = hasattr(bpy.types.Scene, "t2vz")
    if not is_installed:
        blender_addon.register()
    yield
    if not is_installed:
        blender_addon.unregister()


@pytest.fixture(autouse=True)
def stays_registered():
    """Blender's factory settings disable an installed add-on: what ran after them would test
    nothing, or crash."""
    yield
    assert hasattr(bpy.types.Scene, "t2vz"), (
        "this test has disabled the add-on: read_homefile leaves it enabled"
    )


@pytest.fixture
def scene(tmp_path):
    """Blender's own startup scene (a cube, a camera, a light), three frames, 64 px, saved as
    tmp_path/scene.blend."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.t2vz.side_px = 64
    scene.t2vz.prompt.text = "a red cube"
    scene.t2vz.destination = "SCENE"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    return scene


@pytest.fixture
def painter(monkeypatch):
    """Puts tests/blender/painter.py in the engine's place; call it to set its delay and its early
    death."""
    python = os.environ.get(preferences.ENGINE_VARIABLE) or sys.executable
    monkeypatch.setenv(preferences.ENGINE_VARIABLE, python)

    def paints(delay_s=0.0, dies_after=0):
        session.stop_engine()
        command = [preferences.engine_python(), PAINTER, str(delay_s), str(dies_after)]
        monkeypatch.setattr(session, "worker_command", lambda _python: command)

    paints()
    yield paints
    session.stop_engine()
    session.now.task, session.now.refusal, session.now.is_paused = None, "", False
    session.now.waiting.clear()


@pytest.fixture(scope="module")
def rigify():
    """Rigify, which comes with Blender, enabled for a while."""
    import addon_utils  # is found only once bpy has been imported

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    addon_utils.enable("rigify", default_set=True)
    yield
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    addon_utils.disable("rigify", default_set=True)


@pytest.fixture
def empty_scene(rigify):
    """Nothing but a camera, and Rigify at hand."""
    for thing in list(bpy.data.objects):
        bpy.data.objects.remove(thing)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    cast.look_from((1.5, -4.5, 1.6))


@pytest.fixture(scope="module")
def generated_file(rigify, tmp_path_factory):
    """A .blend that holds a generated Rigify rig: generating takes seconds, appending does not."""
    cast.metarig()
    others = set(bpy.data.objects)
    bpy.ops.pose.rigify_generate()
    bpy.ops.object.mode_set(mode="OBJECT")
    character = next(
        thing for thing in bpy.data.objects if thing.type == "ARMATURE" and thing not in others
    )
    character.name = "Character"
    path = tmp_path_factory.mktemp("rigify") / "generated.blend"
    bpy.data.libraries.write(str(path), {character})
    return path


@pytest.fixture
def generated(generated_file, empty_scene):
    """A generated Rigify rig in the empty scene."""
    with bpy.data.libraries.load(str(generated_file)) as (_, wanted):
        wanted.objects = ["Character"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    return wanted.objects[0]
