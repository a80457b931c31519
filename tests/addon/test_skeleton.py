"""Bone names of all the usual rigs become COCO-18 joints, and rigs without a face get one."""

import json
import re

import numpy as np
import pytest

from blender_addon.skeleton import (
    JOINTS,
    LIMBS,
    PRESETS,
    Bone,
    detected,
    mapping_of,
    posed,
    preset_files,
    read_presets,
    skeleton_of,
    write_preset,
)


def sides(left, right, *names):
    """The names, those with a * once for each side."""
    return [name.replace("*", side) for name in names for side in ((left, right) if "*" in name else ("",))]


ARM, LEG = ("*UpperArm", "*LowerArm", "*Hand"), ("*UpperLeg", "*LowerLeg", "*Foot")
MIXAMO = sides(
    *("Left", "Right", "Hips", "Spine", "Neck", "Head", "HeadTop_End", "*Shoulder", "*Arm", "*ForeArm", "*Hand"),
    *("*HandThumb1", "*UpLeg", "*Leg", "*Foot", "*ToeBase"),
)
RIGS = {
    "Mixamo": ([f"mixamorig:{bone}" for bone in MIXAMO], "mixamorig:RightArm"),
    "Mixamo, numbered": ([f"mixamorig7:{bone}" for bone in MIXAMO], "mixamorig7:RightArm"),
    "Mixamo, without colon": ([f"mixamorig{bone}" for bone in MIXAMO], "mixamorigRightArm"),
    "Mixamo, without prefix": (MIXAMO, "RightArm"),
    "Mixamo, in a namespace": ([f"Hero:{bone}" for bone in MIXAMO], "Hero:RightArm"),
    "Rigify, metarig": (
        sides(
            *("L", "R", "spine", "spine.004", "spine.006", "shoulder.*", "upper_arm.*", "forearm.*", "hand.*"),
            *("thigh.*", "shin.*", "foot.*", "toe.*"),
        ),
        "upper_arm.R",
    ),
    "Rigify, generated": (
        sides(
            *("L", "R", "DEF-spine.006", "head", "upper_arm_fk.*", "hand_ik.*", "eye.*", "shoulder.*"),
            *("DEF-upper_arm.*", "DEF-upper_arm.*.001", "DEF-forearm.*", "DEF-forearm.*.001", "DEF-hand.*"),
            *("ORG-upper_arm.*", "DEF-thigh.*", "DEF-thigh.*.001", "DEF-shin.*", "DEF-foot.*"),
        ),
        "DEF-upper_arm.R",
    ),
    "Auto-Rig Pro": (
        sides(
            *("l", "r", "root.x", "spine_01.x", "neck.x", "head.x", "shoulder.*", "c_arm_fk.*"),
            *("c_arm_twist_offset.*", "arm_stretch.*", "forearm_stretch.*", "forearm_twist.*", "hand.*"),
            *("thigh_twist.*", "thigh_stretch.*", "leg_stretch.*", "leg_twist.*", "foot.*"),
        ),
        "c_arm_twist_offset.r",
    ),
    "Auto-Rig Pro, exported": (
        sides(
            *("l", "r", "root.x", "head.x", "shoulder.*", "arm_stretch.*", "forearm_stretch.*", "hand.*"),
            *("thigh_stretch.*", "leg_stretch.*", "foot.*"),
        ),
        "arm_stretch.r",
    ),
    "VRoid": (
        sides(
            *("_L_", "_R_", "J_Bip_C_Hips", "J_Bip_C_Head", "J_Adj*FaceEye", "J_Bip*Shoulder"),
            *(f"J_Bip{bone}" for bone in ARM + LEG),
        ),
        "J_Bip_R_UpperArm",
    ),
    "Unreal": (
        sides(
            *("l", "r", "pelvis", "spine_01", "neck_01", "head", "clavicle_*", "upperarm_*", "upperarm_twist_01_*"),
            *("lowerarm_*", "hand_*", "thigh_*", "thigh_twist_01_*", "calf_*", "foot_*", "ball_*"),
        ),
        "upperarm_r",
    ),
    "Biped": (
        sides(
            *("L", "R", "Bip001", "Bip001 Neck", "Bip001 Head", "Bip001 * Clavicle", "Bip001 * UpperArm"),
            *("Bip001 * Forearm", "Bip001 * Hand", "Bip001 * Thigh", "Bip001 * Calf", "Bip001 * Foot"),
        ),
        "Bip001 R UpperArm",
    ),
    "Character Creator": (
        sides(
            *("L", "R", "CC_Base_Hip", "CC_Base_Head", "CC_Base_*_Clavicle", "CC_Base_*_Upperarm", "CC_Base_*_Eye"),
            *("CC_Base_*_Forearm", "CC_Base_*_Hand", "CC_Base_*_Thigh", "CC_Base_*_Calf", "CC_Base_*_Foot"),
        ),
        "CC_Base_R_Upperarm",
    ),
    "MakeHuman": (
        sides(
            *("L", "R", "root", "spine01", "head", "eye.*", "clavicle.*", "upperarm01.*", "upperarm02.*"),
            *("lowerarm01.*", "lowerarm02.*", "wrist.*", "upperleg01.*", "upperleg02.*", "lowerleg01.*", "foot.*"),
        ),
        "upperarm01.R",
    ),
    "Daz": (
        sides(
            *("l", "r", "hip", "pelvis", "head", "*Eye", "*Ear", "*Collar", "*ShldrBend", "*ShldrTwist"),
            *("*ForearmBend", "*ForearmTwist", "*Hand", "*ThighBend", "*ThighTwist", "*Shin", "*Foot"),
        ),
        "rShldrBend",
    ),
    "MikuMikuDance": (
        sides(
            "左", "右", "首", "頭", "*肩", "*腕", "*腕捩", "*ひじ", "*手首", "*足", "*ひざ", "*足首", "*足ＩＫ", "*目"
        ),
        "右腕",
    ),
    "MikuMikuDance, as Blender has it": (
        sides("L", "R", "頭", "腕.*", "ひじ.*", "手首.*", "足.*", "ひざ.*", "足首.*", "足IK.*"),
        "腕.R",
    ),
    "plain: VRM's words": (sides("left", "right", "hips", "head", "*Shoulder", *ARM, *LEG), "rightUpperArm"),
    "plain: words with spaces": (
        sides(
            "Left", "Right", "Head", "* shoulder", "* arm", "* elbow", "* wrist", "* hip", "* leg", "* knee", "* ankle"
        ),
        "Right arm",
    ),
    "plain: legs and knees": (
        sides("_L", "_R", "Head", "Arm*", "Elbow*", "Hand*", "Leg*", "Knee*", "Foot*"),
        "Arm_R",
    ),
    "plain: no capitals": (
        sides("left", "right", "head", "*upperarm", "*lowerarm", "*hand", "*thigh", "*calf", "*foot"),
        "rightupperarm",
    ),
}


