"""How much of a surface its material lets be seen."""

from __future__ import annotations

import operator
from collections.abc import Callable

import bpy

OF_CAMERA_RAYS = {"Is Camera Ray": 1.0, "Ray Length": None}  # of Light Path; all else is 0
SUMS = {
    "ADD": operator.add,
    "SUBTRACT": operator.sub,
    "MULTIPLY": operator.mul,
    "MINIMUM": min,
    "MAXIMUM": max,
    "GREATER_THAN": lambda one, two: float(one > two),
    "LESS_THAN": lambda one, two: float(one < two),
}
BENDING = {"NORMAL_MAP", "BUMP"}
Groups = tuple[bpy.types.Node, ...]  # the group nodes that a node lies in, the innermost last


def opacity(material: bpy.types.Material | None, note: Callable[[str], None]) -> float:
    """0 (not seen, or only a volume) to 1 (solid). What nodes decide from place to place counts as
    solid; `note` is told."""
    if material is None or material.node_tree is None:
        return 1.0
    output = material.node_tree.get_output_node("ALL")
    if output is None:
        return 1.0
    if output.inputs["Displacement"].is_linked and material.displacement_method != "BUMP":
        note(f"The material {material.name} displaces its surface, which is not captured.")
    if not output.inputs["Surface"].is_linked:
        return 0.0 if output.inputs["Volume"].is_linked else 1.0
    return _opacity_at(output.inputs["Surface"], (), material, note)


def is_volume(material: bpy.types.Material | None) -> bool:
    """Whether the material fills a space and shows no surface."""
    if material is None or material.node_tree is None:
        return False
    output = material.node_tree.get_output_node("ALL")
    if output is None or not output.inputs["Volume"].is_linked:
        return False
    return not output.inputs["Surface"].is_linked


def bends_normals(material: bpy.types.Material | None) -> bool:
    """Whether nodes of the material, or of groups in it, lend the surface other normals."""
    trees = [material.node_tree] if material is not None and material.node_tree else []
    known = set()
    for tree in trees:
        if tree in known:
            continue
        known.add(tree)
        for node in tree.nodes:
            if node.type in BENDING and any(output.is_linked for output in node.outputs):
                return True
            if node.type == "GROUP" and node.node_tree is not None:
                trees.append(node.node_tree)
    return False


def is_one_sided(material: bpy.types.Material | None, engine: str) -> bool:
    """Whether the camera sees through the surface's back, as walls of a room that is open to it;
    EEVEE alone does."""
    return (
        material is not None
        and material.use_backface_culling
        and engine.startswith("BLENDER_EEVEE")
    )


def _opacity_at(
    socket: bpy.types.NodeSocket, groups: Groups, material: bpy.types.Material, note: Callable
) -> float:
    """The opacity of the closure that comes in at a socket."""
    node, _, groups = _origin(socket, groups)
    if node is None or node.type == "BSDF_TRANSPARENT":
        return 0.0
    if node.type == "ADD_SHADER":
        return min(_opacity_at(item, groups, material, note) for item in node.inputs)
    if node.type == "BSDF_PRINCIPLED":
        alpha = _value(node.inputs["Alpha"], groups, material, note)
        return 1.0 if alpha is None else alpha
    if node.type == "MIX_SHADER":
        return _mixed(node, groups, material, note)
    return 1.0


def _mixed(
    node: bpy.types.Node, groups: Groups, material: bpy.types.Material, note: Callable
) -> float:
    part = _number(node.inputs[0], groups)
    if part in (0.0, 1.0):  # the other side is nowhere
        return _opacity_at(node.inputs[1 + int(part)], groups, material, note)
    first, second = (_opacity_at(item, groups, material, note) for item in node.inputs[1:3])
    if first == second:
        return first
    part = _value(node.inputs[0], groups, material, note)
    return max(first, second) if part is None else first + part * (second - first)


def _value(
    socket: bpy.types.NodeSocket,
    groups: Groups,
    material: bpy.types.Material,
    note: Callable[[str], None],
) -> float | None:
    """The number that comes in at a socket; None where more than numbers decide."""
    number = _number(socket, groups)
    if number is None:
        note(
            f"Nodes decide where the material {material.name} is transparent: its whole surface "
            f"counts as solid."
        )
    return number


def _number(socket: bpy.types.NodeSocket, groups: Groups) -> float | None:
    """The number that comes in at a socket for the rays of the camera; None where it differs from
    place to place."""
    node, socket, groups = _origin(socket, groups)
    if node is None:
        return float(socket.default_value)
    if node.type == "VALUE":
        return float(node.outputs[0].default_value)
    if node.type == "LIGHT_PATH":
        return OF_CAMERA_RAYS.get(socket.links[0].from_socket.identifier, 0.0)
    if node.type == "MATH" and node.operation in SUMS:
        numbers = [_number(item, groups) for item in node.inputs[:2]]
        if None in numbers:
            return None
        result = SUMS[node.operation](*numbers)
        return min(max(result, 0.0), 1.0) if node.use_clamp else result
    return None


def _origin(
    socket: bpy.types.NodeSocket, groups: Groups
) -> tuple[bpy.types.Node | None, bpy.types.NodeSocket, Groups]:
    """The node that feeds a socket, or None and the socket where its value is set; and the groups
    that it is in."""
    while socket.is_linked:
        node, name = socket.links[0].from_node, socket.links[0].from_socket.identifier
        if node.type == "REROUTE":
            socket = node.inputs[0]
        elif node.type == "GROUP_INPUT":
            socket, groups = _named(groups[-1].inputs, name), groups[:-1]
        elif node.type == "GROUP" and (end := _output_of(node.node_tree)) is not None:
            socket, groups = _named(end.inputs, name), (*groups, node)
        else:
            return node, socket, groups
    return None, socket, groups


def _output_of(tree: bpy.types.NodeTree | None) -> bpy.types.Node | None:
    nodes = tree.nodes if tree is not None else ()
    return next(
        (node for node in nodes if node.type == "GROUP_OUTPUT" and node.is_active_output), None
    )


def _named(sockets: bpy.types.bpy_prop_collection, identifier: str) -> bpy.types.NodeSocket:
    return next(socket for socket in sockets if socket.identifier == identifier)
