"""Shots of one primitive each, built in Blender and captured by the add-on, on which the demo model
is judged.

python -m tests.benchmarks.demo_scenes OUT            with the bpy module
python -m t2vz_core.demo.evaluate … --shots OUT       with the engine
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import bpy
from mathutils import Vector

from blender_addon.capture.capture import Wanted, capture
from blender_addon.job import folders
from t2vz_core.demo.captions import Description, imagine, plain_caption
from t2vz_core.wire.job import DEMO_SIDE_PX, Control, JobSpec, Motion, Prompt, Sampling, Shot

COUNT = 20
FRAMES = (1, 2, 3)
SEED = 9100
MAKERS = {
    "ball": lambda: bpy.ops.mesh.primitive_uv_sphere_add(
        segments=48, ring_count=24, radius=0.9, location=(0, 0, 0.9)
    ),
    "cube": lambda: bpy.ops.mesh.primitive_cube_add(size=1.5, location=(0, 0, 0.75)),
    "cylinder": lambda: bpy.ops.mesh.primitive_cylinder_add(
        vertices=48, radius=0.65, depth=1.7, location=(0, 0, 0.85)
    ),
    "cone": lambda: bpy.ops.mesh.primitive_cone_add(
        vertices=48, radius1=0.9, depth=1.9, location=(0, 0, 0.95)
    ),
}


def shown(rng: Random) -> Description:
    """One plain thing of a shape that Blender has, seen level."""
    while True:
        description = imagine(rng)
        thing = description.things[0]
        if len(description.things) == 1 and description.view == "level" and thing.shape in MAKERS:
            return replace(description, things=(replace(thing, finish="plain"),))


def build(shape: str, rng: Random) -> bpy.types.Object:
    """The thing, turned anyhow about its axis, on a wide ground; a camera that goes around it from
    frame to frame."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.mesh.primitive_plane_add(size=400)
    MAKERS[shape]()
    thing = bpy.context.active_object
    thing.rotation_euler.z = rng.uniform(0, 2 * math.pi)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene = bpy.context.scene
    scene.collection.objects.link(camera)
    scene.camera, scene.render.resolution_x, scene.render.resolution_y = (
        camera,
        DEMO_SIDE_PX,
        DEMO_SIDE_PX,
    )
    focal, fill = rng.uniform(0.9, 1.4), rng.uniform(0.5, 0.75)
    camera.data.lens = focal * camera.data.sensor_width
    distance, rise, yaw = 2.3 * focal / fill, rng.uniform(0.1, 0.35), rng.uniform(0, 2 * math.pi)
    aim = Vector((rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.uniform(0.75, 1.0)))
    for number in FRAMES:
        turn = yaw + 0.06 * number
        out = Vector(
            (math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise))
        )
        camera.location = aim + distance * out
        camera.rotation_euler = out.to_track_quat("Z", "Y").to_euler()
        for path in ("location", "rotation_euler"):
            camera.keyframe_insert(path, frame=number)
    return thing


def write_shot(folder: Path, seed: int) -> None:
    """Captures one shot into a job folder, with its description beside it."""
    rng = Random(seed)
    description = shown(rng)
    thing = build(description.things[0].shape, rng)
    scene, side = bpy.context.scene, DEMO_SIDE_PX
    wanted = Wanted(side, side, frozenset({"depth", "mask", "map", "visible"}), subject=thing)
    frames = [
        folders.write_frame(folder, each)
        for each in capture(scene, scene.view_layers[0], wanted, FRAMES)
    ]
    spec = JobSpec(
        prompt=Prompt(plain_caption(description)),
        shot=Shot(side, side),
        sampling=Sampling(seed=seed, steps=25),
        motion=Motion("map"),
        controls=(Control("depth"),),
    )
    folders.finish(folder, spec, frames)
    (folder / "description.json").write_text(json.dumps(asdict(description), indent=1) + "\n")


if __name__ == "__main__":
    for number in range(COUNT):
        write_shot(Path(sys.argv[1]) / f"{number:02d}", SEED + number)
