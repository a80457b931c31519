"""Of the characters' joints only those count that the camera sees."""

import math

import bpy
import numpy as np
import pytest
from mathutils import Vector

from blender_addon.capture.cameras import CaptureError
from blender_addon.capture.capture import Wanted, capture
from t2vz_core.wire.joints import JOINTS
from tests.blender.cast import (
    HEIGHT,
    WIDTH,
    assert_joints_on_bones,
    box,
    look_from,
    metarig,
    on_screen,
    seen,
)

pytestmark = pytest.mark.usefixtures("empty_scene")


def test_an_animated_rig_is_read_at_the_current_frame():
    armature = metarig()
    for frame, x in ((1, 0.0), (11, 1.0)):
        armature.location.x = x
        armature.keyframe_insert("location", frame=frame)
    places = []
    for frame in (1, 6, 11):
        bpy.context.scene.frame_set(frame)
        places.append(assert_joints_on_bones(armature)[1, 0])
    assert places[0] + 20 < places[1] < places[2] - 20


def test_a_wall_hides_the_legs_behind_it():
    metarig()
    assert seen()[0][:, 2].sum() >= 17
    box("Wall", (0, -1, 0.3), (4, 0.1, 1.0))
    (person,) = seen()
    hidden = [JOINTS[i] for i in np.flatnonzero(person[:, 2] == 0)]
    assert {"left_ankle", "right_ankle", "left_knee", "right_knee"} <= set(hidden)
    assert not {"left_shoulder", "right_hip", "nose"} & set(hidden)


def test_a_wall_hidden_from_renders_hides_nobody():
    metarig()
    box("Wall", (0, -1, 1), (4, 0.1, 4)).hide_render = True
    assert seen()[0][:, 2].sum() >= 17


def material(closure, socket="Surface"):
    """A material whose output comes from a node of this type."""
    made = bpy.data.materials.new(closure)
    made.use_nodes = True
    tree = made.node_tree
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(tree.nodes.new(closure).outputs[0], output.inputs[socket])
    return made


def fog(wall):
    wall.data.materials.append(material("ShaderNodeVolumePrincipled", "Volume"))


def clear(wall):
    wall.data.materials.append(material("ShaderNodeBsdfTransparent"))


def unseen_by_the_camera(wall):
    wall.visible_camera = False


def culled(wall):
    """EEVEE looks through the side that turns its back."""
    engines = bpy.types.RenderSettings.bl_rna.properties["engine"].enum_items.keys()
    eevee = next(engine for engine in engines if engine.startswith("BLENDER_EEVEE"))
    bpy.context.scene.render.engine = eevee
    wall.data.materials.append(material("ShaderNodeBsdfDiffuse"))
    wall.data.materials[0].use_backface_culling = True


def indirect_only(wall):
    apart = bpy.data.collections.new("Light blockers")
    bpy.context.scene.collection.children.link(apart)
    for collection in wall.users_collection:
        collection.objects.unlink(wall)
    apart.objects.link(wall)
    bpy.context.view_layer.layer_collection.children[apart.name].indirect_only = True


def plane(name, y):
    """It turns its back to the camera."""
    bpy.ops.mesh.primitive_plane_add(size=6, location=(0, y, 1), rotation=(-math.pi / 2, 0, 0))
    bpy.context.object.name = name
    return bpy.context.object


@pytest.mark.parametrize("change", [fog, clear, unseen_by_the_camera, culled, indirect_only])
def test_what_the_camera_does_not_see_hides_nobody(change):
    metarig()
    open_air = seen()[0]
    wall = plane("Wall", -1)
    bpy.context.view_layer.update()
    assert not len(seen())
    change(wall)
    bpy.context.view_layer.update()
    assert np.array_equal(seen()[0], open_air)


def test_a_character_whose_body_the_camera_does_not_see_is_nobody(capsys):
    armature = metarig()
    body = box("Body", (0, 0, 1), (0.3, 0.2, 1.6))
    body.modifiers.new("Armature", "ARMATURE").object = armature
    assert len(seen()) == 1
    body.visible_camera = False
    assert not len(seen())


def test_a_crowd_hides_each_other_by_their_bodies():
    """The body of the one behind hides none of its own joints, that of the one before all of them."""
    for y in (0, -1.5):
        armature = metarig()
        armature.location.y = y
        body = box("Body", (0, y, 1), (1.8, 0.3, 2.2))
        body.modifiers.new("Armature", "ARMATURE").object = armature
    look_from((0, -8, 1.1))
    assert len(seen()) == 1


def test_the_own_body_hides_no_limb():
    armature = metarig()
    body = box("Body", (0, 0, 1), (1.6, 0.6, 2.1))
    body.modifiers.new("Armature", "ARMATURE").object = armature
    assert seen()[0][:, 2].sum() >= 17


def test_from_behind_there_is_no_nose_and_no_eye_but_both_ears():
    metarig()
    look_from((0, 5, 1.6))
    found = {joint for joint, row in zip(JOINTS, seen()[0]) if row[2]}
    assert (
        not {"nose", "left_eye", "right_eye"} & found and {"left_ear", "right_ear", "neck"} <= found
    )


def test_in_profile_the_far_eye_and_ear_are_gone():
    metarig()
    look_from((5, 0, 1.6))
    found = {joint for joint, row in zip(JOINTS, seen()[0]) if row[2]}
    assert {"nose", "left_eye", "left_ear"} <= found and not {"right_eye", "right_ear"} & found


