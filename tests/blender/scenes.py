"""Small animated scenes, one for each thing that a scene's motion can come from."""

from __future__ import annotations

import bpy
from mathutils import Matrix

from tests.blender.stage import Case, add, animate, fresh, painted, rolling_ball, walking_camera


def perspective() -> Case:
    case = fresh()
    rolling_ball(case)
    walking_camera(case)
    return case


def orthographic() -> Case:
    case = perspective()
    data = case.scene.camera.data
    data.type, data.shift_x = "ORTHO", 0.1
    animate(data, "ortho_scale", 7, 8)
    return case


def animated_lens() -> Case:
    case = fresh()
    rolling_ball(case)
    animate(case.scene.camera.data, "lens", 45, 60)
    return case


def lens_shift() -> Case:
    case = perspective()
    data = case.scene.camera.data
    data.sensor_fit, data.sensor_height = "VERTICAL", 30
    animate(data, "shift_x", 0, 0.15)
    animate(data, "shift_y", 0.1, -0.05)
    return case


def wide_pixels() -> Case:
    case = perspective()
    case.scene.render.pixel_aspect_x, case.scene.render.pixel_aspect_y = 2, 1
    return case


def portrait() -> Case:
    case = perspective()
    case.size_px = case.render_px = (96, 160)
    return case


def border() -> Case:
    case = perspective()
    _border(case)
    return case


def cropped_border() -> Case:
    case = perspective()
    _border(case)
    case.scene.render.use_crop_to_border = True
    case.size_px, case.offset_px = (112, 72), (32, 12)
    return case


def _border(case: Case) -> None:
    render = case.scene.render
    render.use_border = True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = (
        0.2,
        0.9,
        0.3,
        0.9,
    )


def armature() -> Case:
    case = fresh()
    tube = add(
        case,
        "tube",
        bpy.ops.mesh.primitive_cylinder_add,
        vertices=24,
        radius=0.5,
        depth=4,
        location=(2, 0, 2),
    )
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.subdivide(number_cuts=7)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.object.armature_add(location=(2, 0, 0))
    rig = bpy.context.active_object
    bpy.ops.object.mode_set(mode="EDIT")
    lower = rig.data.edit_bones[0]
    lower.tail = (0, 0, 2)
    upper = rig.data.edit_bones.new("upper")
    upper.head, upper.tail, upper.parent = (0, 0, 2), (0, 0, 4), lower
    bpy.ops.object.mode_set(mode="OBJECT")
    modifier = tube.modifiers.new("rig", "ARMATURE")
    modifier.object = rig
    for group, weight in (("Bone", lambda z: 1 - z), ("upper", lambda z: z)):
        made = tube.vertex_groups.new(name=group)
        for vertex in tube.data.vertices:
            made.add([vertex.index], weight(min(max(vertex.co.z / 2 + 0.5, 0), 1)), "REPLACE")
    rig.pose.bones["upper"].rotation_mode = "XYZ"
    animate(rig, 'pose.bones["upper"].rotation_euler', (0, 0, 0), (0.2, 0.1, 0.6))
    case.deforms.add(tube.pass_index)
    walking_camera(case)
    return case


def shape_keys() -> Case:
    case = fresh()
    ball = case.scene.objects["ball"]
    ball.shape_key_add(name="rest")
    key = ball.shape_key_add(name="egg")
    for point, vertex in zip(key.data, ball.data.vertices):
        point.co = vertex.co * (1 + 0.4 * vertex.co.z)
    animate(ball.data.shape_keys, 'key_blocks["egg"].value', 0, 1)
    case.deforms.add(ball.pass_index)
    walking_camera(case)
    return case


def modifiers() -> Case:
    case = fresh()
    ball = case.scene.objects["ball"]
    bend = ball.modifiers.new("bend", "SIMPLE_DEFORM")
    bend.deform_method = "TWIST"
    animate(ball, 'modifiers["bend"].angle', 0, 0.8)
    ball.modifiers.new("smooth", "SUBSURF").levels = 1
    ball.modifiers["smooth"].render_levels = 1
    copies = ball.modifiers.new("copies", "ARRAY")
    copies.count = 2
    animate(ball, 'modifiers["copies"].relative_offset_displace', (1.1, 0, 0), (1.2, 0.2, 0))
    case.soft.add(ball.pass_index)
    return case


def waves() -> Case:
    case = perspective()
    ground = case.scene.objects["ground"]
    ground.modifiers.new("wave", "WAVE").height = 0.4
    case.deforms.add(ground.pass_index)
    return case


