"""Normals for a ControlNet to follow, in camera space as the add-on paints them: red left, green
up, blue front."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

from .. import stage, world
from ..captions import Description
from . import dataset
from .lead import Control
from .loop import shared_out

TRIED = 8
SHARDS = 1  # of the pictures have their normals kept, if there are as many


def control(out: Path, size: int, share: float) -> Control:
    """Normals of the first pictures."""
    kept = out / f"normals-{size}"
    shards = [int(path.stem) for path in dataset.shard_paths(out / f"scenes-{size}")[:SHARDS]]
    files = [kept / f"{shard:04d}.npy" for shard in shards]

    def make(file: Path) -> None:
        shard = int(file.stem[-4:])
        np.save(file, _of(dataset.describe(shard), shard, size).numpy())

    shared_out(files, make)
    normals = torch.cat([torch.from_numpy(np.load(file)) for file in files])

    def show(rows: Tensor, mirrored: bool) -> Tensor:
        pictures = normals[rows].float() / 255
        return mirror(pictures) if mirrored else pictures

    told = dataset.describe(dataset.HELD_OUT, TRIED)
    return Control(
        "normal", share, torch.arange(len(normals)), show, (told, _of(told, 1, size) / 255)
    )


def _of(descriptions: Sequence[Description], seed: int, size: int) -> Tensor:
    """Normals of what dataset.photographs shows."""
    scene, camera, _ = stage.build(descriptions, Random(seed))
    return painted(scene, camera, size)


def painted(scene: world.Scene, camera: world.Camera, size: int, batch: int = 2) -> Tensor:
    """uint8 normals (n, 3, size, size) of the scenes; the sky faces us."""
    pictures = []
    for start in range(0, len(camera.eye), batch):
        some = world.pick(camera, slice(start, start + batch))
        view = world.render(world.pick(scene, slice(start, start + batch)), some, size)
        seen = -view.normal @ some.axes.mT[:, None]  # to the left, up, towards us
        seen[view.part == world.SKY] = seen.new_tensor([0, 0, 1])
        pictures.append((127.5 * (1 + seen)).round().byte().movedim(-1, 1))
    return torch.cat(pictures)


def mirror(pictures: Tensor) -> Tensor:
    """Normals (n, 3, h, w) in 0..1 as the mirrored scene has them: left and right change places in
    red as well."""
    flipped = pictures.flip(-1)
    return torch.cat([1 - flipped[:, :1], flipped[:, 1:]], 1)
