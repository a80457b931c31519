"""The characters of a scene: where the joints of their armatures are on screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np

from ..geometry import bone_names, skeleton
from ..geometry.skeleton import Bone, Skeleton
from ..geometry.surfaces import Snapshot
from . import heads
from .joints_on_screen import mover, on_screen, unhidden
from .meshes import is_left_out, key_of

# on an armature object: joint -> bone, over what is detected; "" leaves the joint out
PROPERTY = "t2vz_joints"
NOBODY = "No armature is recognised as a person: select it and choose the bones of its joints."
Character = tuple[
    bpy.types.Object, np.ndarray
]  # armature, (4, 4): the identity, or where its collection is instanced


def joints(
    depsgraph: bpy.types.Depsgraph,
    snapshot: Snapshot,
    note: Callable[[str], None] = print,
    has_hands: bool = False,
    crowns: dict[str, np.ndarray | None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Everybody on screen in the evaluated scene, the farthest first.

    `note` is told if nobody at all is known, of who is left out, and of presets that cannot be
    read. `snapshot` holds what the camera sees, and so what hides a joint and who has a body.
    `crowns` keeps the points of each armature's head from one frame to the next.

    Returns:
        COCO-18 joints (people, 18, 3) and hands (people, 2, 21, 3), float32: x_px, y_px, 1 seen or
        0 not. Not seen is what lies behind the camera, off the screen, behind another object or, of
        the face, on the far side of the head; and all hands without `has_hands`.
    """
    for fault in preset_faults():
        note(fault)
    view, people, placed = snapshot.view, [], []
    crowns = {} if crowns is None else crowns
    for armature, transform in _cast(depsgraph, snapshot, note):
        mapping = mapping_of(armature)
        if armature.name_full not in crowns:
            crowns[armature.name_full] = heads.crown(armature, mapping.get(bone_names.HEAD, ""))
        crown = crowns[armature.name_full]
        pose = _pose(armature.evaluated_get(depsgraph), transform, mapping, crown)
        points, looks = skeleton.posed(*pose)
        width = float(np.nan_to_num(np.linalg.norm(points[2] - points[5])))
        hands = skeleton.hands(*pose).reshape(42, 3) if has_hands else np.full((42, 3), np.nan)
        people.append(on_screen(view, armature, points, looks, width))
        placed.append(on_screen(view, armature, hands, np.zeros((42, 3)), width))
    shown = unhidden(snapshot, people + placed)
    persons = [
        (each.depth[person[:, 2] > 0].mean(), person, hands)
        for each, person, hands in zip(people, shown, shown[len(people) :])
        if person[:, 2].any()
    ]
    persons.sort(key=lambda each: -each[0])
    return (
        np.float32([person for _, person, _ in persons]).reshape(-1, 18, 3),
        np.float32([hands for _, _, hands in persons]).reshape(-1, 2, 21, 3),
    )


def mapping_of(armature: bpy.types.Object) -> dict[str, str] | None:
    """Joint -> bone of an armature: what its bone names tell, changed by what the artist set; None
    if no human."""
    own = armature.get(PROPERTY)
    own = dict(own) if own is not None else {}
    found = _detected(tuple(armature.data.bones.keys()), _preset_files())
    if found is None and not own:
        return None
    return {joint: bone for joint, bone in ({**(found or {}), **own}).items() if bone}


def is_anybody_known() -> bool:
    """Whether any armature of the file is known for a person."""
    return any(mapping_of(item) for item in bpy.data.objects if item.type == "ARMATURE")


def set_mapping(armature: bpy.types.Object, mapping: Mapping[str, str]) -> None:
    """Keeps the artist's own mapping with the armature; an empty one returns to detection."""
    if mapping:
        armature[PROPERTY] = dict(mapping)
    elif PROPERTY in armature:
        del armature[PROPERTY]


def save_preset(title: str, mapping: Mapping[str, str]) -> Path:
    """Writes the mapping as a preset that is tried on every armature from now on."""
    folder = preset_folder()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{bpy.path.clean_name(title)}.json"
    bone_names.write_preset(file, title, mapping)
    return file


