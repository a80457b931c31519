"""Bone names of all the usual rigs become COCO-18 joints."""

import json
import re

import pytest

from blender_addon.geometry.bone_names import (
    LIMBS,
    PRESETS,
    detected,
    mapping_of,
    preset_files,
    read_presets,
    write_preset,
)


def sides(left, right, *names):
    """The names, those with a * once for each side."""
    return [
        name.replace("*", side)
        for name in names
        for side in ((left, right) if "*" in name else ("",))
    ]


ARM, LEG = ("*UpperArm", "*LowerArm", "*Hand"), ("*UpperLeg", "*LowerLeg", "*Foot")
MIXAMO = sides(
    *(
        "Left",
        "Right",
        "Hips",
        "Spine",
        "Neck",
        "Head",
        "HeadTop_End",
        "*Shoulder",
        "*Arm",
        "*ForeArm",
        "*Hand",
    ),
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
            *(
                "L",
                "R",
                "spine",
                "spine.004",
                "spine.006",
                "shoulder.*",
                "upper_arm.*",
                "forearm.*",
                "hand.*",
            ),
            *("thigh.*", "shin.*", "foot.*", "toe.*"),
        ),
        "upper_arm.R",
    ),
    "Rigify, generated": (
        sides(
            *(
                "L",
                "R",
                "DEF-spine.006",
                "head",
                "upper_arm_fk.*",
                "hand_ik.*",
                "eye.*",
                "shoulder.*",
            ),
            *(
                "DEF-upper_arm.*",
                "DEF-upper_arm.*.001",
                "DEF-forearm.*",
                "DEF-forearm.*.001",
                "DEF-hand.*",
            ),
            *("ORG-upper_arm.*", "DEF-thigh.*", "DEF-thigh.*.001", "DEF-shin.*", "DEF-foot.*"),
        ),
        "DEF-upper_arm.R",
    ),
    "Auto-Rig Pro": (
        sides(
            *("l", "r", "root.x", "spine_01.x", "neck.x", "head.x", "shoulder.*", "c_arm_fk.*"),
            *(
                "c_arm_twist_offset.*",
                "arm_stretch.*",
                "forearm_stretch.*",
                "forearm_twist.*",
                "hand.*",
            ),
            *("thigh_twist.*", "thigh_stretch.*", "leg_stretch.*", "leg_twist.*", "foot.*"),
        ),
        "c_arm_twist_offset.r",
    ),
    "Auto-Rig Pro, exported": (
        sides(
            *(
                "l",
                "r",
                "root.x",
                "head.x",
                "shoulder.*",
                "arm_stretch.*",
                "forearm_stretch.*",
                "hand.*",
            ),
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
            *(
                "l",
                "r",
                "pelvis",
                "spine_01",
                "neck_01",
                "head",
                "clavicle_*",
                "upperarm_*",
                "upperarm_twist_01_*",
            ),
            *("lowerarm_*", "hand_*", "thigh_*", "thigh_twist_01_*", "calf_*", "foot_*", "ball_*"),
        ),
        "upperarm_r",
    ),
    "Biped": (
        sides(
            *(
                "L",
                "R",
                "Bip001",
                "Bip001 Neck",
                "Bip001 Head",
                "Bip001 * Clavicle",
                "Bip001 * UpperArm",
            ),
            *(
                "Bip001 * Forearm",
                "Bip001 * Hand",
                "Bip001 * Thigh",
                "Bip001 * Calf",
                "Bip001 * Foot",
            ),
        ),
        "Bip001 R UpperArm",
    ),
    "Character Creator": (
        sides(
            *(
                "L",
                "R",
                "CC_Base_Hip",
                "CC_Base_Head",
                "CC_Base_*_Clavicle",
                "CC_Base_*_Upperarm",
                "CC_Base_*_Eye",
            ),
            *(
                "CC_Base_*_Forearm",
                "CC_Base_*_Hand",
                "CC_Base_*_Thigh",
                "CC_Base_*_Calf",
                "CC_Base_*_Foot",
            ),
        ),
        "CC_Base_R_Upperarm",
    ),
    "MakeHuman": (
        sides(
            *(
                "L",
                "R",
                "root",
                "spine01",
                "head",
                "eye.*",
                "clavicle.*",
                "upperarm01.*",
                "upperarm02.*",
            ),
            *(
                "lowerarm01.*",
                "lowerarm02.*",
                "wrist.*",
                "upperleg01.*",
                "upperleg02.*",
                "lowerleg01.*",
                "foot.*",
            ),
        ),
        "upperarm01.R",
    ),
    "Daz": (
        sides(
            *(
                "l",
                "r",
                "hip",
                "pelvis",
                "head",
                "*Eye",
                "*Ear",
                "*Collar",
                "*ShldrBend",
                "*ShldrTwist",
            ),
            *(
                "*ForearmBend",
                "*ForearmTwist",
                "*Hand",
                "*ThighBend",
                "*ThighTwist",
                "*Shin",
                "*Foot",
            ),
        ),
        "rShldrBend",
    ),
    "MikuMikuDance": (
        sides(
            "左",
            "右",
            "首",
            "頭",
            "*肩",
            "*腕",
            "*腕捩",
            "*ひじ",
            "*手首",
            "*足",
            "*ひざ",
            "*足首",
            "*足ＩＫ",
            "*目",
        ),
        "右腕",
    ),
    "MikuMikuDance, as Blender has it": (
        sides("L", "R", "頭", "腕.*", "ひじ.*", "手首.*", "足.*", "ひざ.*", "足首.*", "足IK.*"),
        "腕.R",
    ),
    "plain: VRM's words": (
        sides("left", "right", "hips", "head", "*Shoulder", *ARM, *LEG),
        "rightUpperArm",
    ),
    "plain: words with spaces": (
        sides(
            "Left",
            "Right",
            "Head",
            "* shoulder",
            "* arm",
            "* elbow",
            "* wrist",
            "* hip",
            "* leg",
            "* knee",
            "* ankle",
        ),
        "Right arm",
    ),
    "plain: legs and knees": (
        sides("_L", "_R", "Head", "Arm*", "Elbow*", "Hand*", "Leg*", "Knee*", "Foot*"),
        "Arm_R",
    ),
    "plain: no capitals": (
        sides(
            "left", "right", "head", "*upperarm", "*lowerarm", "*hand", "*thigh", "*calf", "*foot"
        ),
        "rightupperarm",
    ),
}


