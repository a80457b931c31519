"""A number that changes when what a capture reads of the file does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np

# What a capture may read, in the kinds that bpy.data has of it.
KINDS = (
    "actions", "armatures", "cameras", "collections", "curves", "hair_curves", "lattices",
    "materials",
    "meshes", "metaballs", "movieclips", "node_groups", "objects", "particles", "shape_keys",
    "textures", "volumes", "worlds",
)  # fmt: skip
OF_SCENES = ("camera", "frame_start", "frame_end", "frame_step", "gravity")
OF_RENDERS = ("engine", "fps", "fps_base", "use_border", "use_crop_to_border", "use_simplify")
OF_RENDERS += tuple(f"border_{end}_{axis}" for end in ("min", "max") for axis in "xy")
OF_RENDERS += tuple(f"{name}_{axis}" for name in ("resolution", "pixel_aspect") for axis in "xy")
# What says nothing of it: counters, caches, what is selected, how things are drawn in editors.
UNTOLD = {
    "rna_type", "session_uid", "users", "original", "is_updated", "is_evaluated", "id_data",
    "bl_system_properties_get", "preview", "asset_data", "library", "is_editmode", "is_dirty",
    "select", "select_head", "select_tail", "select_control_point", "select_left_handle",
    "select_right_handle", "show_expanded", "tag", "storage_type", "uv_sculpt", "use_extra_user",
    "total_vert_sel", "total_edge_sel", "total_face_sel", "color_tag", "location", "width",
    "height",
    "execution_time", "debug_lazy_function_graph", "enabled", "is_icon_visible", "is_inactive",
    "is_unavailable",
    # and what is reckoned out of the rest, not yet when a step has just been undone
    "matrix", "matrix_world", "matrix_local", "matrix_basis", "matrix_channel", "head", "tail",
    "bound_box", "dimensions", "center", "normal", "vertex_normals", "polygon_normals",
    "corner_normals", "loop_triangles", "loop_triangle_polygons",
}  # fmt: skip
TOLD_OF_OBJECTS = {"location"}  # of nodes it is where they lie in their editor
MANY = 64  # from so many items on, their numbers are read in one go
DTYPES = {"INT": np.int32, "BOOLEAN": bool, "FLOAT": np.float32}


def scene_print(scene: bpy.types.Scene) -> bytes:
    """The same as long as nothing is changed that a capture of the scene may read."""
    digest = hashlib.blake2b(digest_size=16)
    for text in _of_file(scene):
        digest.update(text if isinstance(text, bytes) else repr(text).encode())
    return digest.digest()


def _of_file(scene: bpy.types.Scene) -> Iterator[Any]:
    yield from (_plain(getattr(scene, name)) for name in OF_SCENES)
    yield from (getattr(scene.render, name) for name in OF_RENDERS)
    for marker in scene.timeline_markers:
        yield marker.frame, marker.camera and marker.camera.name_full
    walk = _Walk()
    for layer in scene.view_layers:
        yield from walk.told(layer.layer_collection)
    for kind in KINDS:
        for item in getattr(bpy.data, kind, ()):
            yield item.name_full
            yield from walk.told(item)


class _Walk:
    """Tells everything once: sockets lead to their nodes, and these to the sockets again."""

    def __init__(self) -> None:
        self._known: set[tuple[int, str]] = set()

    def told(self, item: bpy.types.bpy_struct) -> Iterator[Any]:
        key = item.as_pointer(), item.bl_rna.identifier
        if key in self._known:
            return
        self._known.add(key)
        for prop in item.bl_rna.properties:
            if not _is_told(item, prop.identifier):
                continue
            value = getattr(item, prop.identifier, None)
            if prop.type == "POINTER":
                yield from self._pointed(value)
            elif prop.type == "COLLECTION":
                yield from self._members(value)
            else:
                yield _plain(value)

    def _pointed(self, value: Any) -> Iterator[Any]:
        if value is None or (isinstance(value, bpy.types.ID) and not _is_embedded(value)):
            yield value and value.name_full
        else:
            yield from self.told(value)

    def _members(self, items: Any) -> Iterator[Any]:
        yield len(items)
        if len(items) >= MANY:
            yield from _numbers(items)
            return
        for member in items:
            yield from self._pointed(member)


def _is_told(item: bpy.types.bpy_struct, name: str) -> bool:
    return name not in UNTOLD or (name in TOLD_OF_OBJECTS and isinstance(item, bpy.types.Object))


def _is_embedded(value: bpy.types.ID) -> bool:
    """A material's node tree is no data-block of its own."""
    return isinstance(value, bpy.types.NodeTree) and value.is_embedded_data


def _numbers(items: Any) -> Iterator[bytes]:
    """All numbers of many items of a kind."""
    for prop in items[0].bl_rna.properties:
        if prop.type not in DTYPES or prop.identifier in UNTOLD:
            continue
        values = np.empty(max(prop.array_length, 1) * len(items), DTYPES[prop.type])
        try:
            items.foreach_get(prop.identifier, values)
        except (RuntimeError, TypeError, AttributeError):  # not of the same length in all
            continue
        yield values.tobytes()


def _plain(value: Any) -> Any:
    if isinstance(value, bpy.types.ID):
        return value.name_full
    if hasattr(value, "__len__") and not isinstance(value, (str, bytes, set)):
        return tuple(_plain(part) for part in value)
    return sorted(value) if isinstance(value, set) else value
