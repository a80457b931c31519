"""Scenes as artists build them, in which the viewport shows something else than the render."""

from __future__ import annotations

import bpy

from tests.blender import scenes
from tests.blender.stage import Case, add, animate, fresh, painted


def appearing() -> Case:
    """One object takes the place of another by keys that only renders follow."""
    case = scenes.perspective()
    for name, hidden in (("leaves", (False, True)), ("comes", (True, False))):
        animate(_cube(case, name), "hide_render", *hidden)
    return case


def moving_out_of_sight() -> Case:
    """What is animated and, being heavy, not shown in the viewport: by its screen, its collection,
    its eye."""
    case = scenes.perspective()
    shut = bpy.data.collections.new("shut")
    case.scene.collection.children.link(shut)
    for name, y in (("screen", -2), ("collection", -1), ("eye", 0)):
        animate(_cube(case, name), "location", (-2, y, 1), (1.5, y, 2))
    shut.objects.link(case.scene.objects["collection"])
    case.scene.collection.objects.unlink(case.scene.objects["collection"])
    case.scene.objects["screen"].hide_viewport = shut.hide_viewport = True
    case.scene.objects["eye"].hide_set(True)
    return case


def driven_switches() -> Case:
    """A rig that shows itself in the viewport otherwise than in renders."""
    case = scenes.perspective()
    cube, lower = _cube(case), _cube(case, "late", x=1.5)
    smooth = cube.modifiers.new("smooth", "SUBSURF")
    smooth.levels, smooth.render_levels = 0, 3
    for path, value in (
        ("show_viewport", "0"),
        ("show_render", "1"),
        ("levels", "0"),
        ("render_levels", "3"),
    ):
        cube.driver_add(f'modifiers["smooth"].{path}').driver.expression = value
    lower.driver_add("hide_viewport").driver.expression = "frame < 5"
    lower.driver_add("hide_render").driver.expression = "frame >= 5"
    return case


def finer_in_renders() -> Case:
    """Modifiers, particles and nodes that are coarse or absent in the viewport."""
    case = scenes.perspective()
    sea = case.scene.objects["ground"].modifiers.new("sea", "OCEAN")
    sea.viewport_resolution, sea.resolution, sea.spatial_size = 2, 6, 14
    vase = add(
        case,
        "vase",
        bpy.ops.mesh.primitive_plane_add,
        size=0.5,
        location=(2, -1, 1.5),
        rotation=(1.57, 0, 0),
    )
    lathe = vase.modifiers.new("lathe", "SCREW")
    lathe.axis, lathe.steps, lathe.render_steps = "Y", 3, 24
    _asks_for_the_viewport(case.scene.objects["ball"])
    return case


def strewn() -> Case:
    """Grass: hair that instances an object, its children in renders alone, not shown in the
    viewport at all."""
    case = scenes.perspective()
    ground = case.scene.objects["ground"]
    leaf = add(
        case,
        "leaf",
        bpy.ops.mesh.primitive_cone_add,
        vertices=8,
        radius1=0.1,
        depth=0.3,
        location=(0, -40, 0),
    )
    leaf.hide_render = True
    ground.modifiers.new("grass", "PARTICLE_SYSTEM")
    grass = ground.particle_systems[0].settings
    grass.type, grass.count, grass.hair_length, grass.use_advanced_hair = "HAIR", 60, 1, True
    grass.render_type, grass.instance_object, grass.particle_size = "OBJECT", leaf, 0.8
    grass.child_type, grass.child_percent, grass.rendered_child_count = "SIMPLE", 0, 5
    grass.display_method = "NONE"
    return case


def metaballs_of_one_data() -> Case:
    """Three metaballs of two families that share their data."""
    case = fresh()
    bpy.ops.object.metaball_add(type="BALL", radius=1, location=(2.5, 1, 1))
    first = painted(case, bpy.context.active_object)
    for name, x, index in (
        (f"{first.name}.001", 1.5, first.pass_index),
        ("other", -2.5, first.pass_index + 1),
    ):
        made = bpy.data.objects.new(name, first.data)
        made.location, made.pass_index = (x, 0, 1.2), index
        case.scene.collection.objects.link(made)
    return case


def unseen_instances() -> Case:
    """Copies of a collection of which the camera does not see one, and one is hidden."""
    case = scenes.instances()
    bpy.data.objects["copy 1"].visible_camera = False
    animate(bpy.data.objects["copy 2"], "hide_render", True, False)
    return case


def overridden_material() -> Case:
    """A view layer's own material, solid, over a clear one."""
    case = transparent_group()
    case.scene.view_layers[0].material_override = case.scene.objects["ball"].data.materials[0]
    return case


def transparent_group() -> Case:
    """A clear shader and the number that decides on it, within a node group."""
    case = scenes.perspective()
    tree, group = (
        _cube(case).data.materials[0].node_tree,
        bpy.data.node_groups.new("glass", "ShaderNodeTree"),
    )
    group.interface.new_socket("Clear", in_out="INPUT", socket_type="NodeSocketFloat")
    group.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
    start, end = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    mix, clear = (
        group.nodes.new("ShaderNodeMixShader"),
        group.nodes.new("ShaderNodeBsdfTransparent"),
    )
    group.links.new(start.outputs[0], mix.inputs[0])
    group.links.new(group.nodes.new("ShaderNodeEmission").outputs[0], mix.inputs[1])
    group.links.new(clear.outputs[0], mix.inputs[2])
    group.links.new(mix.outputs[0], end.inputs[0])
    glass = tree.nodes.new("ShaderNodeGroup")
    glass.node_tree = group
    glass.inputs[0].default_value = 1
    tree.links.new(glass.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    return case


def broken_mesh() -> Case:
    """A vertex that is nowhere, and an object that is not scaled to anything yet."""
    case = scenes.perspective()
    _cube(case).data.vertices[0].co = [float("nan")] * 3
    animate(_cube(case, "grows", x=1.5), "scale", (0, 0, 0), (1, 1, 1))
    return case


def _cube(case: Case, name: str = "cube", x: float = -1.5) -> bpy.types.Object:
    return add(case, name, bpy.ops.mesh.primitive_cube_add, size=1, location=(x, -2, 1))


def _asks_for_the_viewport(item: bpy.types.Object) -> None:
    """Nodes that enlarge an object in renders alone."""
    tree = bpy.data.node_groups.new("finer", "GeometryNodeTree")
    for in_out in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=in_out, socket_type="NodeSocketGeometry")
    start, end = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    asks, grown, chosen = (
        tree.nodes.new(f"GeometryNode{kind}") for kind in ("IsViewport", "Transform", "Switch")
    )
    grown.inputs["Scale"].default_value = (1.5, 1.5, 1.5)
    tree.links.new(start.outputs[0], grown.inputs["Geometry"])
    tree.links.new(asks.outputs[0], chosen.inputs["Switch"])
    tree.links.new(grown.outputs[0], chosen.inputs["False"])
    tree.links.new(start.outputs[0], chosen.inputs["True"])
    tree.links.new(chosen.outputs[0], end.inputs[0])
    item.modifiers.new("finer", "NODES").node_group = tree


ALL = (
    appearing, moving_out_of_sight, driven_switches, finer_in_renders, strewn,
    metaballs_of_one_data, unseen_instances,
    overridden_material, transparent_group, broken_mesh,
)  # fmt: skip
