"""What a capture leaves out it names; what it cannot do is a sentence."""

import math

import bpy
import numpy as np
import pytest

from blender_addon.capture.cameras import CaptureError
from blender_addon.capture.capture import Wanted, capture
from tests.blender import cycles, scenes, stage
from tests.blender.capture.test_capture import SIZE, captured, number_of
from tests.blender.stage import add


def test_a_textured_transparency_counts_as_solid_and_is_named():
    case = scenes.perspective()
    ball = case.scene.objects["ball"]
    tree = ball.data.materials[0].node_tree
    mix, clear = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBsdfTransparent")
    checker = tree.nodes.new("ShaderNodeTexChecker")
    tree.links.new(checker.outputs["Fac"], mix.inputs[0])
    tree.links.new(tree.nodes["Emission"].outputs[0], mix.inputs[1])
    tree.links.new(clear.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    (anchor, _), notes = captured(case)
    assert number_of(ball) in anchor.ids
    assert notes == [
        "Nodes decide where the material ball is transparent: its whole surface counts as solid."
    ]


def mixed_by(case, name, output, *sums):
    """The ball's material: clear where the number that leaves a node is 1, seen where it is 0; on
    its way the number is reckoned with."""
    tree = case.scene.objects["ball"].data.materials[0].node_tree
    new, link = tree.nodes.new, tree.links.new
    mix = new("ShaderNodeMixShader")
    socket = new(name).outputs[output]
    for operation, number in sums:
        math = new("ShaderNodeMath")
        math.operation, math.inputs[0].default_value = operation, number
        link(socket, math.inputs[1])
        socket = math.outputs[0]
    link(socket, mix.inputs[0])
    link(tree.nodes["Emission"].outputs[0], mix.inputs[1])
    link(new("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[2])
    link(mix.outputs[0], tree.nodes["Material Output"].inputs["Surface"])


@pytest.mark.parametrize(
    ("output", "sums", "is_seen"),
    [
        ("Is Camera Ray", [], False),
        ("Is Shadow Ray", [], True),
        ("Transparent Depth", [], True),
        ("Is Camera Ray", [("SUBTRACT", 1.0)], True),
        ("Is Shadow Ray", [("MAXIMUM", 1.0)], False),
        ("Ray Depth", [("GREATER_THAN", 0.5)], False),
    ],
)
def test_what_hides_itself_from_the_camera_is_not_seen_and_no_texture_is_blamed(
    tmp_path, output, sums, is_seen
):
    case = scenes.perspective()
    mixed_by(case, "ShaderNodeLightPath", output, *sums)
    ball = number_of(case.scene.objects["ball"])
    (anchor, _), notes = captured(case)
    assert (ball in anchor.ids) == is_seen and notes == []
    cycles.prepare(case.scene, *SIZE)
    render = cycles.rendered(case.scene, stage.ANCHOR, tmp_path)
    assert (case.scene.objects["ball"].pass_index in render["ids"]) == is_seen


def test_a_branch_that_is_nowhere_is_blamed_for_nothing():
    case = scenes.perspective()
    mixed_by(case, "ShaderNodeTexChecker", "Fac")
    tree = case.scene.objects["ball"].data.materials[0].node_tree
    outer = tree.nodes.new("ShaderNodeMixShader")
    outer.inputs[0].default_value = 0
    tree.links.new(tree.nodes["Emission"].outputs[0], outer.inputs[1])
    tree.links.new(tree.nodes["Mix Shader"].outputs[0], outer.inputs[2])
    tree.links.new(outer.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    assert captured(case)[1] == []


def smoke_around_the_ball(case):
    box = add(case, "Smoke", bpy.ops.mesh.primitive_cube_add, size=3, location=(0, 0, 1.2))
    fluid = box.modifiers.new("Fluid", "FLUID")
    fluid.fluid_type = "DOMAIN"
    fluid.domain_settings.domain_type = "GAS"


@pytest.mark.parametrize("engine", ["CYCLES", "BLENDER_WORKBENCH"])
def test_the_domain_of_smoke_is_no_box_and_is_named(engine):
    case = stage.fresh()
    case.scene.render.engine = engine
    smoke_around_the_ball(case)
    (anchor, _), notes = captured(case)
    assert number_of(case.scene.objects["ball"]) in anchor.ids
    assert number_of(case.scene.objects["Smoke"]) not in anchor.ids
    assert notes == ["Smoke is smoke or fire, which is not captured."]


def test_what_is_only_a_volume_is_named():
    case = scenes.hidden_and_clear()
    assert captured(case)[1] == ["fog is a volume, which is not captured."]


def test_a_displaced_surface_is_named():
    case = scenes.perspective()
    material = case.scene.objects["ball"].data.materials[0]
    nodes = material.node_tree.nodes
    lift = nodes.new("ShaderNodeDisplacement")
    material.node_tree.links.new(lift.outputs[0], nodes["Material Output"].inputs["Displacement"])
    material.displacement_method = "DISPLACEMENT"
    assert captured(case)[1] == ["The material ball displaces its surface, which is not captured."]


def test_hair_is_named_as_not_captured():
    case = scenes.perspective()
    curves = bpy.data.hair_curves.new("fur")
    curves.add_curves([3])
    case.scene.collection.objects.link(bpy.data.objects.new("fur", curves))
    assert captured(case)[1] == ["fur is hair, which is not captured."]


def test_nothing_in_sight_of_any_frame_is_refused():
    case = stage.fresh()
    case.scene.camera.rotation_euler.x += math.pi
    with pytest.raises(CaptureError, match="Nothing that can be captured is in the camera's sight"):
        captured(case)


def test_only_holdouts_in_sight_is_nothing_in_sight():
    case = stage.fresh()
    for item in case.scene.objects:
        item.is_holdout = True
    with pytest.raises(CaptureError, match="Nothing that can be captured is in the camera's sight"):
        captured(case)


def test_a_sight_that_fills_later_is_captured():
    case = stage.fresh()
    turned = case.scene.camera.rotation_euler.copy()
    turned.x += math.pi
    stage.animate(case.scene.camera, "rotation_euler", turned, (1.2, 0, 0.12))
    assert len(captured(case)[0]) == 2


def test_pose_alone_without_anybody_in_sight_is_refused():
    case = stage.fresh()
    with pytest.raises(CaptureError, match="Nobody whose armature is recognised is in the camera"):
        captured(case, passes=frozenset({"pose", "ids", "map", "visible"}))
    assert len(captured(case, passes=frozenset({"pose", "depth"}))[0]) == 2


def test_surfaces_switched_off_in_the_view_layers_filter_are_not_captured():
    case = stage.fresh()
    case.scene.view_layers[0].use_solid = False
    notes: list[str] = []
    with pytest.raises(CaptureError, match="no surface is shown in renders"):
        captured_into(notes, case)
    assert notes == ["Surfaces are switched off in the filter of the view layer ViewLayer."]


def captured_into(notes, case):
    wanted = Wanted(*SIZE, passes=frozenset({"depth"}))
    layer = case.scene.view_layers[0]
    return list(capture(case.scene, layer, wanted, (stage.ANCHOR,), notes.append))


@pytest.mark.parametrize("name", ["ShaderNodeBump", "ShaderNodeNormalMap"])
def test_normals_that_the_material_bends_are_named_where_normals_are_wanted(name):
    case = stage.fresh()
    tree = case.scene.objects["ball"].data.materials[0].node_tree
    diffuse, bent = tree.nodes.new("ShaderNodeBsdfDiffuse"), tree.nodes.new(name)
    tree.links.new(bent.outputs[0], diffuse.inputs["Normal"])
    tree.links.new(diffuse.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    said = "The bump or normal map of the material ball is not captured: its normals are the mesh's"
    (note,) = captured(case)[1]
    assert note.startswith(said)
    assert captured(case, passes=frozenset({"depth"}))[1] == []


def test_the_children_of_hair_are_left_as_they_are_unless_meshes_are_put_on_them():
    case = stage.fresh()
    ball = case.scene.objects["ball"]
    hair = ball.modifiers.new("hair", "PARTICLE_SYSTEM").particle_system.settings
    hair.type, hair.child_type, hair.rendered_child_count = "HAIR", "SIMPLE", 400
    hair.count, hair.child_percent = 10, 0
    counts = []

    def count_children():
        def wanted(*_):
            counts.append(hair.child_percent)

        bpy.app.handlers.frame_change_post.append(wanted)
        captured(case)
        bpy.app.handlers.frame_change_post.remove(wanted)
        return max(counts)

    assert count_children() == 0
    ball.modifiers.new("leaves", "PARTICLE_INSTANCE").object = case.scene.objects["ground"]
    assert count_children() == 400 and hair.child_percent == 0


def test_an_empty_scene_is_refused_in_a_sentence():
    case = stage.fresh()
    for item in [item for item in case.scene.objects if item.type == "MESH"]:
        bpy.data.objects.remove(item)
    with pytest.raises(CaptureError, match="has nothing to capture"):
        captured(case)


def test_a_scene_without_a_camera_is_refused_in_a_sentence():
    case = stage.fresh()
    case.scene.camera = None
    with pytest.raises(CaptureError, match="has no camera"):
        captured(case)


def test_a_panoramic_camera_is_refused_in_a_sentence():
    case = stage.fresh()
    case.scene.camera.data.type = "PANO"
    with pytest.raises(CaptureError, match="is not perspective or orthographic"):
        captured(case)


def test_a_shot_may_end_in_nothing_but_not_begin_with_it():
    case = stage.fresh()
    for item in [item for item in case.scene.objects if item.type == "MESH"]:
        stage.animate(item, "hide_render", False, True)
    (_, later), _ = captured(case)
    assert np.isinf(later.depth).all()
    with pytest.raises(CaptureError, match="has nothing to capture at frame 9"):
        captured(case, (stage.LATER,))


def test_a_camera_scaled_to_nothing_is_refused_in_a_sentence():
    case = stage.fresh()
    case.scene.camera.scale = (0, 0, 0)
    with pytest.raises(CaptureError, match="is scaled to nothing"):
        captured(case)
