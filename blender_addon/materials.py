"""How much of a surface its material lets be seen."""

from __future__ import annotations

from collections.abc import Callable

import bpy


def opacity(material: bpy.types.Material | None, note: Callable[[str], None]) -> float:
    """0 (not seen, or only a volume) to 1 (solid). What a texture decides counts as solid; `note` is told."""
    if material is None or material.node_tree is None:
        return 1.0
    output = material.node_tree.get_output_node("ALL")
    if output is None:
        return 1.0
    if output.inputs["Displacement"].is_linked and material.displacement_method != "BUMP":
        note(f"The material {material.name} displaces its surface, which is not captured.")
    if not output.inputs["Surface"].is_linked:
        return 0.0 if output.inputs["Volume"].is_linked else 1.0
    return _opacity_at(output.inputs["Surface"], material, note)


def _opacity_at(socket: bpy.types.NodeSocket, material: bpy.types.Material, note: Callable[[str], None]) -> float:
    """The opacity of the closure that comes in at a socket."""
    if not socket.is_linked:
        return 0.0
    node = socket.links[0].from_node
    if node.type == "REROUTE":
        return _opacity_at(node.inputs[0], material, note)
    if node.type == "BSDF_TRANSPARENT":
        return 0.0
    if node.type == "ADD_SHADER":
        return min(_opacity_at(item, material, note) for item in node.inputs)
    if node.type == "BSDF_PRINCIPLED":
        alpha = _value(node.inputs["Alpha"], material, note)
        return 1.0 if alpha is None else alpha
    if node.type == "MIX_SHADER":
        first, second = (_opacity_at(item, material, note) for item in node.inputs[1:3])
        if first == second:
            return first
        part = _value(node.inputs[0], material, note)
        return max(first, second) if part is None else first + part * (second - first)
    return 1.0


def _value(socket: bpy.types.NodeSocket, material: bpy.types.Material, note: Callable[[str], None]) -> float | None:
    """The number set at a socket; None where other nodes decide."""
    if not socket.is_linked:
        return socket.default_value
    note(f"The transparency of the material {material.name} is textured: its whole surface counts as solid.")
    return None
