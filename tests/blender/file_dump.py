"""Everything a file holds, as text, to be compared before and after."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

# What says nothing of the artist's work: counters, caches, the windows, a pointer that Blender 4.2
# dies of, and 5.2's second list of all that is listed by kind, which leads to the windows again.
UNTOLD = {
    "all_ids", "rna_type", "session_uid", "users", "original", "depsgraph", "is_updated",
    "is_evaluated", "screens",
    "window_managers", "workspaces", "bl_system_properties_get", "id_data", "uv_sculpt",
    "storage_type",
}  # fmt: skip


def dump() -> dict[str, str]:
    """Path of every property of every data-block -> its value."""
    lines: dict[str, str] = {}
    for kind in bpy.data.bl_rna.properties:
        if kind.type == "COLLECTION" and kind.identifier not in UNTOLD:
            for item in getattr(bpy.data, kind.identifier):
                lines.update(_told(item, f"{kind.identifier}[{item.name_full}]", 0))
    for layer in (layer for scene in bpy.data.scenes for layer in scene.view_layers):
        lines[f"{layer.name} active"] = str(layer.objects.active)
        for item in layer.objects:
            state = item.select_get(view_layer=layer), item.hide_get(view_layer=layer), item.mode
            lines[f"{layer.name} {item.name_full}"] = str(state)
    lines["dirty"], lines["mode"] = str(bpy.data.is_dirty), bpy.context.mode
    return lines


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [
        f"{path}: {before.get(path)} -> {after.get(path)}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _told(item: bpy.types.bpy_struct, path: str, depth: int) -> Iterator[tuple[str, str]]:
    for kind in item.bl_rna.properties:
        if kind.identifier in UNTOLD:
            continue
        value, here = getattr(item, kind.identifier, None), f"{path}.{kind.identifier}"
        if kind.type == "POINTER":
            yield from _pointed(value, here, depth)
        elif kind.type == "COLLECTION":
            for index, member in enumerate(value):
                yield from _pointed(member, f"{here}[{index}]", depth)
        else:
            yield here, _text(value)


def _pointed(
    value: bpy.types.bpy_struct | None, path: str, depth: int
) -> Iterator[tuple[str, str]]:
    if value is None or isinstance(value, bpy.types.ID):
        yield path, value.name_full if value else "None"
    elif depth < 5:
        yield from _told(value, path, depth + 1)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.5f}"
    if hasattr(value, "__len__") and not isinstance(value, str | bytes | set):
        return " ".join(_text(part) for part in value)
    return str(value)
