"""Joints of rigs of every source lie where their bones are on screen."""

import bpy
import numpy as np
import pytest
from mathutils import Euler, Vector

from blender_addon.capture import armatures
from blender_addon.capture.capture import Wanted, capture
from blender_addon.ui import rig_editor
from t2vz_core.wire.joints import JOINTS
from tests.blender import rigs
from tests.blender.cast import (
    HEIGHT,
    WIDTH,
    assert_joints_on_bones,
    bone_head,
    look_from,
    looked_at,
    metarig,
    on_screen,
    seen,
    seen_hands,
)
from tests.blender.ui.test_panel import Layout

pytestmark = pytest.mark.usefixtures("empty_scene")


def test_a_rigify_metarig_has_its_joints_on_its_bones():
    armature = metarig()
    armature.rotation_euler[2], armature.scale = 0.3, (1.1, 1.1, 1.1)
    assert_joints_on_bones(armature)


def test_a_posed_metarig_moves_its_joints():
    armature = metarig()
    before = assert_joints_on_bones(armature)
    bone = armature.pose.bones["forearm.L"]
    bone.rotation_mode = "XYZ"
    bone.rotation_euler = Euler((1.2, 0, 0))
    after = assert_joints_on_bones(armature)
    moved = np.linalg.norm(after[:, :2] - before[:, :2], axis=1)
    assert moved[JOINTS.index("left_wrist")] > 20 and moved[JOINTS.index("left_elbow")] < 1e-3


@pytest.mark.parametrize("way", ["IK", "FK"])
def test_a_generated_rigify_rig_is_followed_in_ik_and_fk(way, generated):
    armature = generated
    before = assert_joints_on_bones(armature)
    for limb in ("upper_arm_parent.L", "thigh_parent.R"):
        armature.pose.bones[limb]["IK_FK"] = 0.0 if way == "IK" else 1.0
    if way == "IK":
        armature.pose.bones["hand_ik.L"].location = (0.1, 0.2, 0.3)
        armature.pose.bones["foot_ik.R"].location = (0.0, 0.2, 0.3)
    else:
        armature.pose.bones["upper_arm_fk.L"].rotation_mode = "XYZ"
        armature.pose.bones["upper_arm_fk.L"].rotation_euler = (0.6, 0.2, 0.4)
        armature.pose.bones["shin_fk.R"].rotation_mode = "XYZ"
        armature.pose.bones["shin_fk.R"].rotation_euler = (0.9, 0, 0)
    armature.update_tag()
    after = assert_joints_on_bones(armature)
    moved = np.linalg.norm(after[:, :2] - before[:, :2], axis=1)
    assert moved[JOINTS.index("left_wrist")] > 5 and moved[JOINTS.index("right_ankle")] > 5


@pytest.mark.parametrize("title", rigs.KINDS)
def test_a_rig_as_its_source_delivers_it_has_its_joints_on_its_bones(title):
    """Posed, seen from the front: whatever its units, axes, tails and rolls."""
    kind, armature = rigs.KINDS[title], rigs.build(title)
    look_from(Vector((0, 0, 1.3)) + 4 * rigs.ahead(title))
    for joint, turn in (("shoulder", 0.5), ("elbow", -0.7), ("hip", 0.3), ("knee", 0.4)):
        bone = armature.pose.bones[kind.joints[joint].replace("*", kind.sides[0])]
        bone.rotation_mode, bone.rotation_euler = "XYZ", (turn, turn / 2, turn / 3)
    bpy.context.view_layer.update()
    (person,) = seen()
    for joint, name in kind.joints.items():
        for side, own in zip(("left", "right"), kind.sides):
            x, y, is_seen = person[JOINTS.index(f"{side}_{joint}")]
            assert is_seen, (side, joint)
            assert (
                abs(on_screen(bone_head(armature, name.replace("*", own))) - (x, y)).max() <= 0.5
            ), (side, joint)
    assert (
        person[JOINTS.index("nose"), 2]
        and person[JOINTS.index("left_ear"), 0] > person[JOINTS.index("right_ear"), 0]
    )


@pytest.mark.parametrize("title", [title for title, kind in rigs.KINDS.items() if kind.fingers])
def test_fingers_lie_on_their_bones_and_end_beyond_them(title):
    kind, armature = rigs.KINDS[title], rigs.build(title)
    look_from(Vector((0, 0, 1.4)) + 3.2 * rigs.ahead(title), at=(0, 0, 1.4))
    hands = seen_hands()
    for hand, own, sign in zip(hands, kind.sides, (1, -1)):
        for row, finger in enumerate(rigs.FINGERS):
            for number in (1, 2, 3):
                bone = rigs.finger_bone(title, finger, number).replace("*", own)
                x, y, is_seen = hand[4 * row + number]
                assert (
                    is_seen and abs(on_screen(bone_head(armature, bone)) - (x, y)).max() <= 0.5
                ), bone
            last, before = (
                bone_head(armature, rigs.finger_bone(title, finger, n).replace("*", own))
                for n in (3, 2)
            )
            tip = last + (1 if title == "Mixamo" else 0.8) * (last - before)
            assert abs(on_screen(tip) - hand[4 * row + 4, :2]).max() <= 0.5, (finger, sign)
        wrist = bone_head(armature, kind.joints["wrist"].replace("*", own))
        assert abs(on_screen(wrist) - hand[0, :2]).max() <= 0.5


