"""Puts what a description names in front of a camera."""

import math
from collections.abc import Sequence
from random import Random

import numpy as np
import torch

from . import solids
from .captions import COLOURS, FINISHES, GROUNDS, SKIES, Description, Thing
from .world import Camera, Scene

KIND = {
    "ball": solids.BALL,
    "cube": solids.CUBE,
    "cylinder": solids.CYLINDER,
    "cone": solids.CONE,
    "torus": solids.TORUS,
}
PLACES = 13
UP = np.array([0.0, 0.0, 1.0])

# COCO-18: nose, neck, right arm, left arm, right leg, left leg, eyes, ears; R and L are the
# person's own
BONES = (
    (1, 0),
    (2, 3),
    (3, 4),
    (5, 6),
    (6, 7),
    (8, 9),
    (9, 10),
    (11, 12),
    (12, 13),
    (2, 5),
    (8, 11),
)
BONE_RADII = (0.09, 0.11, 0.09, 0.11, 0.09, 0.13, 0.11, 0.13, 0.11, 0.13, 0.15)
FACE = (
    (0, -0.16, 0.02),
    (-0.06, -0.15, 0.09),
    (0.06, -0.15, 0.09),
    (-0.16, 0, 0.05),
    (0.16, 0, 0.05),
)


def build(descriptions: Sequence[Description], rng: Random) -> tuple[Scene, Camera, torch.Tensor]:
    """b scenes, their cameras, and world joints (b, 18, 3), NaN where there is no mannequin. Same
    rng, same scenes."""
    rows, cameras, joints = zip(
        *(_one(description, rng) for description in descriptions), strict=True
    )
    columns = [torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)]
    scene = Scene(*(column.float() if column.is_floating_point() else column for column in columns))
    lens = [torch.from_numpy(np.stack(column)).float() for column in zip(*cameras, strict=True)]
    return scene, Camera(*lens), torch.from_numpy(np.stack(joints)).float()


def _one(description: Description, rng: Random) -> tuple:
    yaw = rng.uniform(0, 2 * math.pi)
    forward, right = (
        np.array([math.cos(yaw), math.sin(yaw), 0]),
        np.array([math.sin(yaw), -math.cos(yaw), 0]),
    )
    parts, joints = [], np.full((18, 3), np.nan)
    spread = rng.uniform(0.95, 1.2) if len(description.things) == 2 else 0.0
    slant = rng.uniform(-0.8, 0.8)
    for side, thing in zip((-1, 1), description.things, strict=False):
        at = side * spread * (right + slant * forward) if spread else np.zeros(3)
        if thing.shape == "mannequin":
            joints = _body(thing.pose, rng, yaw)
            parts += _flesh(joints, thing)
        else:
            parts.append(_solid(thing, at, rng))
    camera = _camera(description, rng, forward, right, reach=_reach(description))
    return _columns(parts, description, _sun(description.sky, yaw, rng)), camera, joints


def _reach(description: Description) -> tuple[float, float]:
    """Rough half extent of what is to be seen, and the height of its middle."""
    if description.things[0].shape == "mannequin":
        return 1.1, 0.98
    return (1.75, 0.75) if len(description.things) == 2 else (1.15, 0.85)


def _solid(thing: Thing, at: np.ndarray, rng: Random) -> tuple:
    scale = rng.uniform(0.85, 1.1)
    turn = _about(UP, rng.uniform(0, 2 * math.pi))
    aside = turn @ _about(np.array([1.0, 0, 0]), math.pi / 2)
    lift = rng.uniform(0.15, 0.9) if rng.random() < 0.12 else 0.0
    size, height = {
        "ball": ((0.95, 0, 0), 0.95),
        "cube": ((0.75, 0.75, 0), 0.75),
        "cylinder": ((0.62, rng.uniform(0.7, 1.0), 0), None),
        "cone": ((0.9, rng.uniform(0.8, 1.05), 0), None),
        "torus": ((0.74, 0.28, 0.28), 0.28),
    }[thing.shape]
    height = size[1] if height is None else height
    lies = {"cylinder": 0.25, "torus": 0.65}.get(thing.shape, 0.0)
    if rng.random() < lies:
        turn, height = aside, size[0] + size[2]
    if lift and rng.random() < 0.5:
        turn, lift = turn @ _about(_random_axis(rng), rng.uniform(0.2, 1.2)), lift + 0.4
    centre = at + UP * (height * scale + lift)
    return KIND[thing.shape], centre, turn, np.array(size) * scale, thing


