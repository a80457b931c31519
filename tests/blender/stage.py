"""What the test scenes are made of: a ground, a ball, a sky and a camera, in colours that tell
points apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import bpy

ANCHOR, LATER = 1, 9
WIDTH_PX, HEIGHT_PX = 160, 120


@dataclass
class Case:
    """A scene and what tells its motion apart.

    size_px: the captured picture; render_px: the camera's whole frame; offset_px: of the picture in
        the frame;
    carriers: what moves the objects of a pass index, if not the object itself; deforms: pass
    indices whose vertices move within the object, one to one; soft: pass indices whose exact motion
    only the picture tells
    """

    scene: bpy.types.Scene
    size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)
    render_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)
    offset_px: tuple[int, int] = (0, 0)
    carriers: dict[int, bpy.types.Object] = field(default_factory=dict)
    deforms: set[int] = field(default_factory=set)
    soft: set[int] = field(default_factory=set)


def fresh() -> Case:
    """A ground, a ball, a sky and a camera that looks at them; nothing moves."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    case = Case(bpy.context.scene)
    paint_sky(case.scene)
    add(
        case, "ground", bpy.ops.mesh.primitive_grid_add, size=14, x_subdivisions=7, y_subdivisions=7
    )
    ball = add(case, "ball", bpy.ops.mesh.primitive_uv_sphere_add, radius=1, location=(0, 0, 1.2))
    ball.data.shade_smooth()
    data = bpy.data.cameras.new("camera")
    camera = bpy.data.objects.new("camera", data)
    camera.location, camera.rotation_euler = (1, -8, 3.5), (math.radians(70), 0, math.radians(7))
    case.scene.collection.objects.link(camera)
    case.scene.camera = camera
    bpy.context.view_layer.update()
    return case


def add(case: Case, name: str, maker: Callable, **how) -> bpy.types.Object:
    """What an operator makes, named, painted and with a pass index of its own."""
    maker(**how)
    made = bpy.context.active_object
    made.name = name
    return painted(case, made)


def painted(case: Case, made: bpy.types.Object) -> bpy.types.Object:
    made.pass_index = 1 + max((item.pass_index for item in case.scene.objects), default=0)
    material = bpy.data.materials.new(made.name)
    _sines(material, "UV" if made.type == "MESH" else "Generated", 9.0, made.pass_index)
    made.data.materials.append(material)
    return made


def paint_sky(scene: bpy.types.Scene) -> None:
    scene.world = bpy.data.worlds.new("sky")
    _sines(scene.world, "Generated", 5.0, 0)


def _sines(owner, coordinates: str, frequency: float, phase: float) -> None:
    """Lets a material or world shine in smooth colours that stick to it."""
    owner.use_nodes = True
    tree = owner.node_tree
    tree.nodes.clear()
    node = tree.nodes.new
    place, wave, level = (
        node("ShaderNodeTexCoord"),
        node("ShaderNodeVectorMath"),
        node("ShaderNodeVectorMath"),
    )
    scaled = node("ShaderNodeVectorMath")
    scaled.operation, wave.operation, level.operation = "MULTIPLY_ADD", "SINE", "MULTIPLY_ADD"
    scaled.inputs[1].default_value, scaled.inputs[2].default_value = (
        [frequency] * 3,
        [phase, 2 * phase, 3 * phase],
    )
    level.inputs[1].default_value, level.inputs[2].default_value = [0.4] * 3, [0.5] * 3
    is_world = isinstance(owner, bpy.types.World)
    light = node("ShaderNodeBackground" if is_world else "ShaderNodeEmission")
    out = node("ShaderNodeOutputWorld" if is_world else "ShaderNodeOutputMaterial")
    link = tree.links.new
    link(place.outputs[coordinates], scaled.inputs[0])
    link(scaled.outputs[0], wave.inputs[0])
    link(wave.outputs[0], level.inputs[0])
    link(level.outputs[0], light.inputs["Color"])
    link(light.outputs[0], out.inputs["Surface"])


def animate(owner, path: str, first, last) -> None:
    """Keys a property at the anchor and at the later frame."""
    for number, value in ((ANCHOR, first), (LATER, last)):
        target, _, name = path.rpartition(".")
        setattr(owner.path_resolve(target) if target else owner, name, value)
        owner.keyframe_insert(path, frame=number)


def rolling_ball(case: Case) -> None:
    animate(case.scene.objects["ball"], "location", (0, 0, 1.2), (0.7, 0.4, 1.2))
    animate(case.scene.objects["ball"], "rotation_euler", (0, 0, 0), (0.3, 0.2, 0.5))


def walking_camera(case: Case) -> None:
    animate(case.scene.camera, "location", (1, -8, 3.5), (2, -7.2, 3.2))
    animate(case.scene.camera, "rotation_euler", (1.22, 0, 0.12), (1.25, 0.03, 0.2))