def test_who_is_behind_the_camera_is_not_on_screen():
    metarig()
    look_from((0, -4, 1.5), at=(0, -8, 1.5))
    assert seen().shape == (0, 18, 3)


def test_joints_off_the_screen_are_dropped():
    metarig()
    look_from((0, -1.2, 1.75), at=(0, 0, 1.75))
    (person,) = seen()
    assert person[JOINTS.index("nose"), 2] == 1 and person[JOINTS.index("left_ankle")].tolist() == [
        0,
        0,
        0,
    ]


def test_several_people_come_with_the_nearest_last():
    near, far = metarig(), metarig()
    near.location, far.location = (-0.6, 0, 0), (0.7, 3, 0)
    people = seen()
    assert len(people) == 2
    heights = [np.ptp(person[person[:, 2] > 0, 1]) for person in people]
    assert heights[0] < 0.8 * heights[1]


def test_an_orthographic_camera_sees_the_same_joints():
    armature = metarig()
    data = bpy.context.scene.camera.data
    data.type, data.ortho_scale = "ORTHO", 4.0
    assert_joints_on_bones(armature)
    box("Wall", (0.3, -1, 0.3), (4, 0.1, 1.0))
    assert seen()[0][JOINTS.index("left_ankle"), 2] == 0


def test_a_rig_that_is_switched_off_still_moves_its_body():
    armature = metarig()
    body = box("Body", (0, 0, 1), (0.5, 0.3, 2))
    body.modifiers.new("Armature", "ARMATURE").object = armature
    armature.hide_viewport = True
    assert len(seen()) == 1
    body.hide_render = True
    armature.hide_viewport = False
    assert len(seen()) == 0


def test_instanced_characters_are_people_too():
    armature = metarig()
    collection = bpy.data.collections.new("Cast")
    collection.objects.link(armature)
    bpy.context.scene.collection.objects.unlink(armature)
    for x in (-0.8, 0.9):
        instance = bpy.data.objects.new("Instance", None)
        instance.instance_type, instance.instance_collection = "COLLECTION", collection
        instance.location.x = x
        bpy.context.scene.collection.objects.link(instance)
    people = seen()
    assert len(people) == 2
    wrists = sorted(person[JOINTS.index("left_wrist"), 0] for person in people)
    bone = armature.data.bones["hand.L"].head_local
    assert abs(wrists[0] - on_screen(bone + Vector((-0.8, 0, 0)))[0]) <= 0.5
    assert abs(wrists[1] - on_screen(bone + Vector((0.9, 0, 0)))[0]) <= 0.5


def test_a_bare_armature_is_captured_before_an_empty_background():
    metarig()
    wanted = Wanted(WIDTH, HEIGHT, frozenset({"pose", "depth", "map", "visible"}))
    first, second = capture(bpy.context.scene, bpy.context.view_layer, wanted, (1, 2), pytest.fail)
    assert len(first.pose) == 1 and np.isinf(first.depth).all() and second.visible.all()
    with pytest.raises(CaptureError, match="has nothing to capture"):
        list(
            capture(
                bpy.context.scene,
                bpy.context.view_layer,
                Wanted(64, 64, frozenset({"depth"})),
                (1,),
            )
        )


def test_a_metarig_or_mocap_source_beside_a_character_is_nobody(capsys):
    character = metarig()
    box("Body", (0, 0, 0.2), (0.1, 0.1, 0.1)).modifiers.new(
        "Armature", "ARMATURE"
    ).object = character
    spare = metarig()
    spare.location.x = 0.4
    (person,) = seen()
    assert (
        abs(
            person[JOINTS.index("left_hip"), :2]
            - on_screen(character.data.bones["thigh.L"].head_local)
        ).max()
        <= 0.5
    )
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{spare.name} moves no body: it is not drawn as a person beside those that do."
    ]


@pytest.mark.parametrize("kind, bound", [("SURFACE_DEFORM", "target"), ("MESH_DEFORM", "object")])
def test_clothes_bound_to_the_body_are_the_characters_own(kind, bound, capsys):
    armature = metarig()
    body = box("Body", (0, 0, 1), (0.3, 0.2, 1.6))
    body.modifiers.new("Armature", "ARMATURE").object = armature
    before = seen()[0]
    setattr(box("Shirt", (0, 0, 1.1), (1.2, 0.9, 1.2)).modifiers.new("Bound", kind), bound, body)
    assert np.array_equal(seen()[0], before)
    body.hide_render = body.hide_viewport = True  # a cage
    assert np.array_equal(seen()[0], before) and capsys.readouterr().out == ""


def test_what_is_no_human_is_not_drawn_and_the_artist_is_told(capsys):
    bpy.ops.object.armature_add()
    assert seen().shape == (0, 18, 3)
    assert "No armature is recognised as a person" in capsys.readouterr().out


def test_reading_joints_changes_nothing_in_the_file(generated):
    def state():
        return {bone.name: tuple(map(tuple, bone.matrix)) for bone in generated.pose.bones}, set(
            generated.keys()
        )

    before = state()
    assert len(seen()) == 1
    assert state() == before


def test_a_character_turned_upside_down_keeps_its_face():
    armature = metarig()
    upright = seen()[0]
    armature.rotation_euler = (0, math.pi, 0)
    armature.location.z = 2
    (person,) = seen()
    nose, eye = JOINTS.index("nose"), JOINTS.index("left_eye")
    assert (upright[eye, 1] - upright[nose, 1]) < 0 < (person[eye, 1] - person[nose, 1])
