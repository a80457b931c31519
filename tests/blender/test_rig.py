"""Joints of armatures lie where their bones are on screen, and only those that the camera sees count."""

import math

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Vector

from blender_addon import rig, rig_editor
from blender_addon.cameras import CaptureError, camera_view
from blender_addon.capture import Wanted, capture
from blender_addon.skeleton import JOINTS
from tests.blender import rigs
from tests.blender.test_panel import Layout

WIDTH, HEIGHT = 640, 480
ON_BONES = [joint for joint in JOINTS if joint != "neck"]


@pytest.fixture(scope="module", autouse=True)
def rigify():
    import addon_utils  # is found only once bpy has been imported

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    addon_utils.enable("rigify", default_set=True)
    yield
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    addon_utils.disable("rigify", default_set=True)


@pytest.fixture(autouse=True)
def empty_scene(rigify):
    for thing in list(bpy.data.objects):
        bpy.data.objects.remove(thing)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    look_from((1.5, -4.5, 1.6))


def look_from(place, at=(0, 0, 1.1)):
    camera = bpy.context.scene.camera
    camera.location = place
    camera.rotation_euler = (Vector(at) - Vector(place)).to_track_quat("-Z", "Y").to_euler()


def metarig():
    bpy.ops.object.armature_human_metarig_add()
    return bpy.context.object


@pytest.fixture(scope="module")
def generated_file(rigify, tmp_path_factory):
    """A .blend that holds a generated Rigify rig: generating takes seconds, appending does not."""
    metarig()
    others = set(bpy.data.objects)
    bpy.ops.pose.rigify_generate()
    bpy.ops.object.mode_set(mode="OBJECT")
    character = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE" and thing not in others)
    character.name = "Character"
    path = tmp_path_factory.mktemp("rigify") / "generated.blend"
    bpy.data.libraries.write(str(path), {character})
    return path


