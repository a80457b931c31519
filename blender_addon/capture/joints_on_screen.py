"""Points of characters on screen: where the camera sees them, and behind what it does not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import bpy
import numpy as np

from ..geometry.projection import View, depths, is_inside, places
from ..geometry.rasteriser import samples_at
from ..geometry.surfaces import Body, Snapshot, look

FACE_COS = -0.35  # what looks more than 110° away from the camera is on the far side of the head
TOUCH = 0.25  # of the shoulders' width: clothes and walls that near to a joint do not hide it
BINDS = {
    "ARMATURE": "object",
    "SURFACE_DEFORM": "target",
    "MESH_DEFORM": "object",
}  # modifiers: to what they bind


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


def _owners(snapshot: Snapshot) -> list[bpy.types.Object | None]:
    """Of each body, the armature that moves it."""
    things = {thing.name_full: thing for thing in bpy.data.objects}
    movers = {name: mover(thing) for name, thing in things.items()}
    return [movers.get(body.key[0]) for body in snapshot.bodies]


@dataclass(frozen=True)
class Points:
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


def on_screen(
    view: View, armature: bpy.types.Object, points: np.ndarray, looks: np.ndarray, width: float
) -> Points:
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
    return Points(armature, seen_at, depth, reach, TOUCH * width)


def _eyes(view: View, points: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(n, 3): where the rays to the points start: the camera, or, orthographic, its plane."""
    turn, shift = view.to_camera[:, :3], view.to_camera[:, 3]
    if view.is_orthographic:
        return points + depth[:, None] * turn[2]
    return np.broadcast_to(-turn.T @ shift, points.shape)


def unhidden(snapshot: Snapshot, cast: list[Points]) -> list[np.ndarray]:
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
