"""How long a capture takes: 24 frames at 512², 100,000 triangles, a character of 150 bones, every
pass.

python tests/benchmarks/capture_speed.py            with the bpy module
blender -b -P tests/benchmarks/capture_speed.py     with Blender
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import bpy

from blender_addon.capture.capture import PASSES, Wanted, capture
from tests.blender import scenes
from tests.blender.stage import Case, add, animate

BONES = 150
FRAMES = 24


def crowd() -> Case:
    """A hilly ground and a character that bends, together 100,000 triangles."""
    case = scenes.perspective()
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=170, y_subdivisions=170, size=14)
    bpy.context.active_object.modifiers.new("hills", "WAVE").height = 0.3
    bpy.data.objects.remove(case.scene.objects["ground"])
    skin = add(
        case,
        "skin",
        bpy.ops.mesh.primitive_cylinder_add,
        vertices=140,
        radius=0.5,
        depth=4,
        location=(2, 0, 2),
    )
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.bisect(plane_co=(2, 0, 2), plane_no=(0, 0, 1))
    bpy.ops.object.mode_set(mode="OBJECT")
    skin.modifiers.new("fine", "SUBSURF").levels = skin.modifiers["fine"].render_levels = 3
    bind(skin, rig())
    return case


def rig() -> bpy.types.Object:
    bpy.ops.object.armature_add(location=(2, 0, 0))
    made = bpy.context.active_object
    bpy.ops.object.mode_set(mode="EDIT")
    bone = made.data.edit_bones[0]
    bone.tail = (0, 0, 4 / BONES)
    for index in range(1, BONES):
        above = made.data.edit_bones.new(f"bone {index}")
        above.head, above.tail, above.parent = bone.tail, (0, 0, 4 * (index + 1) / BONES), bone
        bone = above
    bpy.ops.object.mode_set(mode="OBJECT")
    for bone in made.pose.bones:
        bone.rotation_mode = "XYZ"
        animate(made, f'pose.bones["{bone.name}"].rotation_euler', (0, 0, 0), (0, 0, 0.004))
    return made


def bind(skin: bpy.types.Object, armature: bpy.types.Object) -> None:
    skin.modifiers.new("rig", "ARMATURE").object = armature
    for index, bone in enumerate(armature.data.bones):
        group = skin.vertex_groups.new(name=bone.name)
        near = [v.index for v in skin.data.vertices if int((v.co.z + 2) / 4 * (BONES - 1)) == index]
        group.add(near, 1, "REPLACE")


def main() -> None:
    case = crowd()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    meshes = [
        item.evaluated_get(depsgraph).data for item in case.scene.objects if item.type == "MESH"
    ]
    count = sum(len(polygon.vertices) - 2 for mesh in meshes for polygon in mesh.polygons)
    wall, cpu = time.perf_counter(), time.process_time()
    peaks = []
    for arrays in capture(
        case.scene, bpy.context.view_layer, Wanted(512, 512, PASSES), range(1, FRAMES + 1)
    ):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        assert arrays.map is not None
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{FRAMES} frames, {count} triangles, {BONES} bones: {wall:.1f} s, "
        f"{cpu:.1f} s of processor time"
    )
    print(
        f"peak memory after 3 frames {peaks[2]:.0f} MiB, after {FRAMES} frames {peaks[-1]:.0f} MiB"
    )


if __name__ == "__main__":
    main()