@pytest.fixture
def generated(generated_file, empty_scene):
    with bpy.data.libraries.load(str(generated_file)) as (_, wanted):
        wanted.objects = ["Character"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    return wanted.objects[0]


def box(name, place, size):
    bpy.ops.mesh.primitive_cube_add(size=1, location=place)
    bpy.context.object.scale = size
    bpy.context.object.name = name
    return bpy.context.object


def seen():
    """The people on screen (n, 18, 3), and the depsgraph they were read from."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    view = camera_view(bpy.context.scene, depsgraph, WIDTH, HEIGHT)
    return rig.joints(depsgraph, view)[0]


def seen_hands():
    """The only person's hands (2, 21, 3)."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    (hands,) = rig.joints(depsgraph, camera_view(bpy.context.scene, depsgraph, WIDTH, HEIGHT), has_hands=True)[1]
    return hands


def on_screen(point):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    u, v, _ = world_to_camera_view(scene, scene.camera, point)
    return np.array([u * WIDTH, (1 - v) * HEIGHT])


def bone_head(armature, bone):
    evaluated = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return evaluated.matrix_world @ evaluated.pose.bones[bone].head


def assert_joints_on_bones(armature):
    (person,) = seen()
    mapping = rig.mapping_of(armature)
    checked = 0
    for joint in ON_BONES:
        x, y, is_seen = person[JOINTS.index(joint)]
        if is_seen:
            checked += 1
            assert abs(on_screen(bone_head(armature, mapping[joint])) - (x, y)).max() <= 0.5, joint
    assert checked >= 15
    return person


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
            assert abs(on_screen(bone_head(armature, name.replace("*", own))) - (x, y)).max() <= 0.5, (side, joint)
    assert (
        person[JOINTS.index("nose"), 2] and person[JOINTS.index("left_ear"), 0] > person[JOINTS.index("right_ear"), 0]
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
                assert is_seen and abs(on_screen(bone_head(armature, bone)) - (x, y)).max() <= 0.5, bone
            last, before = (bone_head(armature, rigs.finger_bone(title, finger, n).replace("*", own)) for n in (3, 2))
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
        next(capture(bpy.context.scene, bpy.context.view_layer, Wanted(WIDTH, HEIGHT, names), (1,))) for names in passes
    )
    assert without.hands is None and including.hands.shape == (1, 2, 21, 3) and including.hands.any()


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


def test_the_own_body_hides_no_limb():
    armature = metarig()
    body = box("Body", (0, 0, 1), (1.6, 0.6, 2.1))
    body.modifiers.new("Armature", "ARMATURE").object = armature
    assert seen()[0][:, 2].sum() >= 17


def test_from_behind_there_is_no_nose_and_no_eye_but_both_ears():
    metarig()
    look_from((0, 5, 1.6))
    found = {joint for joint, row in zip(JOINTS, seen()[0]) if row[2]}
    assert not {"nose", "left_eye", "right_eye"} & found and {"left_ear", "right_ear", "neck"} <= found


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
    assert person[JOINTS.index("nose"), 2] == 1 and person[JOINTS.index("left_ankle")].tolist() == [0, 0, 0]


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


def test_the_artists_mapping_wins_over_the_names():
    armature = metarig()
    rig.set_mapping(armature, {"left_wrist": "f_middle.01.L", "right_ear": ""})
    (person,) = seen()
    x, y, is_seen = person[JOINTS.index("left_wrist")]
    assert is_seen and abs(on_screen(bone_head(armature, "f_middle.01.L")) - (x, y)).max() <= 0.5
    rig.set_mapping(armature, {})
    assert rig.mapping_of(armature)["left_wrist"] == "hand.L"


def test_a_saved_mapping_recognises_the_next_rig_of_that_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(rig, "preset_folder", lambda: tmp_path / "rigs")
    armature = metarig()
    mapping = rig.mapping_of(armature)
    names = {bone: f"k{index}" for index, bone in enumerate(mapping.values())}
    for bone, name in names.items():
        armature.data.bones[bone].name = name
    assert rig.mapping_of(armature) is None
    rig.save_preset("My studio", {joint: names[bone] for joint, bone in mapping.items()})
    assert rig.mapping_of(armature) == {joint: names[bone] for joint, bone in mapping.items()}


def test_a_preset_that_cannot_be_read_is_told_and_the_others_work(tmp_path, monkeypatch):
    monkeypatch.setattr(rig, "preset_folder", lambda: tmp_path)
    (tmp_path / "mine.json").write_text("{")
    armature, notes = metarig(), []
    depsgraph = bpy.context.evaluated_depsgraph_get()
    people, _ = rig.joints(depsgraph, camera_view(bpy.context.scene, depsgraph, WIDTH, HEIGHT), notes.append)
    assert len(people) == 1
    assert notes == rig.preset_faults() and "mine.json is no rig preset" in notes[0]
    layout = Layout()
    rig_editor.draw(layout, armature)
    assert "is no rig preset" in " ".join(layout.drawn) and "t2vz.set_joint" in layout.drawn
    (tmp_path / "mine.json").unlink()
    assert rig.preset_faults() == [] and rig.mapping_of(armature)


def test_a_bare_armature_is_captured_before_an_empty_background():
    metarig()
    wanted = Wanted(WIDTH, HEIGHT, frozenset({"pose", "depth", "map", "visible"}))
    first, second = capture(bpy.context.scene, bpy.context.view_layer, wanted, (1, 2), pytest.fail)
    assert len(first.pose) == 1 and np.isinf(first.depth).all() and second.visible.all()
    with pytest.raises(CaptureError, match="has nothing to capture"):
        list(capture(bpy.context.scene, bpy.context.view_layer, Wanted(64, 64, frozenset({"depth"})), (1,)))


def test_what_is_no_human_is_not_drawn_and_the_artist_is_told(capsys):
    bpy.ops.object.armature_add()
    assert seen().shape == (0, 18, 3)
    assert "No armature is recognised as a person" in capsys.readouterr().out


def test_reading_joints_changes_nothing_in_the_file(generated):
    def state():
        return {bone.name: tuple(map(tuple, bone.matrix)) for bone in generated.pose.bones}, set(generated.keys())

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