def preset_folder() -> Path:
    """Where the artist's own rig presets lie."""
    return Path(bpy.utils.user_resource("SCRIPTS", path="presets/t2vz/rigs"))


def preset_faults() -> list[str]:
    """A sentence about each file among the presets that is none."""
    return bone_names.read_presets(_preset_files())[1]


def _preset_files() -> tuple[tuple[Path, int], ...]:
    return bone_names.preset_files(bone_names.PRESETS, preset_folder())


@lru_cache(maxsize=64)  # every frame asks; spelling out the names takes longer than the pose
def _detected(bones: tuple[str, ...], files: tuple[tuple[Path, int], ...]) -> dict[str, str] | None:
    found = bone_names.detected(bones, bone_names.read_presets(files)[0])
    return found and found[1]


def _cast(
    depsgraph: bpy.types.Depsgraph, snapshot: Snapshot, note: Callable[[str], None]
) -> list[Character]:
    """Who is known for a person. Bare armatures are, unless others have bodies: then they are
    metarigs and mocap."""
    dressed, bare = (
        [each for each in some if mapping_of(each[0])] for some in _characters(depsgraph, snapshot)
    )
    for armature, _ in bare if dressed else ():
        note(f"{armature.name} moves no body: it is not drawn as a person beside those that do.")
    if not dressed and not bare:
        note(NOBODY)
    return dressed or bare


def _characters(
    depsgraph: bpy.types.Depsgraph, snapshot: Snapshot
) -> tuple[list[Character], list[Character]]:
    """The armatures shown: those with a body that they move and the camera sees, and those that
    move none."""
    bodies = {body.key[:-1] for body in snapshot.bodies}
    dressed, bare = {}, {}
    for instance in depsgraph.object_instances:
        thing = instance.object
        armature = thing if thing.type == "ARMATURE" else mover(thing)
        if armature is None or is_left_out(instance):
            continue
        if thing != armature and key_of(instance) not in bodies:
            continue
        key = (armature.original.as_pointer(), _instance_key(instance))
        shown = bare if thing == armature else dressed
        if key not in shown:
            shown[key] = (armature.original, _transform(instance, depsgraph))
    bare = {key: found for key, found in bare.items() if key not in dressed}
    moved = {mover(thing) for thing in bpy.data.objects} if bare else set()
    return list(dressed.values()), [found for found in bare.values() if found[0] not in moved]


def _instance_key(instance: bpy.types.DepsgraphObjectInstance) -> tuple[int, ...]:
    return (
        (instance.parent.original.as_pointer(), *instance.persistent_id)
        if instance.is_instance
        else ()
    )


def _transform(
    instance: bpy.types.DepsgraphObjectInstance, depsgraph: bpy.types.Depsgraph
) -> np.ndarray:
    if not instance.is_instance:
        return np.eye(4)
    # `instance.object` is a copy that stands where the instance does.
    source = instance.object.original.evaluated_get(depsgraph)
    return np.array(instance.matrix_world) @ np.linalg.inv(np.array(source.matrix_world))


def _pose(
    armature: bpy.types.Object,
    transform: np.ndarray,
    mapping: Mapping[str, str],
    crown: np.ndarray | None,
) -> tuple[Skeleton, dict[str, np.ndarray]]:
    """The rig's joints, and each of its bones' matrices to the world, of an evaluated armature."""
    names = [name for name in set(mapping.values()) if name in armature.pose.bones]
    rest = {name: armature.data.bones[name] for name in names}
    bones = {name: _bone(bone) for name, bone in rest.items()}
    to_world = transform @ np.array(armature.matrix_world)
    return skeleton.skeleton_of(mapping, bones, crown), {
        name: to_world @ np.array(armature.pose.bones[name].matrix) for name in names
    }


def _bone(bone: bpy.types.Bone) -> Bone:
    ends = np.array([child.head_local for child in bone.children]).reshape(-1, 3)
    return Bone(np.array(bone.matrix_local), bone.length, ends)
