"""Whatever becomes of a capture, the file is as it was."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon.capture.cameras import CaptureError
from blender_addon.capture.capture import Wanted, capture, object_numbers
from tests.blender import scenes
from tests.blender.file_dump import differences, dump
from tests.blender.stage import ANCHOR, LATER, Case

WANTED = Wanted(64, 48)


@pytest.fixture
def case() -> Case:
    """An artist in the middle of work: things hidden, a pose not keyed, a fraction of a frame, a
    camera by marker."""
    case = scenes.render_levels()
    unkeyed = case.scene.objects["ball"]
    second = case.scene.camera.copy()
    case.scene.collection.objects.link(second)
    case.scene.timeline_markers.new("cut", frame=LATER).camera = second
    case.scene.frame_set(5, subframe=0.25)
    unkeyed.location.z = 3
    case.scene.objects["ground"].hide_set(True)
    inner = bpy.data.collections.new("inner")
    case.scene.collection.children.link(inner)
    inner.hide_viewport = True
    bpy.context.view_layer.layer_collection.children["inner"].hide_viewport = True
    unkeyed.select_set(True)
    bpy.context.view_layer.objects.active = unkeyed
    bpy.context.view_layer.update()
    return case


def frames(case: Case, wanted: Wanted = WANTED, numbers=(ANCHOR, LATER)):
    return capture(case.scene, case.scene.view_layers[0], wanted, numbers, lambda _: None)


def test_a_whole_capture_changes_nothing(case: Case):
    before = dump()
    assert len(list(frames(case))) == 2
    assert differences(before, dump()) == []


def test_a_capture_closed_early_changes_nothing(case: Case):
    before = dump()
    run = frames(case)
    next(run)
    assert differences(before, dump())  # the dump sees that the capture is under way
    run.close()
    assert differences(before, dump()) == []


def test_a_failed_capture_changes_nothing(case: Case):
    case.scene.timeline_markers["cut"].camera.data = bpy.data.cameras.new("round")
    case.scene.timeline_markers["cut"].camera.data.type = "PANO"
    before = dump()
    with pytest.raises(CaptureError):
        list(frames(case))
    assert differences(before, dump()) == []


def test_a_capture_that_never_began_changes_nothing(case: Case):
    before = dump()
    frames(case).close()
    assert differences(before, dump()) == []


def test_edit_mode_goes_on(case: Case):
    bpy.ops.object.mode_set(mode="EDIT")
    before = dump()
    list(frames(case))
    assert differences(before, dump()) == []
    assert bpy.context.mode == "EDIT_MESH"
    bpy.ops.object.mode_set(mode="OBJECT")


def test_local_view_shows_less_and_the_capture_does_not():
    bpy.ops.wm.read_homefile(
        use_factory_startup=True
    )  # with its windows, which an empty file may lack
    scene, cube = bpy.context.scene, bpy.data.objects["Cube"]
    bpy.ops.mesh.primitive_plane_add(size=9)
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.localview(frame_selected=False)
    assert area.spaces.active.local_view and not cube.local_view_get(area.spaces.active)
    before = dump()
    (found,) = capture(scene, scene.view_layers[0], Wanted(96, 72, frozenset({"ids"})), (1,))
    assert differences(before, dump()) == []
    assert area.spaces.active.local_view and not cube.local_view_get(area.spaces.active)
    numbers = object_numbers()
    assert {numbers["Cube"], numbers["Plane"]} <= set(np.unique(found.ids))


def test_linked_and_overridden_objects_are_read_and_left(case: Case, tmp_path):
    library = tmp_path / "library.blend"
    cube = case.scene.objects["cube"]
    cube.modifiers["smooth"].levels = 0
    bpy.data.libraries.write(str(library), {cube})
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    case = scenes.perspective()
    with bpy.data.libraries.load(str(library), link=True) as (_, into):
        into.objects = ["cube"]
    linked = into.objects[0]
    case.scene.collection.objects.link(linked)
    overridden = linked.override_create()
    overridden.location.x = -2
    case.scene.collection.objects.link(overridden)
    bpy.context.view_layer.update()
    before = dump()
    found, _ = (arrays.ids for arrays in frames(case, Wanted(96, 72, frozenset({"ids"}))))
    assert differences(before, dump()) == []
    for item in (linked, overridden):
        assert (found == object_numbers()[item.name_full]).sum() > 50


def test_a_pose_that_is_not_keyed_over_an_nla_strip_stays():
    case = scenes.perspective()
    ball = case.scene.objects["ball"]
    ball.animation_data.nla_tracks.new().strips.new("roll", ANCHOR, ball.animation_data.action)
    ball.animation_data.action = None
    case.scene.frame_set(5)
    ball.location.x = 3
    bpy.context.view_layer.update()
    before = dump()
    list(frames(case))
    assert differences(before, dump()) == []


def test_a_camera_that_is_removed_meanwhile_keeps_nothing_else_from_being_put_back(case: Case):
    run = frames(case)
    next(run)
    bpy.data.objects.remove(case.scene.objects["camera"])
    run.close()
    assert case.scene.frame_current == 5 and case.scene.objects["ball"].location.z == 3
    assert case.scene.objects["cube"].modifiers["smooth"].levels == 0
