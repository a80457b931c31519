"""What a capture leaves out it names; what it cannot do is a sentence."""

import bpy
import numpy as np
import pytest

from blender_addon.capture.cameras import CaptureError
from tests.blender import scenes, stage
from tests.blender.capture.test_capture import captured, number_of


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
        "The transparency of the material ball is textured: its whole surface counts as solid."
    ]


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