@pytest.fixture(scope="module")
def presets():
    return read_presets(preset_files(PRESETS))[0]


@pytest.mark.parametrize("kind", RIGS)
def test_a_rig_is_recognised_by_its_bone_names(kind, presets):
    bones, right_shoulder = RIGS[kind]
    preset, mapping = detected(bones, presets)
    assert set(LIMBS) <= set(mapping) and "head" in mapping
    assert mapping["right_shoulder"] == right_shoulder
    assert preset.title == kind.partition(",")[0] or kind.startswith(("plain", "Rigify", "Mixamo"))


@pytest.mark.parametrize("kind", RIGS)
def test_left_and_right_are_never_mixed_up(kind, presets):
    bones, _ = RIGS[kind]
    _, mapping = detected(bones, presets)
    for joint in LIMBS:
        side, part = joint.split("_")
        other = mapping[f"{'left' if side == 'right' else 'right'}_{part}"]
        assert mapping[joint] != other
        is_right = any(mark in mapping[joint] for mark in ("ight", ".R", ".r", "_r", "_R", " R ", "右"))
        is_right = is_right or mapping[joint].startswith("r")
        assert is_right == (side == "right"), (joint, mapping[joint])


def test_a_generated_rigs_eye_targets_are_not_its_eyes(presets):
    _, mapping = detected(RIGS["Rigify, generated"][0], presets)
    assert "right_eye" not in mapping


def test_what_is_no_human_is_not_recognised(presets):
    assert detected(["Bone", "Bone.001", "tail.01", "wing.L", "wing.R", "head", "leg.front.L"], presets) is None
    assert detected([], presets) is None


def test_of_two_alternatives_the_first_named_is_taken(presets):
    auto_rig = next(preset for preset in presets if preset.title == "Auto-Rig Pro")
    bones = ["arm_stretch.l", "c_arm_twist_offset.l"]
    assert mapping_of(auto_rig, bones)["left_shoulder"] == "c_arm_twist_offset.l"


def test_a_mapping_made_by_hand_is_saved_and_found_again(tmp_path):
    mapping = {joint: f"part{index}" for index, joint in enumerate(LIMBS)}
    write_preset(tmp_path / "robot.json", "Robot", mapping)
    preset, found = detected([*mapping.values(), "other"], read_presets(preset_files(PRESETS, tmp_path))[0])
    assert preset.title == "Robot" and found == mapping


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting"),
        ('{"title": "x"}', "joints"),
        ('{"title": "x", "joints": {"tail": ["t"]}}', "'tail'"),
        ('{"title": "x", "prefix": "(", "joints": {}}', "missing"),
    ],
)
def test_a_broken_preset_is_a_sentence_and_the_others_are_read(tmp_path, text, why):
    (tmp_path / "broken.json").write_text(text)
    write_preset(tmp_path / "robot.json", "Robot", {})
    presets, (fault,) = read_presets(preset_files(tmp_path))
    assert [preset.title for preset in presets] == ["Robot"]
    assert re.search(rf"broken\.json is no rig preset: .*{why}", fault)