def test_rigify_has_fingers_and_auto_rig_pro_none_that_is_known(generated):
    look_from((0, -4, 1.4))
    assert seen_hands()[..., 2].sum() >= 40
    bpy.data.objects.remove(generated)
    rigs.build("Auto-Rig Pro")
    assert not seen_hands().any()


def test_hands_are_read_only_when_asked_for():
    metarig()
    passes = [frozenset({"pose"}), frozenset({"pose", "hands"})]
    without, including = (
        next(capture(bpy.context.scene, bpy.context.view_layer, Wanted(WIDTH, HEIGHT, names), (1,)))
        for names in passes
    )
    assert (
        without.hands is None and including.hands.shape == (1, 2, 21, 3) and including.hands.any()
    )


def skinned(armature, top, group):
    """A column of vertices from the head's bone up, which the armature moves; the head's height."""
    origin = bone_head(armature, "head")
    mesh = bpy.data.meshes.new("Body")
    column = np.linspace(origin.z - 0.5, origin.z + top, 600)
    corners = [(origin.x + dx, origin.y, z) for z in column for dx in (-0.05, 0.05)]
    faces = [(2 * i, 2 * i + 1, 2 * i + 3, 2 * i + 2) for i in range(len(column) - 1)]
    mesh.from_pydata(corners, [], faces)
    body = bpy.data.objects.new("Body", mesh)
    bpy.context.scene.collection.objects.link(body)
    body.modifiers.new("Armature", "ARMATURE").object = armature
    high = [i for i, corner in enumerate(corners) if corner[2] > origin.z]
    body.vertex_groups.new(name=group).add(high, 1.0, "REPLACE")
    bpy.context.view_layer.update()
    return 0.99 * top if group == "head" else 0.985 * top


@pytest.mark.parametrize("group", ["head", "pelvis"])
@pytest.mark.parametrize("top", [0.5, 1.1])
def test_the_face_of_a_large_head_is_as_large(top, group):
    """The bones of this source stand off what they move: their tails tell nothing."""
    armature, ahead = rigs.build("Unreal"), rigs.ahead("Unreal")
    height = skinned(armature, top, group)
    look_from(Vector((0, 0, 1.6)) + 9 * ahead, at=(0, 0, 1.6))
    (person,) = seen()
    nose = bone_head(armature, "head") + height * (0.86 * ahead + Vector((0, 0, 0.32)))
    assert abs(on_screen(nose) - person[0, :2]).max() <= 2


def test_a_rigs_bone_at_the_top_of_the_head_tells_its_height():
    """Of Mixamo's rigs, whose head is 0.19 high here; the bone's own tail is moved to nowhere."""
    armature, ahead = rigs.build("Mixamo"), rigs.ahead("Mixamo")
    bpy.ops.object.mode_set(mode="EDIT")
    head = armature.data.edit_bones["mixamorig:Head"]
    head.tail = head.head + 20 * (head.tail - head.head)
    bpy.ops.object.mode_set(mode="OBJECT")
    look_from(Vector((0, 0, 1.6)) + 3 * ahead, at=(0, 0, 1.6))
    (person,) = seen()
    nose = bone_head(armature, "mixamorig:Head") + 0.19 * (0.86 * ahead + Vector((0, 0, 0.32)))
    assert abs(on_screen(nose) - person[0, :2]).max() <= 2


def test_the_artists_mapping_wins_over_the_names():
    armature = metarig()
    armatures.set_mapping(armature, {"left_wrist": "f_middle.01.L", "right_ear": ""})
    (person,) = seen()
    x, y, is_seen = person[JOINTS.index("left_wrist")]
    assert is_seen and abs(on_screen(bone_head(armature, "f_middle.01.L")) - (x, y)).max() <= 0.5
    armatures.set_mapping(armature, {})
    assert armatures.mapping_of(armature)["left_wrist"] == "hand.L"


def test_a_saved_mapping_recognises_the_next_rig_of_that_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(armatures, "preset_folder", lambda: tmp_path / "rigs")
    armature = metarig()
    mapping = armatures.mapping_of(armature)
    names = {bone: f"k{index}" for index, bone in enumerate(mapping.values())}
    for bone, name in names.items():
        armature.data.bones[bone].name = name
    assert armatures.mapping_of(armature) is None
    armatures.save_preset("My studio", {joint: names[bone] for joint, bone in mapping.items()})
    assert armatures.mapping_of(armature) == {joint: names[bone] for joint, bone in mapping.items()}


def test_a_preset_that_cannot_be_read_is_told_and_the_others_work(tmp_path, monkeypatch):
    monkeypatch.setattr(armatures, "preset_folder", lambda: tmp_path)
    (tmp_path / "mine.json").write_text("{")
    armature, notes = metarig(), []
    people, _ = armatures.joints(*looked_at(), notes.append)
    assert len(people) == 1
    assert notes == armatures.preset_faults() and "mine.json is no rig preset" in notes[0]
    layout = Layout()
    rig_editor.draw(layout, armature)
    assert "is no rig preset" in " ".join(layout.drawn) and "t2vz.set_joint" in layout.drawn
    (tmp_path / "mine.json").unlink()
    assert armatures.preset_faults() == [] and armatures.mapping_of(armature)
