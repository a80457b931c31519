"""A simulation that is not baked is led through all its frames, whichever of them are wanted."""

import bpy
import numpy as np
import pytest

from blender_addon.capture import simulations
from blender_addon.capture.capture import Wanted, capture
from tests.blender import stage

SIZE = (96, 72)


def rigid_body(case):
    bpy.ops.rigidbody.object_add(type="ACTIVE")  # the ball, which has just been made
    ground = case.scene.objects["ground"]
    bpy.context.view_layer.objects.active = ground
    bpy.ops.rigidbody.object_add(type="PASSIVE")


def cloth(case):
    case.scene.objects["ball"].modifiers.new("cloth", "CLOTH")


def simulation_zone(case):
    """Every frame the ball rises a little."""
    tree = bpy.data.node_groups.new("rise", "GeometryNodeTree")
    for direction in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    new, link = tree.nodes.new, tree.links.new
    begin, end = new("NodeGroupInput"), new("NodeGroupOutput")
    enter, leave = new("GeometryNodeSimulationInput"), new("GeometryNodeSimulationOutput")
    enter.pair_with_output(leave)
    lift = new("GeometryNodeTransform")
    lift.inputs["Translation"].default_value = (0, 0, 0.05)
    link(begin.outputs[0], enter.inputs["Geometry"])
    link(enter.outputs["Geometry"], lift.inputs[0])
    link(lift.outputs[0], leave.inputs["Geometry"])
    link(leave.outputs["Geometry"], end.inputs[0])
    case.scene.objects["ball"].modifiers.new("rise", "NODES").node_group = tree


def shown(make, numbers):
    """Depth of these frames, the capture begun in a fresh scene."""
    case = stage.fresh()
    bpy.context.view_layer.objects.active = case.scene.objects["ball"]
    make(case)
    case.scene.frame_set(1)
    wanted = Wanted(*SIZE, passes=frozenset({"depth"}))
    layer = case.scene.view_layers[0]
    run = list(capture(case.scene, layer, wanted, numbers, lambda _: None))
    return {frame.number: frame.depth for frame in run if frame}, run.count(None)


def off(one, two):
    """The part of the pixels whose depths differ; cloth is never quite the same twice."""
    return 1 - np.isclose(one, two, rtol=0.005).mean()


@pytest.mark.parametrize("make", [rigid_body, cloth, simulation_zone])
@pytest.mark.parametrize("numbers", [[1, 5, 9], [7, 8, 9]])
def test_frames_left_out_and_a_late_beginning_change_nothing(make, numbers):
    played, _ = shown(make, range(1, 10))
    assert off(played[1], played[9]) > 0.02
    found, steps = shown(make, numbers)
    for number in numbers:
        assert off(found[number], played[number]) < 0.002, number
    assert steps == 9 - len(numbers)  # it comes back between them, to be cancelled


def test_a_scene_without_simulations_is_not_played():
    case = stage.fresh()
    assert simulations.first_frame(case.scene) is None
    assert shown(lambda _: None, [5])[1] == 0


def test_what_is_hidden_from_renders_needs_no_playing():
    case = stage.fresh()
    cloth(case)
    assert simulations.first_frame(case.scene) == 1
    case.scene.objects["ball"].hide_render = True
    assert simulations.first_frame(case.scene) is None
