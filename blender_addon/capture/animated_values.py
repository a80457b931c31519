"""Values that the artist changed by hand on animated properties, and has not keyed, survive a trip
through time."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

Place = tuple[bpy.types.ID, str, int]  # owner, path of the property, index within it


class AnimatedValues:
    """What every animated property of the file holds now."""

    def __init__(self) -> None:
        self.values = {place: value for place in _places() if (value := _read(place)) is not None}

    def restore(self) -> None:
        """Writes back those that the animation has changed since."""
        for place, value in self.values.items():
            if (now := _read(place)) is not None and now != value:
                _write(place, value)


def is_animated(owner: bpy.types.ID, path: str) -> bool:
    """Whether keys or a driver move this property of the owner itself."""
    data = owner.animation_data
    if data is None:
        return False
    return any(curve.data_path == path for curve in (*_curves(data), *data.drivers))


def _places() -> Iterator[Place]:
    for owner in _owners():
        data = getattr(owner, "animation_data", None)
        for curve in _curves(data) if data is not None else ():
            yield owner, curve.data_path, curve.array_index


def _owners() -> Iterator[bpy.types.ID]:
    for kind in bpy.data.bl_rna.properties:
        if kind.type == "COLLECTION":
            for owner in getattr(bpy.data, kind.identifier):
                yield owner
                if getattr(owner, "node_tree", None) is not None:
                    yield owner.node_tree


def _curves(data: bpy.types.AnimData) -> Iterator[bpy.types.FCurve]:
    """The curves that move the owner, in its action and in the strips of its NLA tracks."""
    for user in (data, *(strip for track in data.nla_tracks for strip in track.strips)):
        if user.action is not None:
            yield from _curves_of(user)


def _curves_of(user: bpy.types.AnimData | bpy.types.NlaStrip) -> Iterator[bpy.types.FCurve]:
    """The curves of the action's slot, or, before Blender 4.4, all of the action."""
    if not hasattr(user, "action_slot"):
        yield from user.action.fcurves
        return
    for layer in user.action.layers:
        for strip in layer.strips:
            bag = strip.channelbag(user.action_slot) if user.action_slot else None
            if bag is not None:
                yield from bag.fcurves


def _read(place: Place) -> float | int | bool | str | None:
    """The value, or None where the path leads nowhere."""
    owner, path, index = place
    try:
        value = owner.path_resolve(path)
        return value[index] if hasattr(value, "__len__") and not isinstance(value, str) else value
    except (ValueError, IndexError, ReferenceError):
        return None


def _write(place: Place, value: float | int | bool | str) -> None:
    owner, path, index = place
    held = owner.path_resolve(path)
    if hasattr(held, "__len__") and not isinstance(held, str):
        held[index] = value
        return
    start, _, name = path.rpartition("[" if path.endswith("]") else ".")
    holder = owner.path_resolve(start) if start else owner
    if path.endswith("]"):
        holder[name.strip("\"']")] = value
    else:
        setattr(holder, name, value)
