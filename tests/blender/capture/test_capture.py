"""What a capture tells of a scene."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon.capture.cameras import CaptureError
from blender_addon.capture.capture import PASSES, Wanted, capture
from blender_addon.job.folders import FrameArrays
from tests.blender import scenes, stage
from tests.blender.stage import ANCHOR, LATER, Case, add, animate

SIZE = (96, 72)
ENGINES = bpy.types.RenderSettings.bl_rna.properties["engine"].enum_items.keys()


def captured(
    case: Case, numbers=(ANCHOR, LATER), layer: int = 0, **wanted
) -> tuple[list[FrameArrays], list[str]]:
    notes: list[str] = []
    asked = Wanted(*SIZE, **{"passes": PASSES - {"pose"}, **wanted})
    run = capture(case.scene, case.scene.view_layers[layer], asked, numbers, notes.append)
    return list(run), notes


def number_of(item: bpy.types.Object) -> int:
    return 1 + sorted(each.name_full for each in bpy.data.objects).index(item.name_full)


def centre_of(mask: np.ndarray) -> np.ndarray:
    y, x = np.nonzero(mask)
    return np.array([x.mean(), y.mean()])


def test_a_static_scene_does_not_move():
    (_, later), notes = captured(stage.fresh())
    assert later.shift_px == (0.0, 0.0)
    assert np.abs(later.map - captured(stage.fresh())[0][0].map).max() < 1e-4
    assert later.visible.all() and notes == []


def test_the_content_moves_against_the_camera():
    case = stage.fresh()
    animate(case.scene.camera, "location", (1, -8, 3.5), (1.5, -8, 3.5))
    (_, right), _ = captured(case)
    assert right.shift_px[0] < -2
    animate(case.scene.camera, "location", (1, -8, 3.5), (1, -8, 4))
    (_, up), _ = captured(case)
    assert up.shift_px[1] > 2


def test_a_lone_thing_before_an_empty_sky_tells_the_movement():
    case = stage.fresh()
    bpy.data.objects.remove(case.scene.objects["ground"])
    animate(case.scene.camera, "location", (1, -8, 3.5), (1.5, -8, 3.5))
    (anchor, later), _ = captured(case)
    ball = number_of(case.scene.objects["ball"])
    moved = centre_of(later.ids == ball) - centre_of(anchor.ids == ball)
    assert moved[0] < -2 and later.shift_px == pytest.approx(moved, rel=0.1, abs=0.1)


def test_a_small_fast_object_does_not_carry_the_picture_along():
    case = stage.fresh()
    animate(case.scene.objects["ball"], "location", (-2, 0, 1.2), (2, 0, 1.2))
    (_, later), _ = captured(case)
    assert np.abs(later.shift_px).max() < 0.1


def test_the_shift_follows_an_object_on_screen():
    case = stage.fresh()
    ball = case.scene.objects["ball"]
    stage.rolling_ball(case)
    (anchor, later), _ = captured(case, source="object", target=ball)
    moved = centre_of(later.ids == number_of(ball)) - centre_of(anchor.ids == number_of(ball))
    assert np.abs(moved - later.shift_px).max() < 0.5


@pytest.mark.parametrize("hidden", ["hide_viewport", "hide_render"])
def test_the_shift_follows_an_empty_that_is_hidden(hidden: str):
    case = stage.fresh()
    handle = bpy.data.objects.new("handle", None)
    case.scene.collection.objects.link(handle)
    animate(handle, "location", (0, 0, 0), (1, 0, 0))
    shown = captured(case, source="object", target=handle)[0][1].shift_px
    setattr(handle, hidden, True)
    assert captured(case, source="object", target=handle)[0][1].shift_px == shown
    assert shown[0] > 5


def test_a_target_outside_of_the_view_layer_is_named():
    case = stage.fresh()
    handle, apart = bpy.data.objects.new("handle", None), bpy.data.collections.new("apart")
    case.scene.collection.children.link(apart)
    apart.objects.link(handle)
    case.scene.view_layers[0].layer_collection.children["apart"].exclude = True
    assert captured(case, source="object", target=handle)[1] == [
        "handle is not shown in the view layer: unless it moves what is, it is not followed."
    ]


def test_an_objects_own_movement_is_told_from_the_cameras():
    case = stage.fresh()
    ball = case.scene.objects["ball"]
    stage.rolling_ball(case)
    still = captured(case, source="object", target=ball)[0][1].shift_px
    stage.walking_camera(case)
    own = captured(case, source="own", target=ball)[0][1].shift_px
    camera = captured(case)[0][1].shift_px
    both = captured(case, source="sum", target=ball)[0][1].shift_px
    assert own == pytest.approx(still, abs=0.05)
    assert both == pytest.approx(np.add(own, camera), abs=1e-3)


def test_the_shift_follows_a_bone():
    case = scenes.armature()
    case.scene.camera.animation_data_clear()
    rig = next(item for item in case.scene.objects if item.type == "ARMATURE")
    animate(rig, "location", (2, 0, 0), (2.4, 0, 0))
    rig.pose.bones["upper"].location.x = 0
    (_, later), _ = captured(case, source="object", target=rig, bone="upper")
    assert later.shift_px[0] > 1
    with pytest.raises(CaptureError, match="has no bone tail"):
        captured(case, source="object", target=rig, bone="tail")


def test_a_marker_with_another_camera_starts_a_new_anchor():
    case = scenes.perspective()
    second = case.scene.camera.copy()
    second.animation_data_clear()
    second.location.x += 0.5
    case.scene.collection.objects.link(second)
    case.scene.timeline_markers.new("one", frame=ANCHOR).camera = case.scene.camera
    case.scene.timeline_markers.new("two", frame=5).camera = second
    frames, notes = captured(case, (1, 3, 5, 7))
    assert [frame.is_anchor for frame in frames] == [True, False, True, False]
    assert frames[2].shift_px == (0.0, 0.0)
    assert notes == ["Frame 5: the camera changes, so the motion starts anew there."]


def test_a_camera_that_jumps_starts_a_new_anchor():
    case = stage.fresh()
    camera = case.scene.camera
    camera.keyframe_insert("rotation_euler", frame=4)
    camera.keyframe_insert("location", frame=4)
    camera.location, camera.rotation_euler = (0.5, 8, 3), (1.25, 0, 3.1)
    camera.keyframe_insert("rotation_euler", frame=5)
    camera.keyframe_insert("location", frame=5)
    frames, notes = captured(case, (3, 4, 5, 6))
    assert [frame.is_anchor for frame in frames] == [True, False, True, False]
    assert notes == ["Frame 5: the camera jumps, so the motion starts anew there."]


def test_changing_topology_falls_back_to_the_objects_motion_and_says_so():
    case = stage.fresh()
    ball = case.scene.objects["ball"]
    ball.modifiers.new("thinner", "DECIMATE")
    animate(ball, 'modifiers["thinner"].ratio', 1.0, 0.9)
    animate(ball, "location", (0, 0, 1.2), (0.5, 0, 1.2))
    (anchor, later), notes = captured(case)
    assert notes == [
        "ball: its mesh changes its topology, so its motion is taken from the object as a whole."
    ]
    seen = later.ids == number_of(ball)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    moved = (np.stack([x, y], -1) + 0.5 - later.map)[seen].mean(0)
    expected = centre_of(seen) - centre_of(anchor.ids == number_of(ball))
    assert np.abs(moved - expected).max() < 1


def test_what_was_not_there_at_the_anchor_was_not_visible_there():
    case = stage.fresh()
    ball = case.scene.objects["ball"]
    animate(ball, "hide_render", True, False)
    (anchor, later), _ = captured(case)
    assert number_of(ball) not in anchor.ids and number_of(ball) in later.ids
    assert not later.visible[later.ids == number_of(ball)].any()


def test_what_the_ball_uncovers_was_hidden():
    case = stage.fresh()
    ball = case.scene.objects["ball"]
    animate(ball, "location", (-1.5, 0, 1.2), (1.5, 0, 1.2))
    (anchor, later), _ = captured(case)
    uncovered = (anchor.ids == number_of(ball)) & (
        later.ids == number_of(case.scene.objects["ground"])
    )
    assert uncovered.sum() > 50 and not later.visible[uncovered].any()


def test_the_sky_turns_with_the_camera():
    case = scenes.turning_camera()
    (_, later), _ = captured(case)
    sky = later.ids == 0
    assert np.isfinite(later.map).all() and np.isinf(later.depth[sky]).all()
    assert np.abs(later.map - captured(stage.fresh())[0][0].map)[sky].min() > 1


def test_the_mask_shows_an_object_with_its_children_or_a_collection():
    case = scenes.parents_and_constraints()
    ball, child = case.scene.objects["ball"], case.scene.objects["child"]
    anchor = captured(case, subject=ball)[0][0]
    assert np.array_equal(anchor.mask > 0, np.isin(anchor.ids, [number_of(ball), number_of(child)]))
    crowd = bpy.data.collections.new("crowd")
    crowd.objects.link(child)
    assert np.array_equal(
        captured(case, subject=crowd)[0][0].mask > 0, anchor.ids == number_of(child)
    )
    assert set(np.unique(anchor.mask)) == {0, 255}


def test_the_mask_shows_the_copies_of_an_instanced_collection():
    case = scenes.instances()
    one = captured(case, subject=case.scene.objects["copy 1"])[0][0]
    handle = captured(case, subject=case.scene.objects["handle"])[0][0]
    assert (
        0
        < (one.mask > 0).sum()
        < (handle.mask > 0).sum()
        == (handle.ids == number_of(bpy.data.objects["cube"])).sum()
    )


def test_a_holdout_hides_and_is_not_seen():
    (anchor, _), _ = captured(scenes.holdouts())
    hole = number_of(bpy.data.objects["hole"])
    bpy.data.objects["hole"].is_holdout = False
    covered = captured(Case(bpy.context.scene))[0][0].ids == hole
    assert covered.sum() > 50
    assert np.isinf(anchor.depth[covered]).all() and not anchor.ids[covered].any()


def test_only_what_is_asked_for_comes():
    (anchor, _), _ = captured(scenes.perspective(), passes=frozenset({"depth", "pose"}))
    assert anchor.depth is not None and anchor.pose.shape == (0, 18, 3)
    assert anchor.normal is anchor.ids is anchor.mask is anchor.map is anchor.visible is None


def test_a_view_layer_shows_its_own_collections():
    case = scenes.perspective()
    other = bpy.data.collections.new("other")
    case.scene.collection.children.link(other)
    cube = add(case, "cube", bpy.ops.mesh.primitive_cube_add, location=(0, -3, 1))
    case.scene.collection.objects.unlink(cube)
    other.objects.link(cube)
    bare = case.scene.view_layers.new("bare")
    bare.layer_collection.children["other"].exclude = True
    assert number_of(cube) in captured(case)[0][0].ids
    assert number_of(cube) not in captured(case, layer=1)[0][0].ids


def test_another_scene_than_the_open_one_is_captured():
    case = scenes.perspective()
    expected = captured(case)[0][1]
    bpy.context.window.scene = bpy.data.scenes.new("open")
    found = captured(case)[0][1]
    assert np.array_equal(found.ids, expected.ids) and np.allclose(
        found.map, expected.map, atol=1e-3
    )


@pytest.mark.parametrize("mirror", [1, -1])
def test_eevee_sees_through_the_backs_that_a_material_culls(mirror: int):
    case = stage.fresh()
    room = add(case, "room", bpy.ops.mesh.primitive_cube_add, size=4, location=(0, 0, 2.1))
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.flip_normals()
    bpy.ops.object.mode_set(mode="OBJECT")
    room.scale.x = mirror
    room.data.materials[0].use_backface_culling = True
    ball, middle = case.scene.objects["ball"], SIZE[0] // 2
    case.scene.render.engine = "CYCLES"
    (closed, _), _ = captured(case)
    case.scene.render.engine = next(item for item in ENGINES if item.startswith("BLENDER_EEVEE"))
    (opened, _), _ = captured(case)
    assert number_of(ball) not in closed.ids and (opened.ids == number_of(ball)).sum() > 300
    assert opened.ids[8, middle] == number_of(
        room
    )  # the wall behind the ball still shows its front
