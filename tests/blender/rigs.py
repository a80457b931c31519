"""Armatures as the usual sources deliver them: true bone names, parents, rest axes, units and
turned objects."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import bpy
from mathutils import Matrix, Vector

# One T-posed human, metres, z up, facing -y; x is the left. Sided places stand for the left side.
CENTRE = {
    "hips": (0, 0, 1.0), "spine": (0, 0, 1.1), "chest": (0, 0, 1.25), "neck": (0, 0.01, 1.48),
    "head": (0, 0, 1.56),
    "top": (0, 0, 1.75),
}  # fmt: skip
SIDED = {
    "collar": (0.04, 0, 1.42), "shoulder": (0.17, 0, 1.42), "mid arm": (0.3, 0, 1.42),
    "elbow": (0.44, 0.01, 1.42),
    "mid forearm": (0.56, 0, 1.42), "wrist": (0.69, 0, 1.42), "hip": (0.1, 0, 0.95),
    "mid thigh": (0.1, 0, 0.73),
    "knee": (0.1, -0.01, 0.51), "ankle": (0.1, 0.02, 0.09), "ball": (0.1, -0.12, 0.02),
    "toe": (0.1, -0.18, 0.02),
    "eye": (0.03, -0.08, 1.64),
}  # fmt: skip
FINGERS = {
    "thumb": -0.04,
    "index": -0.03,
    "middle": -0.01,
    "ring": 0.01,
    "pinky": 0.03,
}  # y of each
for _finger, _y in FINGERS.items():
    for _knuckle in range(4):
        _x = (0.72 if _finger == "thumb" else 0.78) + 0.03 * _knuckle
        SIDED[f"{_finger} {_knuckle + 1}"] = (_x, _y, 1.42)

Tail = Callable[[Vector, Vector], tuple[Vector, float]]


@dataclass(frozen=True)
class Kind:
    """One source of rigs.

    bones: name -> (place, parent's name), * standing for the side in both; sides: what * is, left
        and right
    tails: how a bone (head, next place) points: its tail, and its roll
    stance: the armature's world matrix; its bones are stored in that space's units and axes
    joints: joint without side -> name of the bone whose head it is
    """

    bones: dict[str, tuple[str, str]]
    sides: tuple[str, str]
    tails: Tail
    stance: Matrix
    joints: dict[str, str]
    fingers: str = ""  # name of a finger's bone, {} standing for finger and number


def along(head: Vector, end: Vector) -> tuple[Vector, float]:
    """As riggers do: to where the next bone begins."""
    return end, 0.0


def up(head: Vector, _end: Vector) -> tuple[Vector, float]:
    """As glTF has it where all rest rotations are none: a stub that says nothing."""
    return head + Vector((0, 0, 0.05)), 0.0


def across(head: Vector, end: Vector) -> tuple[Vector, float]:
    """As Unreal has it: x runs along the bone, so that y, to which Blender puts the tail, stands
    off it."""
    side = (end - head).cross(Vector((0.1, 1, 0.2)))
    return head + side.normalized() * 0.08, math.pi / 3


FBX = Matrix.Rotation(math.pi / 2, 4, "X") @ Matrix.Scale(
    0.01, 4
)  # centimetres and y up, as importers leave it

KINDS = {
    "Mixamo": Kind(
        {
            "mixamorig:Hips": ("hips", ""), "mixamorig:Spine": ("spine", "mixamorig:Hips"),
            "mixamorig:Spine2": ("chest", "mixamorig:Spine"),
            "mixamorig:Neck": ("neck", "mixamorig:Spine2"),
            "mixamorig:Head": ("head", "mixamorig:Neck"),
            "mixamorig:HeadTop_End": ("top", "mixamorig:Head"),
            "mixamorig:*Shoulder": ("collar", "mixamorig:Spine2"),
            "mixamorig:*Arm": ("shoulder", "mixamorig:*Shoulder"),
            "mixamorig:*ForeArm": ("elbow", "mixamorig:*Arm"),
            "mixamorig:*Hand": ("wrist", "mixamorig:*ForeArm"),
            "mixamorig:*UpLeg": ("hip", "mixamorig:Hips"),
            "mixamorig:*Leg": ("knee", "mixamorig:*UpLeg"),
            "mixamorig:*Foot": ("ankle", "mixamorig:*Leg"),
            "mixamorig:*ToeBase": ("ball", "mixamorig:*Foot"),
            "mixamorig:*Toe_End": ("toe", "mixamorig:*ToeBase"),
        },
        ("Left", "Right"), along, FBX,
        {"shoulder": "mixamorig:*Arm", "elbow": "mixamorig:*ForeArm", "wrist": "mixamorig:*Hand",
         "hip": "mixamorig:*UpLeg", "knee": "mixamorig:*Leg", "ankle": "mixamorig:*Foot"},
        "mixamorig:*Hand{}{}",
    ),
    "Auto-Rig Pro": Kind(
        {
            "root.x": ("hips", ""), "spine_01.x": ("spine", "root.x"),
            "spine_02.x": ("chest", "spine_01.x"),
            "neck.x": ("neck", "spine_02.x"), "head.x": ("head", "neck.x"),
            "shoulder.*": ("collar", "spine_02.x"),
            "c_arm_twist_offset.*": ("shoulder", "shoulder.*"),
            "arm_stretch.*": ("mid arm", "c_arm_twist_offset.*"),
            "forearm_stretch.*": ("elbow", "arm_stretch.*"),
            "forearm_twist.*": ("mid forearm", "forearm_stretch.*"),
            "hand.*": ("wrist", "forearm_stretch.*"), "thigh_twist.*": ("hip", "root.x"),
            "thigh_stretch.*": ("mid thigh", "thigh_twist.*"),
            "leg_stretch.*": ("knee", "thigh_stretch.*"),
            "leg_twist.*": ("ankle", "leg_stretch.*"), "foot.*": ("ankle", "leg_stretch.*"),
            "toes_01.*": ("ball", "foot.*"),
        },
        ("l", "r"), along, Matrix.Identity(4),
        {"shoulder": "c_arm_twist_offset.*", "elbow": "forearm_stretch.*", "wrist": "hand.*",
         "hip": "thigh_twist.*",
         "knee": "leg_stretch.*", "ankle": "foot.*"},
    ),
    "VRoid": Kind(
        {
            "Root": ("hips", ""), "J_Bip_C_Hips": ("hips", "Root"),
            "J_Bip_C_Spine": ("spine", "J_Bip_C_Hips"),
            "J_Bip_C_UpperChest": ("chest", "J_Bip_C_Spine"),
            "J_Bip_C_Neck": ("neck", "J_Bip_C_UpperChest"),
            "J_Bip_C_Head": ("head", "J_Bip_C_Neck"), "J_Adj_*_FaceEye": ("eye", "J_Bip_C_Head"),
            "J_Bip_*_Shoulder": ("collar", "J_Bip_C_UpperChest"),
            "J_Bip_*_UpperArm": ("shoulder", "J_Bip_*_Shoulder"),
            "J_Bip_*_LowerArm": ("elbow", "J_Bip_*_UpperArm"),
            "J_Bip_*_Hand": ("wrist", "J_Bip_*_LowerArm"),
            "J_Bip_*_UpperLeg": ("hip", "J_Bip_C_Hips"),
            "J_Bip_*_LowerLeg": ("knee", "J_Bip_*_UpperLeg"),
            "J_Bip_*_Foot": ("ankle", "J_Bip_*_LowerLeg"),
            "J_Bip_*_ToeBase": ("ball", "J_Bip_*_Foot"),
        },
        ("L", "R"), up, Matrix.Identity(4),
        {"shoulder": "J_Bip_*_UpperArm", "elbow": "J_Bip_*_LowerArm", "wrist": "J_Bip_*_Hand",
         "hip": "J_Bip_*_UpperLeg", "knee": "J_Bip_*_LowerLeg", "ankle": "J_Bip_*_Foot",
         "eye": "J_Adj_*_FaceEye"},
        "J_Bip_*_{}{}",
    ),
    "Unreal": Kind(
        {
            "root": ("hips", ""), "pelvis": ("hips", "root"), "spine_01": ("spine", "pelvis"),
            "spine_03": ("chest", "spine_01"), "neck_01": ("neck", "spine_03"),
            "head": ("head", "neck_01"),
            "clavicle_*": ("collar", "spine_03"), "upperarm_*": ("shoulder", "clavicle_*"),
            "upperarm_twist_01_*": ("mid arm", "upperarm_*"), "lowerarm_*": ("elbow", "upperarm_*"),
            "lowerarm_twist_01_*": ("mid forearm", "lowerarm_*"), "hand_*": ("wrist", "lowerarm_*"),
            "thigh_*": ("hip", "pelvis"), "thigh_twist_01_*": ("mid thigh", "thigh_*"),
            "calf_*": ("knee", "thigh_*"),
            "foot_*": ("ankle", "calf_*"), "ball_*": ("ball", "foot_*"),
            "ik_foot_*": ("ankle", "root"),
            "ik_hand_*": ("wrist", "root"),
        },
        ("l", "r"), across, Matrix.Rotation(0.7, 4, "Z") @ Matrix.Scale(0.01, 4),
        {"shoulder": "upperarm_*", "elbow": "lowerarm_*", "wrist": "hand_*",
         "hip": "thigh_*", "knee": "calf_*",
         "ankle": "foot_*"},
        "{}_0{}_*",
    ),
}  # fmt: skip
FINGER_NAMES = {"VRoid": {"pinky": "Little"}}
CAPITAL = {"Mixamo", "VRoid"}  # write their fingers so
KNUCKLES = {"Mixamo": 4}  # bones of a finger; elsewhere 3


def build(title: str) -> bpy.types.Object:
    """The armature of a kind, in the scene, active and in object mode."""
    kind = KINDS[title]
    places, parents = _sided(title)
    data = bpy.data.armatures.new(title)
    armature = bpy.data.objects.new(title, data)
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    armature.matrix_world = kind.stance
    to_bones = _axes(kind.stance).inverted()
    bpy.ops.object.mode_set(mode="EDIT")
    for name, head in places.items():
        bone = data.edit_bones.new(name)
        following = (places[child] for child, parent in parents.items() if parent == name)
        end = next(
            (point for point in following if (point - head).length > 1e-3),
            head + Vector((0, 0, 0.1)),
        )
        tail, bone.roll = kind.tails(head, end)
        bone.head, bone.tail, bone.parent = (
            to_bones @ head,
            to_bones @ tail,
            data.edit_bones.get(parents[name]),
        )
    bpy.ops.object.mode_set(mode="OBJECT")
    return armature


def ahead(title: str) -> Vector:
    """Whither the human looks, in the world."""
    stance = KINDS[title].stance
    return (stance @ _axes(stance).inverted()).to_3x3() @ Vector((0, -1, 0))


def _sided(title: str) -> tuple[dict[str, Vector], dict[str, str]]:
    """Each bone's place, metres, and its parent's name, on both sides, parents first."""
    places, parents = {}, {}
    for name, (place, parent) in all_bones(title).items():
        sides = zip(KINDS[title].sides, (1, -1)) if "*" in name else (("", 1),)
        for side, sign in sides:
            x, y, z = SIDED[place] if "*" in name else CENTRE[place]
            places[name.replace("*", side)] = Vector((x * sign, y, z))
            parents[name.replace("*", side)] = parent.replace("*", side)
    return places, parents


def all_bones(title: str) -> dict[str, tuple[str, str]]:
    """Bones of a kind with its fingers: name -> (place, parent)."""
    kind, bones = KINDS[title], dict(KINDS[title].bones)
    if kind.fingers:
        for finger in FINGERS:
            above = kind.joints["wrist"]
            for number in range(1, KNUCKLES.get(title, 3) + 1):
                name = finger_bone(title, finger, number)
                bones[name], above = (f"{finger} {number}", above), name
    return bones


def finger_bone(title: str, finger: str, number: int) -> str:
    """The name of a finger's bone, * standing for the side."""
    word = FINGER_NAMES.get(title, {}).get(finger, finger)
    return KINDS[title].fingers.format(word.capitalize() if title in CAPITAL else word, number)


def _axes(stance: Matrix) -> Matrix:
    """What turns bones of this object upright and makes them metres; turning the object itself
    turns the human."""
    return stance if stance == FBX else Matrix.Scale(stance.to_scale()[0], 4)
