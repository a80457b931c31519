"""Where a rig's joints are in a pose, a face and fingertips made up where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from t2vz_core.wire.joints import JOINTS

from .bone_names import HANDS, HEAD, KNUCKLES

FINGERTIP = 0.8  # of the finger's bone before the last: how long the last is where no bone tells
# Where the face is when no bone says so: left, forward, up from the head bone's head, in head
# heights; and whither it looks. Measured on Rigify's human, whose head is 0.39 torsos high.
_FACE = {
    "nose": ((0.0, 0.86, 0.32), (0.0, 1.0, 0.0)),
    "right_eye": ((-0.26, 0.48, 0.57), (-0.5, 0.87, 0.0)),
    "left_eye": ((0.26, 0.48, 0.57), (0.5, 0.87, 0.0)),
    "right_ear": ((-0.53, 0.03, 0.45), (-1.0, 0.0, 0.0)),
    "left_ear": ((0.53, 0.03, 0.45), (1.0, 0.0, 0.0)),
}
_EYE_HEIGHT = 0.57
_HEADS_PER_TORSO = 0.39
_CROWN_PERCENT = 99.0  # of the head's points: a hair that stands up does not tell its height
# Where a limb has no bone beyond its middle: how long its lower part is, in upper parts, as on
# Rigify's human; and how far a bone's own length and direction may be off to be believed.
_LOWER = {"wrist": ("shoulder", 0.9), "ankle": ("hip", 0.97)}
_BELIEVED = (0.6, 1.5)
_STRAIGHT_COS = 0.5


@dataclass(frozen=True)
class Bone:
    """A bone at rest: its matrix (4, 4) in armature space, y along it, its length, and where (n, 3)
    the bones begin that hang on it."""

    rest: np.ndarray
    length: float
    ends: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))


@dataclass(frozen=True)
class Skeleton:
    """Joints fixed to bones.

    places: joint -> (bone, (4,) homogeneous point in the bone's own space)
    looks:  joint of the face -> (4,) homogeneous direction in the head bone's space
    """

    places: dict[str, tuple[str, np.ndarray]]
    head: str | None
    looks: dict[str, np.ndarray]


def skeleton_of(
    mapping: Mapping[str, str], bones: Mapping[str, Bone], crown: np.ndarray | None = None
) -> Skeleton:
    """The joints of a rig at rest: heads of the mapped bones, and a face made up where the rig has
    none.

    Args:
        crown: (n, 3) points of the head in armature space, which tell how high it is; None:
            unknown.
    """
    places = {
        joint: (bone, _HERE) for joint, bone in mapping.items() if bone in bones and joint != HEAD
    }
    for side in ("right", "left"):
        for outer, inner in ((f"{side}_wrist", f"{side}_elbow"), (f"{side}_ankle", f"{side}_knee")):
            if outer not in places and inner in places:  # rigs without hands or feet
                places[outer] = (places[inner][0], _limb_end(outer, places, bones))
    places |= _fingertips(places, bones)
    head, axes = mapping.get(HEAD), _axes(places, bones)
    if head is None or head not in bones or axes is None:
        return Skeleton(places, None, {})
    to_head = np.linalg.inv(bones[head].rest)
    height = _head_height(head, axes, places, bones, crown)
    looks = {}
    for joint, (place, look) in _FACE.items():
        point = bones[head].rest[:3, 3] + height * (axes @ place)
        places.setdefault(joint, (head, to_head @ np.append(point, 1.0)))
        looks[joint] = to_head @ np.append(axes @ look, 0.0)
    return Skeleton(places, head, looks)


_HERE = np.array([0, 0, 0, 1.0])


def _limb_end(outer: str, places: Mapping, bones: Mapping[str, Bone]) -> np.ndarray:
    """Where a limb's last bone ends, (4,) in its own space: where another begins that hangs on it,
    at its tail, or, where imports have left neither with a meaning, as long as limbs are."""
    side, _, part = outer.partition("_")
    start, proportion = _LOWER[part]
    bone = bones[places[f"{side}_{'elbow' if part == 'wrist' else 'knee'}"][0]]
    tail = np.array([0, bone.length, 0, 1.0])
    if f"{side}_{start}" not in places:
        return tail
    to_bone = np.linalg.inv(bone.rest)
    upper = bone.rest[:3, 3] - _at_rest(places[f"{side}_{start}"], bones)
    ends = sorted(bone.ends, key=lambda end: -np.linalg.norm(end - bone.rest[:3, 3]))
    for end in (*(to_bone @ np.append(end, 1.0) for end in ends), tail):
        if _goes_on(bone.rest[:3, :3] @ end[:3], upper):
            return end
    return to_bone @ np.append(bone.rest[:3, 3] + proportion * upper, 1.0)


def _goes_on(lower: np.ndarray, upper: np.ndarray) -> bool:
    """Whether one part of a limb (3,) can be the other's continuation at rest."""
    length, before = np.linalg.norm(lower), np.linalg.norm(upper)
    shortest, longest = _BELIEVED
    is_long_enough = shortest * before <= length <= longest * before
    return bool(is_long_enough and lower @ upper >= _STRAIGHT_COS * length * before)


def _fingertips(places: Mapping[str, tuple[str, np.ndarray]], bones: Mapping[str, Bone]) -> dict:
    """Ends of fingers that have no bone there: straight on at rest, and moved by the last bone."""
    tips = {}
    for tip in (knuckle for knuckle in HANDS if knuckle.endswith("4") and knuckle not in places):
        last, before = f"{tip[:-1]}3", f"{tip[:-1]}2"
        if last in places and before in places:
            bone, end = places[last][0], _at_rest(places[last], bones)
            point = end + FINGERTIP * (end - _at_rest(places[before], bones))
            tips[tip] = (bone, np.linalg.inv(bones[bone].rest) @ np.append(point, 1.0))
    return tips


def _axes(
    places: Mapping[str, tuple[str, np.ndarray]], bones: Mapping[str, Bone]
) -> np.ndarray | None:
    """The body's left, forward and up in armature space as columns (3, 3); None without shoulders
    and hips."""
    trunk = [f"{side}_{part}" for part in ("shoulder", "hip") for side in ("right", "left")]
    if any(joint not in places for joint in trunk):
        return None
    right_shoulder, left_shoulder, right_hip, left_hip = (
        _at_rest(places[joint], bones) for joint in trunk
    )
    up = (right_shoulder + left_shoulder - right_hip - left_hip) / 2
    left = left_shoulder - right_shoulder + left_hip - right_hip
    left = left - up * (left @ up) / (up @ up)
    forward = np.cross(left, up)
    return np.stack([axis / np.linalg.norm(axis) for axis in (left, forward, up)], axis=1)


def _head_height(
    head: str,
    axes: np.ndarray,
    places: Mapping,
    bones: Mapping[str, Bone],
    crown: np.ndarray | None,
) -> float:
    """From where the head's bone begins to the top of the head.

    The eyes tell it; else the bone, if it is as long as a head may be and not far from the head's
    own points; else these, as of characters whose head is as large as the rest of them.
    """
    origin, up = bones[head].rest[:3, 3], axes[:, 2]
    if "left_eye" in places and "right_eye" in places:
        eyes = (_at_rest(places["left_eye"], bones) + _at_rest(places["right_eye"], bones)) / 2
        return max(float((eyes - origin) @ up) / _EYE_HEIGHT, 1e-6)
    shoulder, hip = (_at_rest(places[f"left_{part}"], bones) for part in ("shoulder", "hip"))
    torso = float((shoulder - hip) @ up)
    along = float(bones[head].rest[:3, 1] @ up) * bones[head].length
    top = 0.0 if crown is None else float(np.percentile((crown - origin) @ up, _CROWN_PERCENT))
    # Imported rigs have tails that mean nothing: only a sensible one tells how high the head is.
    if top < 0.1 * torso:
        return along if 0.25 * torso < along < torso else _HEADS_PER_TORSO * torso
    slack = 2.0 if 0.25 * torso < along < torso else 1.35
    return along if top / slack < along < top * slack else top


def _at_rest(place: tuple[str, np.ndarray], bones: Mapping[str, Bone]) -> np.ndarray:
    return (bones[place[0]].rest @ place[1])[:3]


def posed(skeleton: Skeleton, matrices: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Joints and looks of a pose.

    Args:
        matrices: (4, 4) of each bone from its own space to the space wanted.

    Returns:
        joints (18, 3), NaN where the rig has none; and looks (18, 3), unit vectors for the face,
        else 0.
    """
    joints, looks = np.full((18, 3), np.nan), np.zeros((18, 3))
    for joint in skeleton.places.keys() & set(JOINTS):
        joints[JOINTS.index(joint)] = _placed(skeleton, joint, matrices)
    joints[1] = (joints[2] + joints[5]) / 2
    for joint, direction in skeleton.looks.items():
        assert skeleton.head is not None  # or it looked nowhere
        look = (matrices[skeleton.head] @ direction)[:3]
        looks[JOINTS.index(joint)] = look / max(np.linalg.norm(look), 1e-12)
    return joints, looks


def hands(skeleton: Skeleton, matrices: Mapping[str, np.ndarray]) -> np.ndarray:
    """OpenPose's 21 points of each hand of a pose (2, 21, 3), left first: the wrist, then thumb to
    little finger.

    NaN where the rig has none; a hand without any finger has no wrist either.
    """
    points = np.full((2, 21, 3), np.nan)
    for hand, side in zip(points, ("left", "right")):
        known = [(i, f"{side}_{knuckle}") for i, knuckle in enumerate(KNUCKLES, 1)]
        known = [(i, joint) for i, joint in known if joint in skeleton.places]
        for i, joint in (
            [(0, f"{side}_wrist"), *known]
            if known and f"{side}_wrist" in skeleton.places
            else known
        ):
            hand[i] = _placed(skeleton, joint, matrices)
    return points


def _placed(skeleton: Skeleton, joint: str, matrices: Mapping[str, np.ndarray]) -> np.ndarray:
    bone, point = skeleton.places[joint]
    return (matrices[bone] @ point)[:3]