def instances() -> Case:
    case = fresh()
    case.scene.objects["ball"].hide_render = case.scene.objects["ball"].hide_viewport = True
    hidden = bpy.data.collections.new("models")
    cube = add(case, "cube", bpy.ops.mesh.primitive_cube_add, size=1)
    case.scene.collection.objects.unlink(cube)
    hidden.objects.link(cube)
    for index in range(3):
        empty = bpy.data.objects.new(f"copy {index}", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", hidden
        empty.location = (index * 1.5 - 1.5, 0, 0.7)
        case.scene.collection.objects.link(empty)
    handle = bpy.data.objects.new("handle", None)
    case.scene.collection.objects.link(handle)
    for item in case.scene.objects:
        if item.instance_collection:
            item.parent = handle
    animate(handle, "rotation_euler", (0, 0, 0), (0, 0, 0.3))
    case.carriers[cube.pass_index] = handle
    walking_camera(case)
    return case


def face_instances() -> Case:
    case = fresh()
    ball = case.scene.objects["ball"]
    leaf = add(case, "leaf", bpy.ops.mesh.primitive_cone_add, vertices=8, radius1=0.1, depth=0.3)
    leaf.parent = ball
    ball.instance_type = "FACES"
    ball.show_instancer_for_viewport = ball.show_instancer_for_render = True
    rolling_ball(case)
    case.carriers[leaf.pass_index] = ball
    return case


def parents_and_constraints() -> Case:
    case = perspective()
    ball = case.scene.objects["ball"]
    child = add(case, "child", bpy.ops.mesh.primitive_cube_add, size=0.7, location=(1.6, -0.5, 1.5))
    child.parent = ball
    child.matrix_parent_inverse = ball.matrix_world.inverted()
    follower = add(case, "follower", bpy.ops.mesh.primitive_cone_add, location=(-2, 0, 1))
    copied = follower.constraints.new("COPY_ROTATION")
    copied.target = ball
    looking = case.scene.camera.constraints.new("TRACK_TO")
    looking.target, looking.influence = ball, 0.3
    return case


def mirrored_scale() -> Case:
    case = perspective()
    ball = case.scene.objects["ball"]
    ball.scale = (-1, 0.7, 1.3)
    case.scene.camera.scale = (2, 2, 2)
    return case


def curves_and_text() -> Case:
    case = perspective()
    bpy.ops.curve.primitive_bezier_circle_add(radius=1.2, location=(-1, 0, 1))
    ring = bpy.context.active_object
    ring.data.bevel_depth = 0.2
    painted(case, ring)
    bpy.ops.object.text_add(location=(0.5, -2, 0.5), rotation=(1.3, 0, 0))
    text = bpy.context.active_object
    text.data.extrude = 0.1
    painted(case, text)
    bpy.ops.object.metaball_add(type="BALL", radius=1, location=(2.5, 1, 1))
    painted(case, bpy.context.active_object)
    return case


def hidden_and_clear() -> Case:
    """Things before the camera that do not render, and one that only renders."""
    case = perspective()
    for name, hide in (("unseen", "hide_render"), ("seen", "hide_viewport")):
        x = -1.5 if name == "unseen" else 1.8
        setattr(
            add(case, name, bpy.ops.mesh.primitive_cube_add, size=1, location=(x, -2, 1)),
            hide,
            True,
        )
    add(
        case, "eye closed", bpy.ops.mesh.primitive_cube_add, size=0.6, location=(-2.5, 0, 1)
    ).hide_set(True)
    fog = add(case, "fog", bpy.ops.mesh.primitive_cube_add, size=40)
    tree = fog.data.materials[0].node_tree
    tree.nodes.clear()
    out, thin = (
        tree.nodes.new("ShaderNodeOutputMaterial"),
        tree.nodes.new("ShaderNodeVolumePrincipled"),
    )
    thin.inputs["Density"].default_value = 0
    tree.links.new(thin.outputs[0], out.inputs["Volume"])
    glass = add(
        case,
        "clear",
        bpy.ops.mesh.primitive_plane_add,
        size=3,
        location=(0, -4, 2),
        rotation=(1.5, 0, 0),
    )
    tree = glass.data.materials[0].node_tree
    tree.links.new(
        tree.nodes.new("ShaderNodeBsdfTransparent").outputs[0],
        tree.nodes["Material Output"].inputs[0],
    )
    add(case, "ghost", bpy.ops.mesh.primitive_cube_add, location=(0, -3, 1)).visible_camera = False
    return case


def holdouts() -> Case:
    case = perspective()
    add(
        case, "hole", bpy.ops.mesh.primitive_cube_add, size=1, location=(0.5, -2, 1.5)
    ).is_holdout = True
    return case


def render_levels() -> Case:
    """Modifiers that differ between the viewport and the render."""
    case = perspective()
    cube = add(case, "cube", bpy.ops.mesh.primitive_cube_add, size=1.6, location=(2, 0, 1))
    smooth = cube.modifiers.new("smooth", "SUBSURF")
    smooth.levels, smooth.render_levels = 0, 3
    lift = cube.modifiers.new("lift", "DISPLACE")
    lift.strength, lift.show_viewport = 0.3, False
    sink = cube.modifiers.new("sink", "DISPLACE")
    sink.strength, sink.show_render = 0.8, False
    return case


def close_up() -> Case:
    """A ground that passes beneath and behind the camera."""
    case = perspective()
    case.scene.objects["ground"].scale = (3, 3, 1)
    case.scene.camera.data.lens = 18
    return case


def turning_camera() -> Case:
    """Mostly sky."""
    case = fresh()
    animate(case.scene.camera, "rotation_euler", (1.4, 0, 0.1), (1.5, 0.1, 0.4))
    return case


def lattice() -> Case:
    case = fresh()
    ball = case.scene.objects["ball"]
    data = bpy.data.lattices.new("cage")
    cage = bpy.data.objects.new("cage", data)
    case.scene.collection.objects.link(cage)
    cage.matrix_world = Matrix.Translation((0, 0, 1.2)) @ Matrix.Scale(2.2, 4)
    ball.modifiers.new("cage", "LATTICE").object = cage
    animate(cage, "rotation_euler", (0, 0, 0), (0.2, 0, 0.3))
    animate(cage, "scale", (2.2, 2.2, 2.2), (2.2, 2.6, 3.0))
    case.deforms.add(ball.pass_index)
    return case


ALL = (
    perspective, orthographic, animated_lens, lens_shift, wide_pixels, portrait, border,
    cropped_border, armature,
    shape_keys, modifiers, waves, instances, face_instances, parents_and_constraints,
    mirrored_scale, curves_and_text,
    hidden_and_clear, holdouts, render_levels, close_up, turning_camera, lattice,
)  # fmt: skip
