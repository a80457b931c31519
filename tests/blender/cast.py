"""Characters before a camera, and what is seen of them."""

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from blender_addon.capture import armatures
from blender_addon.capture.cameras import camera_view
from blender_addon.capture.meshes import Reader
from t2vz_core.wire.joints import JOINTS

WIDTH, HEIGHT = 640, 480
ON_BONES = [joint for joint in JOINTS if joint != "neck"]


def look_from(place, at=(0, 0, 1.1)):
    camera = bpy.context.scene.camera
    camera.location = place
    camera.rotation_euler = (Vector(at) - Vector(place)).to_track_quat("-Z", "Y").to_euler()


def metarig():
    bpy.ops.object.armature_human_metarig_add()
    return bpy.context.object


def box(name, place, size):
    bpy.ops.mesh.primitive_cube_add(size=1, location=place)
    bpy.context.object.scale = size
    bpy.context.object.name = name
    return bpy.context.object


def seen():
    """The people on screen (n, 18, 3), and the depsgraph they were read from."""
    return armatures.joints(*looked_at())[0]


def looked_at():
    """The depsgraph, and what the camera sees of it."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    view = camera_view(bpy.context.scene, depsgraph, WIDTH, HEIGHT)
    return depsgraph, Reader(bpy.context.view_layer, (), False, print).snapshot(depsgraph, view)


def seen_hands():
    """The only person's hands (2, 21, 3)."""
    (hands,) = armatures.joints(*looked_at(), has_hands=True)[1]
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
    mapping = armatures.mapping_of(armature)
    checked = 0
    for joint in ON_BONES:
        x, y, is_seen = person[JOINTS.index(joint)]
        if is_seen:
            checked += 1
            assert abs(on_screen(bone_head(armature, mapping[joint])) - (x, y)).max() <= 0.5, joint
    assert checked >= 15
    return person