def _body(pose: str, rng: Random, yaw: float) -> np.ndarray:
    """Joints (18, 3) of a figure 1.9 high at the origin, feet on the ground, facing somewhere near
    the camera."""
    wave = lambda amount: rng.uniform(-amount, amount)  # noqa: E731
    side = rng.choice((-1, 1))
    # each: swing forward, spread outward, bend of the lower half; right first
    arms, legs = (
        [[wave(0.2), 0.2 + wave(0.1), 0.2], [wave(0.2), 0.2 + wave(0.1), 0.2]],
        [[0, 0.08, 0], [0, 0.08, 0]],
    )
    if pose in ("walking", "running"):
        stride = (0.5 if pose == "walking" else 0.95) * side * rng.uniform(0.7, 1.1)
        bend = 0.35 if pose == "walking" else 1.3
        arms = [[-stride, 0.15, bend], [stride, 0.15, bend]]
        legs = [[stride, 0.04, -0.25 - max(0, -stride)], [-stride, 0.04, -0.25 - max(0, stride)]]
    elif pose == "waving":
        arms[side > 0] = [0.2, 2.2 + wave(0.3), 0.5 + wave(0.4)]
    elif pose == "cheering":
        arms = [[wave(0.2), 2.5 + wave(0.3), wave(0.3)] for _ in arms]
    elif pose == "dancing":
        arms = [[wave(0.9), 1.2 + wave(0.9), wave(1.2)] for _ in arms]
        legs = [[wave(0.6), 0.35 + wave(0.3), -rng.uniform(0, 0.9)] for _ in legs]
    body = np.zeros((18, 3))
    body[1] = (0, 0, 1.5)
    for outward, (shoulder, hip), arm, leg in zip(
        (-1, 1), ((2, 8), (5, 11)), arms, legs, strict=True
    ):
        body[shoulder], body[hip] = (0.27 * outward, 0, 1.48), (0.14 * outward, 0, 0.92)
        for root, length, (swing, spread, bend) in ((shoulder, 0.34, arm), (hip, 0.44, leg)):
            body[root + 1] = body[root] + length * _down(swing, spread * outward)
            body[root + 2] = body[root + 1] + length * _down(swing + bend, spread * outward)
    body[[0, 14, 15, 16, 17]] = np.array([0, 0, 1.76]) + np.array(FACE)
    body[:, 2] += 0.1 - body[:, 2].min()
    facing = (
        yaw - math.pi / 2 + rng.choice((0, rng.uniform(-1.3, 1.3), rng.uniform(-math.pi, math.pi)))
    )
    return body @ _about(UP, facing).T


def _flesh(joints: np.ndarray, thing: Thing) -> list[tuple]:
    """A capsule for each bone, and a ball for the head."""
    hips, neck = (joints[8] + joints[11]) / 2, joints[1]
    spans = [(joints[a], joints[b], r) for (a, b), r in zip(BONES, BONE_RADII, strict=True)]
    head = (joints[16] + joints[17]) / 2
    spans[0] = (neck, head, 0.08)
    spans.append((hips, neck, 0.19))
    parts = [_capsule(a, b, radius, thing) for a, b, radius in spans]
    return [*parts, (solids.BALL, head, np.eye(3), np.array([0.19, 0, 0]), thing)]


def _capsule(a: np.ndarray, b: np.ndarray, radius: float, thing: Thing) -> tuple:
    length = float(np.linalg.norm(b - a))
    z = (b - a) / length
    x = np.cross(np.array([0.31, 0.95, 0.05]), z)
    x /= np.linalg.norm(x)
    return (
        solids.CAPSULE,
        (a + b) / 2,
        np.stack([x, np.cross(z, x), z], 1),
        np.array([radius, length / 2, 0]),
        thing,
    )


def _camera(
    description: Description, rng: Random, forward, right, reach: tuple[float, float]
) -> tuple:
    extent, middle = reach
    view = description.view
    rise = {
        "level": (0.08, 0.38),
        "close": (0.08, 0.45),
        "above": (0.7, 1.1),
        "low": (-0.12, 0.02),
    }[view]
    fill = rng.uniform(0.85, 1.1) if view == "close" else rng.uniform(0.5, 0.78)
    angle, focal = rng.uniform(*rise), rng.uniform(0.85, 1.5)
    distance = extent * 2 * focal / fill
    aim = UP * middle + (right * rng.uniform(-0.3, 0.3) + UP * rng.uniform(-0.12, 0.3)) * extent
    if view == "low":
        aim = aim + UP * 0.35 * extent
    eye = aim - distance * (math.cos(angle) * forward - math.sin(angle) * UP)
    eye[2] = max(eye[2], 0.25)
    ahead = (aim - eye) / np.linalg.norm(aim - eye)
    side = np.cross(ahead, UP) / np.linalg.norm(np.cross(ahead, UP))
    return eye, np.stack([side, np.cross(ahead, side), ahead]), np.array(focal)


def _sun(sky: str, yaw: float, rng: Random) -> np.ndarray:
    azimuth = yaw + rng.choice((-1, 1)) * rng.uniform(0.5, 2.5)
    height = rng.uniform(0.25, 0.45) if sky == "sunset" else rng.uniform(0.6, 1.1)
    return np.array(
        [
            math.cos(azimuth) * math.cos(height),
            math.sin(azimuth) * math.cos(height),
            math.sin(height),
        ]
    )


def _columns(parts: list[tuple], description: Description, sun: np.ndarray) -> tuple:
    """One scene as the fields of Scene, padded to PLACES solids."""
    empty = (-1, np.zeros(3), np.eye(3), np.zeros(3), None)
    kinds, centres, turns, sizes, things = zip(
        *parts, *[empty] * (PLACES - len(parts)), strict=True
    )
    colours = [COLOURS[thing.colour] if thing else (0.0, 0.0, 0.0) for thing in things]
    finishes = [list(FINISHES).index(thing.finish) if thing else 0 for thing in things]
    ground, sky = list(GROUNDS).index(description.ground), list(SKIES).index(description.sky)
    stacked = (
        np.stack(centres),
        np.stack(turns),
        np.stack(sizes),
        np.array(colours),
        np.array(finishes),
    )
    return np.array(kinds), *stacked, np.array(ground), np.array(sky), sun


def _about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix about a unit axis (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def _down(swing: float, spread: float) -> np.ndarray:
    """A limb hanging down, swung forward (to -y) and spread to +x, in radians."""
    swung = np.array([0, -math.sin(swing), -math.cos(swing)])
    return _about(np.array([0, 1.0, 0]), -spread) @ swung


def _random_axis(rng: Random) -> np.ndarray:
    axis = np.array([rng.gauss(0, 1) for _ in range(3)])
    return axis / np.linalg.norm(axis)
