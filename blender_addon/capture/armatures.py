"""The characters of a scene: where the joints of their armatures are on screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from ..geometry import bone_names, skeleton
from ..geometry.projection import View, depths, is_inside, places
from ..geometry.skeleton import Bone, Skeleton
from .meshes import is_left_out

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
MOST_LAYERS = 64  # surfaces of the own body that a ray to a joint goes through


def joints(
    depsgraph: bpy.types.Depsgraph,
    view: View,
    note: Callable[[str], None] = print,
    has_hands: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Everybody on screen in the evaluated scene, the farthest first.

    `note` is told if nobody at all is known, of who is left out, and of presets that cannot be
    read.

    Returns:
        COCO-18 joints (people, 18, 3) and hands (people, 2, 21, 3), float32: x_px, y_px, 1 seen or
        0 not. Not seen is what lies behind the camera, off the screen, behind another object or, of
        the face, on the far side of the head; and all hands without `has_hands`.
    """
    for fault in preset_faults():
        note(fault)
    people = []
    for armature, transform in _cast(depsgraph, note):
        pose = _pose(armature.evaluated_get(depsgraph), transform, mapping_of(armature))
        points, looks = skeleton.posed(*pose)
        width = float(np.nan_to_num(np.linalg.norm(points[2] - points[5])))
        person = _on_screen(depsgraph, view, armature, points, looks, width)
        if person[:, 2].any():
            hands = skeleton.hands(*pose).reshape(42, 3) if has_hands else np.full((42, 3), np.nan)
            hands = _on_screen(depsgraph, view, armature, hands, np.zeros((42, 3)), width)
            people.append((depths(view, points[person[:, 2] > 0]).mean(), person, hands))
    people.sort(key=lambda each: -each[0])
    return (
        np.float32([person for _, person, _ in people]).reshape(-1, 18, 3),
        np.float32([hands for _, _, hands in people]).reshape(-1, 2, 21, 3),
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


def _cast(depsgraph: bpy.types.Depsgraph, note: Callable[[str], None]) -> list[Character]:
    """Who is known for a person. Bare armatures are, unless others have bodies: then they are
    metarigs and mocap."""
    dressed, bare = (
        [each for each in some if mapping_of(each[0])] for some in _characters(depsgraph)
    )
    for armature, _ in bare if dressed else ():
        note(f"{armature.name} moves no body: it is not drawn as a person beside those that do.")
    if not dressed and not bare:
        note(NOBODY)
    return dressed or bare


def _characters(depsgraph: bpy.types.Depsgraph) -> tuple[list[Character], list[Character]]:
    """The armatures shown: those with a body that they move, and those that move none."""
    dressed, bare = {}, {}
    for instance in depsgraph.object_instances:
        thing = instance.object
        armature = thing if thing.type == "ARMATURE" else mover(thing)
        if armature is None or is_left_out(instance):
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


def _on_screen(
    depsgraph: bpy.types.Depsgraph,
    view: View,
    armature: bpy.types.Object,
    points: np.ndarray,
    looks: np.ndarray,
    width: float,
) -> np.ndarray:
    """Joints (n, 3) on screen (n, 3): x_px, y_px, 1, or 0 where the camera does not see them.

    Args:
        points: (n, 3) in the world, NaN where there is none.
        looks: (n, 3) whither each looks, 0 where it does not matter.
        width: of the shoulders.
    """
    known = np.isfinite(points).all(1)
    points = np.where(known[:, None], points, 0.0)
    depth = depths(view, points)
    seen = known & (depth > view.near) & (depth < view.far) & is_inside(view, places(view, points))
    eyes = _eyes(view, points, depth)
    towards = (eyes - points) / np.linalg.norm(eyes - points, axis=1, keepdims=True).clip(1e-12)
    seen &= ~looks.any(1) | ((looks * towards).sum(1) >= FACE_COS)
    for joint in np.flatnonzero(seen):
        start = eyes[joint] + (points[joint] - eyes[joint]) * (view.near / depth[joint])
        seen[joint] = not _is_hidden(depsgraph, start, points[joint], armature, TOUCH * width)
    return np.column_stack([places(view, points), seen]) * seen[:, None]


def _eyes(view: View, points: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(n, 3): where the rays to the points start: the camera, or, orthographic, its plane."""
    turn, shift = view.to_camera[:, :3], view.to_camera[:, 3]
    if view.is_orthographic:
        return points + depth[:, None] * turn[2]
    return np.broadcast_to(-turn.T @ shift, points.shape)


def _is_hidden(
    depsgraph: bpy.types.Depsgraph,
    start: np.ndarray,
    end: np.ndarray,
    armature: bpy.types.Object,
    touch: float,
) -> bool:
    """Whether anything but the character itself stands between two points, not nearer than `touch`
    to the end."""
    start, end = Vector(start), Vector(end)
    step = (end - start).length * 1e-5
    for _ in range(MOST_LAYERS):
        way = end - start
        if way.length <= touch:
            return False
        is_hit, place, _, _, thing, _ = depsgraph.scene.ray_cast(
            depsgraph, start, way.normalized(), distance=way.length - touch
        )
        if not is_hit:
            return False
        moved_by = mover(thing)
        if not thing.hide_render and (moved_by is None or moved_by.original != armature):
            return True
        start = place + way.normalized() * step
    return False
