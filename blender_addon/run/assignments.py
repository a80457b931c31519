"""What `--set NAME=VALUE` says, put into a scene's settings; anything but what it can be is
refused."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import bpy

from t2vz_core.wire.job import Sampling

SEED = "sampling.seed"
SEED_BITS = 31  # of Blender's whole numbers above zero; settings.seed_high has the rest
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
NESTED = {"POINTER", "COLLECTION"}


class Usage(ValueError):
    """The command line says what cannot be; one sentence."""


def assign(settings: bpy.types.PropertyGroup, path: str, value: Any) -> None:
    """Puts a value, or the text of one, into the setting at `path`: `motion.strength` = "4,-2",
    `model.loras` = '[{"path": "a.safetensors"}]', `controls[0].scale` = "0.5", `foreground` =
    "Cast".

    Raises:
        Usage: there is no such setting, or it cannot have that value.
    """
    if path == SEED:
        _assign_seed(settings, value)
        return
    owner, name = _owner(settings, path)
    kind = owner.bl_rna.properties[name]
    if kind.type == "COLLECTION":
        _fill(getattr(owner, name), path, value)
    elif kind.type == "POINTER":
        setattr(owner, name, _datablock(kind, path, value))
    elif getattr(kind, "is_array", False):
        setattr(owner, name, _vector(kind, path, value))
    else:
        setattr(owner, name, _scalar(kind, path, value))


def seed_of(settings: bpy.types.PropertyGroup) -> int:
    """The seed, which is larger than Blender's whole numbers may be."""
    return (settings.seed_high << SEED_BITS) + settings.sampling.seed


def values(group: bpy.types.PropertyGroup, path: str = "") -> Iterator[tuple[str, Any]]:
    """The path of every setting in a group, and what it is set to."""
    for kind in _settings(group):
        here, value = f"{path}{kind.identifier}", getattr(group, kind.identifier)
        if kind.type == "COLLECTION":
            for index, item in enumerate(value):
                yield from values(item, f"{here}[{index}].")
        elif isinstance(value, bpy.types.PropertyGroup):
            yield from values(value, f"{here}.")
        elif kind.type == "POINTER":
            yield here, value.name_full if value else ""
        else:
            yield here, tuple(value) if getattr(kind, "is_array", False) else value


def _settings(group: Any) -> list[bpy.types.Property]:
    own = group.bl_rna.properties
    return [kind for kind in own if kind.identifier not in ("rna_type", "name")]


def _owner(settings: bpy.types.PropertyGroup, path: str) -> tuple[Any, str]:
    """The group that has the setting, and the setting's name in it."""
    *steps, name = re.findall(r"[^.\[\]]+", path) or [""]
    owner: Any = settings
    for step in steps:
        owner = _inside(owner, step, path)
    if not hasattr(owner, "bl_rna") or name not in [kind.identifier for kind in _settings(owner)]:
        raise Usage(f"--set {path}: there is no such setting{_known(owner)}")
    return owner, name


def _inside(owner: Any, step: str, path: str) -> Any:
    try:
        return owner[int(step)] if step.isdecimal() else getattr(owner, step)
    except (AttributeError, LookupError, TypeError):
        raise Usage(f"--set {path}: there is no {step!r}{_known(owner)}") from None


def _known(owner: Any) -> str:
    if not isinstance(owner, bpy.types.PropertyGroup):
        return f"; it has {len(owner)} items" if hasattr(owner, "__len__") else ""
    return f"; known: {', '.join(kind.identifier for kind in _settings(owner))}"


def _fill(collection: Any, path: str, value: Any) -> None:
    """A list of objects, as JSON, in place of what the collection holds."""
    items = _json(path, value)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Usage(f'{path}: must be a list as in [{{"name": value}}], not {value!r}')
    collection.clear()
    for index, item in enumerate(items):
        group = collection.add()
        for name, part in item.items():
            _assign_in(group, name, f"{path}[{index}].{name}", part)


def _assign_in(group: Any, name: str, path: str, value: Any) -> None:
    try:
        assign(group, name, value)
    except Usage as error:
        said = str(error).removeprefix("--set ")
        raise Usage(f"--set {path}{said.removeprefix(name)}") from None


def _datablock(kind: Any, path: str, value: Any) -> Any:
    """The object, collection, … of this name; none for an empty one."""
    home = next(
        (data for data in bpy.data.bl_rna.properties if data.type == "COLLECTION"
         and data.fixed_type == kind.fixed_type),
        None,
    )  # fmt: skip
    if home is None:
        raise Usage(f"--set {path}: is a group of settings; name one of them")
    if not value:
        return None
    found = getattr(bpy.data, home.identifier).get(value) if isinstance(value, str) else None
    if found is None:
        raise Usage(f"{path}: there is no {kind.fixed_type.name.lower()} {value!r} in this file")
    return found


def _vector(kind: Any, path: str, value: Any) -> list[float]:
    text = isinstance(value, str)
    parts = re.split(r"\s*,\s*", value.strip().strip("[]()").strip()) if text else value
    if not isinstance(parts, (list, tuple)) or len(parts) != kind.array_length:
        raise Usage(f"{path}: must be {kind.array_length} numbers, as 1,2, not {value!r}")
    return [_scalar(kind, path, part) for part in parts]


def _scalar(kind: Any, path: str, value: Any) -> Any:
    read = {"BOOLEAN": _flag, "INT": _whole, "FLOAT": _number, "ENUM": _option}
    return read.get(kind.type, _text)(kind, path, value)


def _flag(_kind: Any, path: str, value: Any) -> bool:
    word = str(value).lower()
    if word not in YES + NO:
        raise Usage(f"{path}: must be yes or no, not {value!r}")
    return word in YES


def _whole(kind: Any, path: str, value: Any) -> int:
    if not re.fullmatch(r"[+-]?\d{1,30}", str(value).strip()):
        raise Usage(f"{path}: must be a whole number, not {value}")
    return _within(kind.hard_min, kind.hard_max, path, int(value))


def _number(kind: Any, path: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise Usage(f"{path}: must be a number, not {value!r}") from None
    return _within(kind.hard_min, kind.hard_max, path, number)


def _within(low: float, high: float, path: str, value: Any) -> Any:
    if not low <= value <= high:  # Blender would move it there without a word; nan is nowhere
        raise Usage(f"{path}: must lie within {low}..{high}, not {value}")
    return value


def _option(kind: Any, path: str, value: Any) -> str:
    options = [item.identifier for item in kind.enum_items]
    if value not in options:
        raise Usage(f"{path}: must be one of {', '.join(options)}, not {value!r}")
    return value


def _text(_kind: Any, path: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Usage(f"{path}: must be text, not {value!r}")
    return value


def _json(path: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Usage(f"{path}: must be JSON, as in [{{…}}] ({error})") from None


def _assign_seed(settings: bpy.types.PropertyGroup, value: Any) -> None:
    highest = next(f for f in dataclasses.fields(Sampling) if f.name == "seed").metadata["high"]
    if not re.fullmatch(r"[+-]?\d{1,30}", str(value).strip()):
        raise Usage(f"{SEED}: must be a whole number, not {value}")
    seed = _within(0, highest, SEED, int(value))
    settings.seed_high, settings.sampling.seed = divmod(seed, 1 << SEED_BITS)