def test_every_preset_that_ships_names_all_limbs():
    for file in PRESETS.glob("*.json"):
        joints = json.loads(file.read_text(encoding="utf-8"))["joints"]
        assert {"shoulder", "elbow", "wrist", "hip", "knee", "ankle", "head"} <= set(joints), file.name


def figure(forward=(0, -1, 0), up=(0, 0, 1), head_length=0.2, with_hands=True):
    """A man of Rigify's proportions built along these axes; bones point up. Returns mapping and bones."""
    forward, up = np.array(forward, float), np.array(up, float)
    left = np.cross(up, forward)  # the left hand of who looks forward
    parts = {"shoulder": (0.195, 1.585), "elbow": (0.44, 1.45), "wrist": (0.66, 1.3)}
    parts |= {"hip": (0.1, 1.07), "knee": (0.1, 0.54), "ankle": (0.1, 0.08)}
    if not with_hands:
        del parts["wrist"]
    places = {f"{s}_{p}": k * x * left + z * up for p, (x, z) in parts.items() for s, k in (("left", 1), ("right", -1))}
    places["head"] = 1.78 * up
    bones = {}
    for joint, place in places.items():
        rest = np.eye(4)
        rest[:3, :3] = np.stack([left, up, np.cross(left, up)], axis=1)
        rest[:3, 3] = place
        bones[joint] = Bone(rest, head_length if joint == "head" else 0.3)
    return {joint: joint for joint in places}, bones, (left, forward, up)


def at_rest(skeleton, bones):
    return posed(skeleton, {name: bone.rest for name, bone in bones.items()})


@pytest.mark.parametrize(("forward", "up"), [((0, -1, 0), (0, 0, 1)), ((0, 0, 1), (0, 1, 0)), ((1, 0, 0), (0, 0, 1))])
def test_a_face_is_made_up_in_front_of_the_head_whichever_way_the_rig_was_built(forward, up):
    mapping, bones, (left, forward, up) = figure(forward, up)
    joints, looks = at_rest(skeleton_of(mapping, bones), bones)
    head = bones["head"].rest[:3, 3]
    nose, right_eye, left_eye, right_ear, left_ear = joints[[0, 14, 15, 16, 17]] - head
    assert nose @ forward == pytest.approx(0.172, abs=0.01) and nose @ left == pytest.approx(0, abs=1e-9)
    assert left_eye @ left == pytest.approx(0.052, abs=0.01) == -(right_eye @ left)
    assert left_ear @ left == pytest.approx(0.1, abs=0.02) == -(right_ear @ left)
    assert left_eye @ up > nose @ up > 0
    assert looks[0] @ forward == pytest.approx(1) and looks[17] @ left == pytest.approx(1)


@pytest.mark.parametrize("head_length", [0.001, 5.0])
def test_a_head_bone_of_senseless_length_makes_no_giant_and_no_pinhead(head_length):
    mapping, bones, (_, forward, _) = figure(head_length=head_length)
    joints, _ = at_rest(skeleton_of(mapping, bones), bones)
    assert (joints[0] - bones["head"].rest[:3, 3]) @ forward == pytest.approx(0.172, abs=0.01)


def test_the_neck_is_half_way_between_the_shoulders():
    mapping, bones, _ = figure()
    joints, _ = at_rest(skeleton_of(mapping, bones), bones)
    assert joints[1] == pytest.approx((joints[2] + joints[5]) / 2)


def test_the_face_turns_with_the_head():
    mapping, bones, (left, _, _) = figure()
    matrices = {name: bone.rest.copy() for name, bone in bones.items()}
    turn = np.eye(4)
    turn[:2, :2] = [[0, -1], [1, 0]]  # a quarter turn about z brings forward, -y, to x, the left
    matrices["head"][:3, :3] = turn[:3, :3] @ matrices["head"][:3, :3]
    joints, looks = posed(skeleton_of(mapping, bones), matrices)
    assert looks[0] @ left == pytest.approx(1)
    assert (joints[0] - matrices["head"][:3, 3]) @ left == pytest.approx(0.172, abs=0.01)


def test_a_rig_without_hands_has_its_wrists_at_the_end_of_the_forearms():
    mapping, bones, (_, _, up) = figure(with_hands=False)
    joints, _ = at_rest(skeleton_of(mapping, bones), bones)
    wrist = JOINTS.index("left_wrist")
    assert joints[wrist] == pytest.approx(bones["left_elbow"].rest[:3, 3] + 0.3 * up)


def test_without_a_head_bone_there_is_no_face():
    mapping, bones, _ = figure()
    del mapping["head"]
    joints, looks = at_rest(skeleton_of(mapping, bones), bones)
    assert np.isnan(joints[[0, 14, 15, 16, 17]]).all() and not looks.any()
    assert np.isfinite(joints[1:14]).all()
