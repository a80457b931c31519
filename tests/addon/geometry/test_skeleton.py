"""Joints lie on their bones, and rigs without a face get one."""

import numpy as np
import pytest

from blender_addon.geometry.skeleton import Bone, posed, skeleton_of
from t2vz_core.wire.joints import JOINTS


def figure(forward=(0, -1, 0), up=(0, 0, 1), head_length=0.2, with_hands=True):
    """A man of Rigify's proportions built along these axes; bones point up. Returns mapping and
    bones."""
    forward, up = np.array(forward, float), np.array(up, float)
    left = np.cross(up, forward)  # the left hand of who looks forward
    parts = {"shoulder": (0.195, 1.585), "elbow": (0.44, 1.45), "wrist": (0.66, 1.3)}
    parts |= {"hip": (0.1, 1.07), "knee": (0.1, 0.54), "ankle": (0.1, 0.08)}
    if not with_hands:
        del parts["wrist"]
    places = {
        f"{s}_{p}": k * x * left + z * up
        for p, (x, z) in parts.items()
        for s, k in (("left", 1), ("right", -1))
    }
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


@pytest.mark.parametrize(
    ("forward", "up"), [((0, -1, 0), (0, 0, 1)), ((0, 0, 1), (0, 1, 0)), ((1, 0, 0), (0, 0, 1))]
)
def test_a_face_is_made_up_in_front_of_the_head_whichever_way_the_rig_was_built(forward, up):
    mapping, bones, (left, forward, up) = figure(forward, up)
    joints, looks = at_rest(skeleton_of(mapping, bones), bones)
    head = bones["head"].rest[:3, 3]
    nose, right_eye, left_eye, right_ear, left_ear = joints[[0, 14, 15, 16, 17]] - head
    assert nose @ forward == pytest.approx(0.172, abs=0.01) and nose @ left == pytest.approx(
        0, abs=1e-9
    )
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


def forearms_along(bones, length):
    """The left forearm's bone turned to go on as the upper arm does, so long."""
    elbow, shoulder = (bones[f"left_{part}"].rest[:3, 3] for part in ("elbow", "shoulder"))
    along = (elbow - shoulder) / np.linalg.norm(elbow - shoulder)
    rest = bones["left_elbow"].rest.copy()
    rest[:3, 1], rest[:3, 0] = along, np.cross(along, rest[:3, 2])
    bones["left_elbow"] = Bone(rest, length, bones["left_elbow"].ends)
    return elbow, along, np.linalg.norm(elbow - shoulder)


def left_wrist(mapping, bones):
    return at_rest(skeleton_of(mapping, bones), bones)[0][JOINTS.index("left_wrist")]


def test_a_rig_without_hands_has_its_wrists_at_the_end_of_the_forearms():
    mapping, bones, _ = figure(with_hands=False)
    elbow, along, _ = forearms_along(bones, 0.25)
    assert left_wrist(mapping, bones) == pytest.approx(elbow + 0.25 * along)


@pytest.mark.parametrize("length", [1.2, 0.01])
def test_a_forearm_whose_tail_means_nothing_is_as_long_as_forearms_are(length):
    mapping, bones, _ = figure(with_hands=False)
    elbow, along, upper = forearms_along(bones, length)
    assert left_wrist(mapping, bones) == pytest.approx(elbow + 0.9 * upper * along)


def test_a_forearm_bone_that_points_elsewhere_does_not_say_where_the_wrist_is():
    mapping, bones, _ = figure(with_hands=False)  # its bones point up
    elbow, along, upper = forearms_along(dict(bones), 1.0)
    assert left_wrist(mapping, bones) == pytest.approx(elbow + 0.9 * upper * along)


def test_what_hangs_on_a_forearm_says_where_it_ends():
    mapping, bones, _ = figure(with_hands=False)
    elbow, along, _ = forearms_along(bones, 1.2)
    twist, hand = elbow + 0.12 * along, elbow + 0.24 * along
    bones["left_elbow"] = Bone(bones["left_elbow"].rest, 1.2, np.stack([twist, hand]))
    assert left_wrist(mapping, bones) == pytest.approx(hand)


def nose_above(mapping, bones, up, crown):
    joints, _ = at_rest(skeleton_of(mapping, bones, crown), bones)
    return (joints[0] - bones["head"].rest[:3, 3]) @ up


@pytest.mark.parametrize("head_length", [0.05, 0.2, 1.0, 5.0])
def test_the_heads_own_points_tell_how_large_the_head_of_a_cartoon_is(head_length):
    """Twice as high as the torso; a nose lies at 0.32 of the head."""
    mapping, bones, (_, _, up) = figure(head_length=head_length)
    crown = bones["head"].rest[:3, 3] + np.linspace(0, 1, 400)[:, None] * up
    assert nose_above(mapping, bones, up, crown) == pytest.approx(0.32, rel=0.02)


def test_a_sensible_head_bone_counts_more_than_a_hat():
    mapping, bones, (_, _, up) = figure(head_length=0.22)
    crown = bones["head"].rest[:3, 3] + np.linspace(0, 0.35, 400)[:, None] * up
    assert nose_above(mapping, bones, up, crown) == pytest.approx(0.32 * 0.22)


def test_without_a_head_bone_there_is_no_face():
    mapping, bones, _ = figure()
    del mapping["head"]
    joints, looks = at_rest(skeleton_of(mapping, bones), bones)
    assert np.isnan(joints[[0, 14, 15, 16, 17]]).all() and not looks.any()
    assert np.isfinite(joints[1:14]).all()
