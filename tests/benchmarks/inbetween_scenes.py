"""Shots with known pictures of every frame, on which in-betweens are judged: Blender's own renders
in the place of painted frames.

python -m tests.benchmarks.inbetween_scenes OUT [SHOT…]   with the bpy module
python -m tests.benchmarks.inbetweens OUT/*               with the engine
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

from blender_addon.capture import beauty
from blender_addon.capture.capture import PASSES, Wanted, capture
from blender_addon.job import folders
from t2vz_core.wire.job import JobSpec, Motion, Shot
from tests.blender import stage

SIZE_PX = (240, 192)
FRAMES = range(1, 10)
SAMPLES = 16


def _lit(case: stage.Case) -> None:
    """Real light in place of the stage's glow: shadows and highlights move as they do in films."""
    for item in case.scene.objects:
        for material in item.data.materials if item.type == "MESH" else ():
            tree = material.node_tree
            (shine,) = (node for node in tree.nodes if node.type == "EMISSION")
            (colour,) = (one.from_socket for one in shine.inputs["Color"].links)
            paint = tree.nodes.new("ShaderNodeBsdfPrincipled")
            out = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
            paint.inputs["Roughness"].default_value = 0.5
            tree.links.new(colour, paint.inputs["Base Color"])
            tree.links.new(paint.outputs["BSDF"], out.inputs["Surface"])
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 3.0, (0.7, 0.2, 0.5)
    case.scene.collection.objects.link(sun)


def _cycles(scene: bpy.types.Scene) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_adaptive_sampling = SAMPLES, False
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = SIZE_PX


def _passing(case: stage.Case) -> None:
    """The ball rolls to the right in front of a cube that stands."""
    stage.add(case, "cube", bpy.ops.mesh.primitive_cube_add, size=1.6, location=(1.2, 1.5, 0.8))
    stage.animate(case.scene.objects["ball"], "location", (-2, 0, 1.0), (2.4, 0, 1.0))
    stage.animate(case.scene.objects["ball"], "rotation_euler", (0, 0, 0), (0, 4.4, 0))


SHOTS = {  # and whether real light shines on it, or each surface glows in its own colours
    "camera": (stage.walking_camera, True),
    "camera, glowing": (stage.walking_camera, False),
    "rolling, glowing": (stage.rolling_ball, False),
    "passing, glowing": (_passing, False),
}


def write(name: str, folder: Path) -> None:
    """A shot's passes and renders, as a job."""
    case = stage.fresh()
    move, is_lit = SHOTS[name]
    move(case)
    if is_lit:
        _lit(case)
    _cycles(case.scene)
    scene = case.scene
    wanted = Wanted(*SIZE_PX, PASSES - {"pose", "hands"})
    arrays = capture(scene, scene.view_layers[0], wanted, FRAMES)
    where = (scene, scene.view_layers[0], SIZE_PX, "")
    frames = [folders.write_frame(folder, each) for each in beauty.with_pictures(arrays, *where)]
    spec = JobSpec(shot=Shot(*SIZE_PX), motion=Motion("map"))
    folders.finish(folder, spec, frames)


if __name__ == "__main__":
    for name in sys.argv[2:] or SHOTS:
        write(name, Path(sys.argv[1]) / name)
