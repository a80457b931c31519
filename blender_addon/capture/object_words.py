"""Words that artists give to objects and collections, as the job's regions."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable

import bpy

from t2vz_core.wire.job import Region

from ..job.folders import FrameArrays
from .animated_values import is_animated
from .capture import object_numbers
from .meshes import MESHED

Owner = bpy.types.Object | bpy.types.Collection
STRENGTH = "t2vz_words.strength"  # its path in an object


def owners(scene: bpy.types.Scene) -> list[Owner]:
    """The objects and collections of a scene with words of their own; what is within another comes
    before it."""
    objects = sorted(_worded(scene.objects), key=_depth, reverse=True)
    collections = [*_worded(scene.collection.children_recursive)]
    collections.sort(key=lambda one: len(one.children_recursive))
    return [*objects, *collections]


def regions(scene: bpy.types.Scene, has_files: bool = False) -> tuple[Region, ...]:
    """Each owner's words, and the numbers of what they are about in the ids passes.

    Args:
        has_files: rendered files give the passes, which know pass indices alone.

    Raises:
        ValueError: an owner has no surface that could show them.
    """
    return tuple(_region(scene, owner, has_files) for owner in owners(scene))


def are_animated(scene: bpy.types.Scene) -> bool:
    """Whether the strength of any object's words changes from frame to frame."""
    return any(is_animated(owner, STRENGTH) for owner in _worded(scene.objects))


def with_strengths(
    arrays: Generator[FrameArrays], scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer
) -> Generator[FrameArrays]:
    """The captured frames, each with the strengths at it."""
    of_words = owners(scene)
    try:
        for each in arrays:
            if each is None:
                yield None
                continue
            with bpy.context.temp_override(scene=scene, view_layer=view_layer):
                depsgraph = bpy.context.evaluated_depsgraph_get()
            strengths = (_strength(owner, depsgraph) for owner in of_words)
            yield dataclasses.replace(each, region_strengths=tuple(strengths))
    finally:
        arrays.close()


def _strength(owner: Owner, depsgraph: bpy.types.Depsgraph) -> float:
    is_object = isinstance(owner, bpy.types.Object)
    return (owner.evaluated_get(depsgraph) if is_object else owner).t2vz_words.strength


def _worded(items: Iterable[Owner]) -> list[Owner]:
    return [item for item in items if item.t2vz_words.text.strip()]


def _depth(item: bpy.types.Object) -> int:
    return 0 if item.parent is None else 1 + _depth(item.parent)


def _region(scene: bpy.types.Scene, owner: Owner, has_files: bool) -> Region:
    shown = [item for item in _parts(scene, owner) if item.type in MESHED]
    if not shown:
        raise ValueError(
            f"{owner.name} has words of its own but no surface to show them: give them to an "
            "object "
            "that has one, or clear them."
        )
    numbers = object_numbers()
    ids = {item.pass_index if has_files else numbers[item.name_full] for item in shown}
    if not (ids := ids - {0}):
        raise ValueError(
            f"{owner.name} has words of its own, but the rendered files know it by no pass index: "
            "give it one and render again, or clear its words."
        )
    words = owner.t2vz_words
    strength = float(f"{words.strength:.7g}")
    return Region(tuple(sorted(ids)), words.text, words.negative, strength)


def _parts(scene: bpy.types.Scene, owner: Owner) -> list[bpy.types.Object]:
    """What the words of an owner are about: itself and its children, an armature's skins, all of a
    collection."""
    if isinstance(owner, bpy.types.Collection):
        return list(owner.all_objects)
    skins = [item for item in scene.objects if item.find_armature() == owner]
    return [owner, *owner.children_recursive, *skins]
