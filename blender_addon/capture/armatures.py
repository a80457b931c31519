"""The characters of a scene: where the joints of their armatures are on screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np

from ..geometry import bone_names, skeleton
from ..geometry.projection import View, depths, is_inside, places
from ..geometry.rasteriser import samples_at
from ..geometry.skeleton import Bone, Skeleton
from ..geometry.surfaces import Body, Snapshot, look
from .meshes import is_left_out, key_of

# on an armature object: joint -> bone, over what is detected; "" leaves the joint out
PROPERTY = "t2vz_joints"
FACE_COS = -0.35  # what looks more than 110° away from the camera is on the far side of the head
NOBODY = "No armature is recognised as a person: select it and choose the bones of its joints."
Character = tuple[
    bpy.types.Object, np.ndarray
]  # armature, (4, 4): the identity, or where its collection is instanced
BINDS = {
    "ARMATURE": "object",
    "SURFACE_DEFORM": "target",
    "MESH_DEFORM": "object",
}  # modifiers: to what they bind
TOUCH = 0.25  # of the shoulders' width: clothes and walls that near to a joint do not hide it


def joints(
    depsgraph: bpy.types.Depsgraph,
    snapshot: Snapshot,
    note: Callable[[str], None] = print,
    has_hands: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Everybody on screen in the evaluated scene, the farthest first.

    `note` is told if nobody at all is known, of who is left out, and of presets that cannot be
    read. `snapshot` holds what the camera sees, and so what hides a joint and who has a body.

    Returns:
        COCO-18 joints (people, 18, 3) and hands (people, 2, 21, 3), float32: x_px, y_px, 1 seen or
        0 not. Not seen is what lies behind the camera, off the screen, behind another object or, of
        the face, on the far side of the head; and all hands without `has_hands`.
    """
    for fault in preset_faults():
        note(fault)
    view, people, placed = snapshot.view, [], []
    for armature, transform in _cast(depsgraph, snapshot, note):
        pose = _pose(armature.evaluated_get(depsgraph), transform, mapping_of(armature))
        points, looks = skeleton.posed(*pose)
        width = float(np.nan_to_num(np.linalg.norm(points[2] - points[5])))
        hands = skeleton.hands(*pose).reshape(42, 3) if has_hands else np.full((42, 3), np.nan)
        people.append(_on_screen(view, armature, points, looks, width))
        placed.append(_on_screen(view, armature, hands, np.zeros((42, 3)), width))
    shown = _unhidden(snapshot, people + placed)
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


def mover(thing: bpy.types.Object) -> bpy.types.Object | None:
    """The armature that moves an object: by a modifier, as a parent, or by way of what the object
    is bound to."""
    waiting, known = _carriers(thing), {thing}
    for item in waiting:
        if item is None or item in known:
            continue
        if item.type == "ARMATURE":
            return item
        known.add(item)
        waiting += _carriers(item)
    return None


def _carriers(thing: bpy.types.Object) -> list[bpy.types.Object | None]:
    bound = [getattr(each, BINDS[each.type]) for each in thing.modifiers if each.type in BINDS]
    return [*bound, thing.parent]


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
    armature: bpy.types.Object, transform: np.ndarray, mapping: Mapping[str, str]
) -> tuple[Skeleton, dict[str, np.ndarray]]:
    """The rig's joints, and each of its bones' matrices to the world, of an evaluated armature."""
    names = [name for name in set(mapping.values()) if name in armature.pose.bones]
    rest = {name: armature.data.bones[name] for name in names}
    bones = {name: Bone(np.array(bone.matrix_local), bone.length) for name, bone in rest.items()}
    to_world = transform @ np.array(armature.matrix_world)
    return skeleton.skeleton_of(mapping, bones), {
        name: to_world @ np.array(armature.pose.bones[name].matrix) for name in names
    }


def _owners(snapshot: Snapshot) -> list[bpy.types.Object | None]:
    """Of each body, the armature that moves it."""
    things = {thing.name_full: thing for thing in bpy.data.objects}
    movers = {name: mover(thing) for name, thing in things.items()}
    return [movers.get(body.key[0]) for body in snapshot.bodies]


@dataclass(frozen=True)
class _Points:
    """Points of one character on screen.

    armature: whose they are; seen: (n, 3) x_px, y_px, 1, or 0 where the camera looks elsewhere or
    sees the back of a face; depth: (n,) planar; reach: (n,) from where the camera's rays start;
    touch: what is so near to a point does not hide it
    """

    armature: bpy.types.Object
    seen: np.ndarray
    depth: np.ndarray
    reach: np.ndarray
    touch: float


def _on_screen(
    view: View, armature: bpy.types.Object, points: np.ndarray, looks: np.ndarray, width: float
) -> _Points:
    """Joints on screen, hidden behind other things or not.

    Args:
        points: (n, 3) in the world, NaN where there is none.
        looks: (n, 3) whither each looks, 0 where it does not matter.
        width: of the shoulders.
    """
    known = np.isfinite(points).all(1)
    points = np.where(known[:, None], points, 0.0)
    depth, where = depths(view, points), places(view, points)
    seen = known & (depth > view.near) & (depth < view.far) & is_inside(view, where)
    eyes = _eyes(view, points, depth)
    reach = np.linalg.norm(eyes - points, axis=1)
    towards = (eyes - points) / reach[:, None].clip(1e-12)
    seen &= ~looks.any(1) | ((looks * towards).sum(1) >= FACE_COS)
    seen_at = np.column_stack([where, seen]) * seen[:, None]
    return _Points(armature, seen_at, depth, reach, TOUCH * width)


def _eyes(view: View, points: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(n, 3): where the rays to the points start: the camera, or, orthographic, its plane."""
    turn, shift = view.to_camera[:, :3], view.to_camera[:, 3]
    if view.is_orthographic:
        return points + depth[:, None] * turn[2]
    return np.broadcast_to(-turn.T @ shift, points.shape)


def _unhidden(snapshot: Snapshot, cast: list[_Points]) -> list[np.ndarray]:
    """Each character's points (n, 3) without those behind what is not its own, by the very surfaces
    that all passes see; not nearer than `touch` to them."""
    if not cast:
        return []
    view, owners = snapshot.view, _owners(snapshot)
    where = np.concatenate([each.seen[:, :2] for each in cast])
    where[~np.concatenate([each.seen[:, 2] > 0 for each in cast])] = -1  # outside: hits nothing
    samples = samples_at(where, view.width_px, view.height_px)
    nearest = {
        owner: look(replace(snapshot, bodies=bodies), samples).depth
        for owner, bodies in _grouped(snapshot.bodies, owners).items()
    }
    starts = np.cumsum([0, *(len(each.seen) for each in cast)])
    shown = []
    for each, start, end in zip(cast, starts, starts[1:]):
        others = [depth[start:end] for owner, depth in nearest.items() if owner != each.armature]
        before = np.min(others, axis=0) if others else np.full(end - start, np.inf)
        gap = (each.depth - before) * each.reach / each.depth.clip(1e-12)
        shown.append(each.seen * ~(gap > each.touch)[:, None])
    return shown


def _grouped(bodies: tuple[Body, ...], owners: list[bpy.types.Object | None]) -> dict:
    """Owner -> its bodies."""
    groups: dict[bpy.types.Object | None, list[Body]] = {}
    for body, owner in zip(bodies, owners):
        groups.setdefault(owner, []).append(body)
    return {owner: tuple(group) for owner, group in groups.items()}
