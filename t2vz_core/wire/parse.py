"""JSON values to frozen dataclasses and back, strictly: a good object or one sentence naming the
field."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")
LONGEST_TEXT = (
    1 << 15
)  # characters; a path has 4,096 at most, and a prompt of more would take hours


class WireError(ValueError):
    """A message or job that cannot be taken; its text starts with the path of the field at
    fault."""


def numeric(default: Any, low: float, high: float, meaning: str) -> Any:
    """A dataclass field for a number within `low`..`high`, bounds included."""
    return dataclasses.field(
        default=default, metadata={"low": low, "high": high, "meaning": meaning}
    )


def one_of(default: str, options: tuple[str, ...], meaning: str) -> Any:
    """A dataclass field for one word out of `options`."""
    return dataclasses.field(default=default, metadata={"options": options, "meaning": meaning})


def words(default: str, meaning: str) -> Any:
    """A dataclass field for free text."""
    return dataclasses.field(default=default, metadata={"meaning": meaning})


def flag(default: bool, meaning: str) -> Any:
    """A dataclass field for yes or no."""
    return dataclasses.field(default=default, metadata={"meaning": meaning})


def to_json(value: Any) -> Any:
    """The plain JSON value of a dataclass; tuples become lists, None stays null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in typing.cast(list[Any], value)]
    return value


def from_json(kind: type[T], value: Any, path: str = "") -> T:
    """A `kind` made of a parsed JSON object.

    Raises:
        WireError: an unknown key, a missing one, a wrong type or a number out of range.
    """
    if not isinstance(value, dict):
        raise WireError(f"{path or kind.__name__}: must be an object, not {_name(value)}")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    items = typing.cast(dict[Any, Any], value)
    for key in items:
        if key not in fields:
            raise WireError(f"{_join(path, key)}: unknown key (known: {', '.join(fields)})")
    made: dict[str, Any] = {}
    for name, field in fields.items():
        here = _join(path, name)
        if name in items:
            made[name] = _checked(_converted(hints[name], items[name], here), field, here)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise WireError(f"{here}: missing")
    return kind(**made)


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _name(value: Any) -> str:
    names: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true/false",
        type(None): "null",
    }
    return names.get(value.__class__, "a number")


def _converted(hint: Any, value: Any, path: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        kept = [arg for arg in args if arg is not type(None)]
        return None if value is None else _converted(kept[0], value, path)
    if origin is tuple:
        return _tuple(args, value, path)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type[Any], hint), value, path)
    return _scalar(hint, value, path)


def _tuple(args: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise WireError(f"{path}: must be a list, not {_name(value)}")
    items = typing.cast(list[Any], value)
    if args[-1] is Ellipsis:
        args = (args[0],) * len(items)
    if len(args) != len(items):
        raise WireError(f"{path}: must have {len(args)} items, not {len(items)}")
    return tuple(
        _converted(arg, item, f"{path}[{i}]") for i, (arg, item) in enumerate(zip(args, items))
    )


def _scalar(hint: type, value: Any, path: str) -> Any:
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = (
        is_number
        if hint is float
        else isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    )
    if not fits:
        raise WireError(f"{path}: must be {names[hint]}, not {_name(value)}")
    if isinstance(value, str):
        return _text(value, path)
    if (
        is_number and not abs(value) <= sys.float_info.max
    ):  # nor a whole number that no float can hold
        raise WireError(f"{path}: must be finite, not {str(value)[:20]}")
    return float(value) if hint is float else value


def _text(value: str, path: str) -> str:
    if len(value) > LONGEST_TEXT:
        raise WireError(f"{path}: must have {LONGEST_TEXT} characters at most, not {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise WireError(f"{path}: holds half a character ({value[error.start]!a})") from None
    return value


def _checked(value: Any, field: dataclasses.Field[Any], path: str) -> Any:
    meta = field.metadata
    if "options" in meta and value not in meta["options"]:
        raise WireError(f"{path}: must be one of {', '.join(meta['options'])}, not {value!r}")
    if "low" in meta and value is not None:
        for item in _numbers(value):
            if not meta["low"] <= item <= meta["high"]:
                raise WireError(
                    f"{path}: must lie within {meta['low']}..{meta['high']}, not {item}"
                )
    return value


def _numbers(value: Any) -> tuple[Any, ...]:
    return typing.cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,)
