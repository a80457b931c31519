"""A blocked-out shot: a ball rolls over the ground while the camera travels with it.

blender -b --python-exit-code 1 -P rolling_ball.py -- scene.blend
"""

import sys
from pathlib import Path

import bpy
from mathutils import Vector

FRAMES = 16
SIDE_PX = 256
RADIUS = 0.95
TRAVEL = 2.4  # scene units that the ball rolls in the shot
CAMERA_TRAVEL = 1.4


def clay(name: str, colour: tuple[float, float, float], squares: float = 0.0) -> bpy.types.Material:
    """A dull material; with `squares` a chequered one, so that one sees the surface move."""
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):  # from then on every material and world has nodes
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = 0.9
    if squares:
        checker, place = nodes.new("ShaderNodeTexChecker"), nodes.new("ShaderNodeTexCoord")
        checker.inputs["Scale"].default_value = squares
        checker.inputs["Color1"].default_value = (*colour, 1)
        checker.inputs["Color2"].default_value = (*(0.6 * part for part in colour), 1)
        links.new(place.outputs["Object"], checker.inputs["Vector"])
        links.new(checker.outputs["Color"], shader.inputs["Base Color"])
    return material


def add_ground() -> None:
    bpy.ops.mesh.primitive_plane_add(size=60)
    bpy.context.object.name = "Ground"
    bpy.context.object.data.materials.append(clay("Ground", (0.45, 0.45, 0.45), squares=1.0))


def add_ball() -> bpy.types.Object:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=24, radius=RADIUS)
    ball = bpy.context.object
    ball.name = "Ball"
    bpy.ops.object.shade_smooth()
    ball.data.materials.append(clay("Ball", (0.8, 0.8, 0.8), squares=2.0))
    return ball


def add_camera() -> bpy.types.Object:
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens, camera.data.sensor_width = 42, 36
    bpy.context.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera


def add_light() -> None:
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 3, (0.7, 0.2, 0.5)
    bpy.context.collection.objects.link(sun)
    world = bpy.context.scene.world or bpy.data.worlds.new("World")
    bpy.context.scene.world = world
    if bpy.app.version < (5, 0):
        world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.6, 0.7, 0.8, 1)


def animate(ball: bpy.types.Object, camera: bpy.types.Object) -> None:
    """A key on every frame: the ball turns as far as it rolls, the camera keeps its eye on the
    ground before it."""
    for frame in range(1, FRAMES + 1):
        part = (frame - 1) / (FRAMES - 1) - 0.5
        ball.location = (TRAVEL * part, 0, RADIUS)
        ball.rotation_euler = (0, TRAVEL * part / RADIUS, 0)
        camera.location = (CAMERA_TRAVEL * part, -4.4, 1.9)
        aim = Vector((CAMERA_TRAVEL * part, 0, 0.85)) - camera.location
        camera.rotation_euler = aim.to_track_quat("-Z", "Y").to_euler()
        for thing, path in (
            (ball, "location"),
            (ball, "rotation_euler"),
            (camera, "location"),
            (camera, "rotation_euler"),
        ):
            thing.keyframe_insert(path, frame=frame)


def set_scene() -> None:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end, scene.frame_current = 1, FRAMES, 1
    scene.render.resolution_x = scene.render.resolution_y = SIDE_PX
    scene.render.fps = 8
    # Pictures in the sequencer keep their colours: no film-like view transform.
    scene.view_settings.view_transform = "Standard"


def main(target: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    add_ground()
    add_light()
    animate(add_ball(), add_camera())
    set_scene()
    target.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(target.absolute()))


if __name__ == "__main__":
    main(Path(sys.argv[sys.argv.index("--") + 1]))
