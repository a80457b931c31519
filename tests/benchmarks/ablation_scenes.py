"""Three shots of the demo world as job folders: a camera pan, an object passing another, an orbit
with occlusion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

from t2vz_core.demo import stage, world
from t2vz_core.demo.captions import Description, Thing, plain_caption
from t2vz_core.wire.job import Frame, Passes

Along = Tensor  # (frames,) 0..1, how far through the shot


@dataclass(frozen=True)
class Shot:
    """What stands there, how it is looked at, and how scene and camera go from 0 to 1."""

    description: Description
    layout: int  # chooses places and lens
    go: Callable[[world.Scene, world.Camera, Along], tuple[world.Scene, world.Camera]]


def _pan(
    scene: world.Scene, camera: world.Camera, along: Along
) -> tuple[world.Scene, world.Camera]:
    """The camera turns to the left by a quarter of the picture: the content moves right."""
    turn = _about_up(along * 0.25 / float(camera.focal[0]))
    return scene, replace(camera, axes=camera.axes @ turn.mT)


def _passing(
    scene: world.Scene, camera: world.Camera, along: Along
) -> tuple[world.Scene, world.Camera]:
    """The first thing passes before the second; the camera stands still."""
    offset = torch.zeros_like(scene.centre)
    right = camera.axes[:, 0] * 1.2 - camera.axes[:, 2] * torch.tensor([1.0, 1.0, 0.0]) * 0.5
    offset[:, 0] = along[:, None] * right
    still = torch.eye(3).expand(*scene.kind.shape, 3, 3)
    return world.move(scene, offset, still), camera


def _orbit(
    scene: world.Scene, camera: world.Camera, along: Along
) -> tuple[world.Scene, world.Camera]:
    """The camera goes 20 degrees around the middle, which it keeps in view."""
    turn = _about_up(along * math.radians(-20))
    return scene, replace(
        camera, eye=(turn @ camera.eye[..., None])[..., 0], axes=camera.axes @ turn.mT
    )


SHOTS = {
    "pan": Shot(Description((Thing("red", "striped", "cube"),), "grass", "blue", "level"), 3, _pan),
    "passing": Shot(
        Description(
            (Thing("orange", "plain", "ball"), Thing("blue", "checkered", "cube")),
            "sand",
            "cloudy",
            "level",
        ),
        13,
        _passing,
    ),
    "orbit": Shot(
        Description(
            (Thing("green", "plain", "cone"), Thing("purple", "striped", "cylinder")),
            "snow",
            "blue",
            "level",
        ),
        17,
        _orbit,
    ),
}


def prompt(name: str) -> str:
    """What a shot shows, in words."""
    return plain_caption(SHOTS[name].description)


def write_passes(name: str, folder: Path, count: int, size: int) -> tuple[Frame, ...]:
    """Renders a shot of `count` frames of size² pixels into `folder`/passes and returns its
    frames."""
    shot = SHOTS[name]
    scene, camera, _ = stage.build([shot.description], Random(shot.layout))
    rows = torch.zeros(count, dtype=torch.long)
    scene, camera = shot.go(
        world.pick(scene, rows), world.pick(camera, rows), torch.linspace(0, 1, count)
    )
    view = world.render(scene, camera, size)
    place, visible = world.backward_map(
        view, scene, camera, world.pick(scene, rows), world.pick(camera, rows)
    )
    picture, _ = world.photograph(scene, camera, size)
    arrays = {
        "image": (picture.movedim(1, -1) * 255).round().to(torch.uint8),
        "depth": view.depth,
        "ids": (view.part + 1).to(torch.int32),
        "mask": (view.part > world.GROUND).to(torch.uint8) * 255,
        "map": place,
        "visible": visible.to(torch.uint8) * 255,
        "disturbed": _disturbed(view, scene).to(torch.uint8) * 255,
    }
    shift = (torch.stack([place[0]] * count) - place).flatten(1, 2).median(1).values
    return tuple(
        _write(folder, i + 1, shift[i], {k: v[i].numpy() for k, v in arrays.items()})
        for i in range(count)
    )


def _disturbed(view: world.View, scene: world.Scene) -> Tensor:
    """(frames, h, w) bool, as the pass of this name: what stands still within the length of a thing
    that has moved."""
    away = (scene.centre - scene.centre[:1]).norm(dim=-1) > 0  # (frames, k), since the anchor
    places = torch.stack(
        [scene.centre, scene.centre[:1].expand_as(scene.centre)], 2
    )  # (frames, k, now and then, 3)
    points = view.point[:, :, :, None, None]
    near = (points - places[:, None, None]).norm(dim=-1).amin(-1) < 3 * scene.size.amax(-1)[
        :, None, None
    ]
    is_moved = torch.cat(
        [torch.zeros(len(away), 2, dtype=torch.bool), away], 1
    )  # of sky, ground and the things
    stands = ~is_moved.gather(1, (view.part + 1).flatten(1)).view_as(view.part) & (
        view.part != world.SKY
    )
    return (near & away[:, None, None]).any(-1) & stands


def _write(folder: Path, number: int, shift: Tensor, arrays: dict[str, np.ndarray]) -> Frame:
    paths = {name: f"passes/{name}/{number:04d}.npy" for name in arrays}
    for name, array in arrays.items():
        (folder / paths[name]).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / paths[name], array)
    return Frame(number, shift_px=(float(shift[0]), float(shift[1])), passes=Passes(**paths))


def _about_up(angles: Tensor) -> Tensor:
    """Rotations (n, 3, 3) about the world's z."""
    turn = torch.zeros(len(angles), 3, 3)
    turn[:, 0, 0] = turn[:, 1, 1] = angles.cos()
    turn[:, 1, 0], turn[:, 0, 1], turn[:, 2, 2] = angles.sin(), -angles.sin(), 1
    return turn
