"""Where a character's head is at rest, told by what of its body the head's bone moves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import bpy
import numpy as np

END = re.compile(r"top|end|tip|nub", re.IGNORECASE)  # how importers name a bone without a length
MOST = 20_000  # vertices of a mesh that are asked whose they are
OWN = 0.5  # of a vertex's weight, and the head moves it


def crown(armature: bpy.types.Object, head: str) -> np.ndarray | None:
    """Points (n, 3) of the head in armature space at rest; None where nothing tells of it.

    The bone at its top; else what of the meshes hangs on its bone; else, where no mesh says so,
    all of the body, whose highest point is the head's.
    """
    bone = armature.data.bones.get(head)
    if bone is None:
        return None
    tops = [child.head_local for child in bone.children if END.search(child.name)]
    for found in (tops, list(_own(armature, head)), list(_bodies(armature))):
        if found:
            return np.concatenate([np.reshape(points, (-1, 3)) for points in found])
    return None


def _own(armature: bpy.types.Object, head: str) -> Iterator[np.ndarray]:
    """Points that the head's bone moves: of its vertex group, and of what is parented to it."""
    for item, to_armature in _meshes(armature):
        points = _points(item)
        if item.parent_type == "BONE" and item.parent_bone == head:
            pose = np.array(armature.pose.bones[head].matrix)
            rest = np.array(armature.data.bones[head].matrix_local)
            yield _placed(rest @ np.linalg.inv(pose) @ to_armature, points)
        elif (group := item.vertex_groups.get(head)) is not None:
            kept = _moved_by(item.data, group.index)
            if len(kept):
                yield _placed(to_armature, points[kept])


def _bodies(armature: bpy.types.Object) -> Iterator[np.ndarray]:
    for item, to_armature in _meshes(armature):
        if any(modifier.type == "ARMATURE" for modifier in item.modifiers):
            yield _placed(to_armature, _points(item))


def _meshes(armature: bpy.types.Object) -> Iterator[tuple[bpy.types.Object, np.ndarray]]:
    """The meshes that the armature itself moves and renders show, each with its place in it."""
    to_armature = np.linalg.pinv(np.array(armature.matrix_world))
    for item in bpy.data.objects:
        moved_by = (modifier.object for modifier in item.modifiers if modifier.type == "ARMATURE")
        is_moved = item.parent == armature or armature in moved_by
        if item.type == "MESH" and is_moved and not item.hide_render and item.data.vertices:
            yield item, to_armature @ np.array(item.matrix_world)


def _moved_by(mesh: bpy.types.Mesh, group: int) -> list[int]:
    """Numbers of the vertices that belong to a group for the most part; of large meshes some."""
    every = -(-len(mesh.vertices) // MOST)
    return [
        index
        for index in range(0, len(mesh.vertices), every)
        if any(each.group == group and each.weight >= OWN for each in mesh.vertices[index].groups)
    ]


def _points(item: bpy.types.Object) -> np.ndarray:
    points = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)


def _placed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]
