"""The panel's settings as a JSON file: beside each job, to share, and for the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

from .assignments import Usage, assign

PLAIN = {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}
LEFT_OUT = {"rna_type", "name", "version", "quality", "side_shown_px"}  # told by others, or no look
OWN_PLACE = {"output", "destination", "edit_scene", "prompt_text"}  # of a scene, not of a look


def write(file: Path, settings: Any) -> None:
    """Saves all settings of a scene.

    Raises:
        OSError: the file cannot be written.
    """
    body = json.dumps(to_json(settings), indent=1, ensure_ascii=False)
    file.write_text(body + "\n", encoding="utf-8")


def read(file: Path, settings: Any) -> list[str]:
    """Puts a file's settings into a scene's; returns the names of those that it does not know, or
    whose object is not in this .blend.

    Raises:
        ValueError: it is no such file; one sentence.
    """
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise ValueError(f"{file} is no settings file ({error}).") from error
    if not isinstance(told, dict):
        raise ValueError(f"{file} is no settings file: it must hold a JSON object.")
    return from_json(told, settings)


def to_json(group: Any) -> dict[str, Any]:
    """A property group as plain JSON; objects and collections by their names."""
    told = {}
    for each in group.bl_rna.properties:
        name = each.identifier
        if _is_group(group, each):
            told[name] = to_json(getattr(group, name))
        elif name not in LEFT_OUT and (each.type == "COLLECTION" or not each.is_readonly):
            told[name] = _value(getattr(group, name), each)
    return told


def from_json(told: dict[str, Any], group: Any, path: str = "") -> list[str]:
    """Puts JSON into a property group; returns the paths that found no place.

    Raises:
        ValueError: a value that a setting cannot have; the sentence begins with its path.
    """
    unknown = []
    for name, value in told.items():
        here, each = f"{path}{name}", group.bl_rna.properties.get(name)
        if each is None:
            unknown.append(here)
        elif name in OWN_PLACE or name in LEFT_OUT:
            continue
        elif _is_group(group, each):
            unknown += from_json(value, getattr(group, name), f"{here}.")
        elif each.type == "COLLECTION":
            unknown += _fill(getattr(group, name), value, here)
        elif not _put(group, each, value, here):
            unknown.append(here)
    return unknown


def _is_group(group: Any, each: Any) -> bool:
    if each.type != "POINTER" or each.identifier == "rna_type":
        return False
    return isinstance(getattr(group, each.identifier), bpy.types.PropertyGroup)


def _value(value: Any, each: Any) -> Any:
    if each.type == "COLLECTION":
        return [to_json(item) for item in value]
    if each.type == "POINTER":
        return value.name if value is not None else None
    if getattr(each, "is_array", False):
        return [float(f"{part:.7g}") for part in value]
    return float(f"{value:.7g}") if each.type == "FLOAT" else value


def _fill(items: Any, told: list[Any], path: str) -> list[str]:
    items.clear()
    unknown = []
    for index, each in enumerate(told):
        unknown += from_json(each, items.add(), f"{path}[{index}].")
    return unknown


def _put(group: Any, each: Any, value: Any, path: str) -> bool:
    if each.type == "POINTER":
        owner = {"Object": bpy.data.objects, "Collection": bpy.data.collections}
        found = owner.get(each.fixed_type.identifier, {}).get(value) if value else None
        setattr(group, each.identifier, found)
        return found is not None or not value
    try:
        assign(group, each.identifier, value)
    except Usage as error:
        raise ValueError(str(error).replace(each.identifier, path, 1)) from error
    return True
