"""Words that artists give to objects and collections, and how much of them is made anew: the job's
regions and repaints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator

import bpy

from t2vz_core.wire.job import Region, Repaint

from ..job.folders import FrameArrays
from .animated_values import is_animated
from .capture import object_numbers
from .meshes import MESHED

Owner = bpy.types.Object | bpy.types.Collection
STRENGTH = "t2vz_words.strength"  # their paths in an object and in the scene
REPAINT = "t2vz_words.repaint"
START = "t2vz.start.strength"


def owners(scene: bpy.types.Scene) -> list[Owner]:
    """The objects and collections of a scene with words of their own; what is within another comes
    before it."""
    return _sorted(scene, lambda owner: bool(owner.t2vz_words.text.strip()))


def repainted(scene: bpy.types.Scene) -> list[Owner]:
    """Those with a strength of their own where frames start from their pictures."""
    is_used = scene.t2vz.start.source == "picture"
    return _sorted(scene, lambda owner: owner.t2vz_words.is_repainted) if is_used else []


def regions(scene: bpy.types.Scene, has_files: bool = False) -> tuple[Region, ...]:
    """Each owner's words, and the numbers of what they are about in the ids passes.

    Args:
        has_files: rendered files give the passes, which know pass indices alone.

    Raises:
        ValueError: an owner has no surface that could show them.
    """
    found = []
    for owner in owners(scene):
        words = owner.t2vz_words
        ids = _ids(scene, owner, has_files)
        found.append(Region(ids, words.text, words.negative, _decimal(words.strength)))
    return tuple(found)


def repaints(scene: bpy.types.Scene, has_files: bool = False) -> tuple[Repaint, ...]:
    """How much of each owner is made anew; arguments and errors as of `regions`."""
    return tuple(
        Repaint(_ids(scene, owner, has_files), _decimal(owner.t2vz_words.repaint))
        for owner in repainted(scene)
    )


def are_animated(scene: bpy.types.Scene) -> bool:
    """Whether any of these strengths changes from frame to frame."""
    places = [(scene, START)]
    places += [(owner, STRENGTH) for owner in owners(scene)]
    places += [(owner, REPAINT) for owner in repainted(scene)]
    return any(is_animated(owner, path) for owner, path in places if _can_be_keyed(owner))


def with_strengths(
    arrays: Generator[FrameArrays], scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer
) -> Generator[FrameArrays]:
    """The captured frames, each with the strengths at it."""
    of_words, of_paint = owners(scene), repainted(scene)
    try:
        for each in arrays:
            if each is None:
                yield None
                continue
            with bpy.context.temp_override(scene=scene, view_layer=view_layer):
                depsgraph = bpy.context.evaluated_depsgraph_get()
            words = [_now(owner, depsgraph).t2vz_words.strength for owner in of_words]
            paint = [_now(owner, depsgraph).t2vz_words.repaint for owner in of_paint]
            start = (
                [scene.t2vz.start.strength, *paint] if scene.t2vz.start.source != "noise" else []
            )
            yield dataclasses.replace(
                each, region_strengths=tuple(words), start_strengths=tuple(start)
            )
    finally:
        arrays.close()


def _now(owner: Owner, depsgraph: bpy.types.Depsgraph) -> Owner:
    return owner.evaluated_get(depsgraph) if _can_be_keyed(owner) else owner


def _can_be_keyed(owner: bpy.types.ID) -> bool:
    return not isinstance(owner, bpy.types.Collection)


def _decimal(value: float) -> float:
    """The decimal that was typed, of Blender's 32 bits."""
    return float(f"{value:.7g}")


def _sorted(scene: bpy.types.Scene, is_wanted: Callable[[Owner], bool]) -> list[Owner]:
    objects = sorted(filter(is_wanted, scene.objects), key=_depth, reverse=True)
    collections = [*filter(is_wanted, scene.collection.children_recursive)]
    collections.sort(key=lambda one: len(one.children_recursive))
    return [*objects, *collections]


def _depth(item: bpy.types.Object) -> int:
    return 0 if item.parent is None else 1 + _depth(item.parent)


def _ids(scene: bpy.types.Scene, owner: Owner, has_files: bool) -> tuple[int, ...]:
    shown = [item for item in _parts(scene, owner) if item.type in MESHED]
    if not shown:
        raise ValueError(
            f"{owner.name} has words or a strength of its own but no surface to show them: "
            "give them "
            "to an object that has one, or clear them."
        )
    numbers = object_numbers()
    ids = {item.pass_index if has_files else numbers[item.name_full] for item in shown}
    if not (ids := ids - {0}):
        raise ValueError(
            f"{owner.name} has words or a strength of its own, but the rendered files know it "
            "by no "
            "pass index: give it one and render again, or clear them."
        )
    return tuple(sorted(ids))


def _parts(scene: bpy.types.Scene, owner: Owner) -> list[bpy.types.Object]:
    """What the words of an owner are about: itself and its children, an armature's skins, all of a
    collection."""
    if isinstance(owner, bpy.types.Collection):
        return list(owner.all_objects)
    skins = [item for item in scene.objects if item.find_armature() == owner]
    return [owner, *owner.children_recursive, *skins]