PLAIN = {"plain": ("Left/Right names", "Unreal")}  # rigs of no maker, and what they are read as


@pytest.fixture(scope="module")
def presets():
    return read_presets(preset_files(PRESETS))[0]


@pytest.mark.parametrize("kind", RIGS)
def test_a_rig_is_recognised_by_its_bone_names(kind, presets):
    bones, right_shoulder = RIGS[kind]
    preset, mapping = detected(bones, presets)
    assert set(LIMBS) <= set(mapping) and "head" in mapping
    assert mapping["right_shoulder"] == right_shoulder
    assert preset.title in (kind, kind.partition(",")[0], *PLAIN.get(kind.partition(":")[0], ()))


@pytest.mark.parametrize("kind", RIGS)
def test_left_and_right_are_never_mixed_up(kind, presets):
    bones, _ = RIGS[kind]
    _, mapping = detected(bones, presets)
    for joint in LIMBS:
        side, part = joint.split("_")
        other = mapping[f"{'left' if side == 'right' else 'right'}_{part}"]
        assert mapping[joint] != other
        is_right = any(
            mark in mapping[joint] for mark in ("ight", ".R", ".r", "_r", "_R", " R ", "右")
        )
        is_right = is_right or mapping[joint].startswith("r")
        assert is_right == (side == "right"), (joint, mapping[joint])


def test_a_generated_rigs_eye_targets_are_not_its_eyes(presets):
    _, mapping = detected(RIGS["Rigify, generated"][0], presets)
    assert "right_eye" not in mapping


def test_what_is_no_human_is_not_recognised(presets):
    assert (
        detected(
            ["Bone", "Bone.001", "tail.01", "wing.L", "wing.R", "head", "leg.front.L"], presets
        )
        is None
    )
    assert detected([], presets) is None


def test_of_two_alternatives_the_first_named_is_taken(presets):
    auto_rig = next(preset for preset in presets if preset.title == "Auto-Rig Pro")
    bones = ["arm_stretch.l", "c_arm_twist_offset.l"]
    assert mapping_of(auto_rig, bones)["left_shoulder"] == "c_arm_twist_offset.l"


def test_a_mapping_made_by_hand_is_saved_and_found_again(tmp_path):
    mapping = {joint: f"part{index}" for index, joint in enumerate(LIMBS)}
    write_preset(tmp_path / "robot.json", "Robot", mapping)
    preset, found = detected(
        [*mapping.values(), "other"], read_presets(preset_files(PRESETS, tmp_path))[0]
    )
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
        assert {"shoulder", "elbow", "wrist", "hip", "knee", "ankle", "head"} <= set(joints), (
            file.name
        )
