"""Pictures of the demo world for training, rendered once and kept as shards of 512."""

from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

from .. import stage, world
from ..captions import Description, imagine

SHARD = 512
HELD_OUT = 9000  # shards from here on are never trained on


def describe(shard: int, count: int = SHARD) -> list[Description]:
    """What the pictures of a shard show, mannequins last so that batches are alike."""
    rng = Random(shard)
    return sorted(
        (imagine(rng) for _ in range(count)), key=lambda it: it.things[0].shape == "mannequin"
    )


def photographs(
    descriptions: Sequence[Description], seed: int, size: int, device: str = "cpu", batch: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """uint8 colours (n, 3, size, size), uint8 nearness (n, 1, size, size), joints in pixels (n, 18,
    2)."""
    scene, camera, joints = stage.build(descriptions, Random(seed))
    scene, camera = world.place_on(scene, device), world.place_on(camera, device)
    shots = []
    for start in range(0, len(descriptions), batch):
        rows = slice(start, start + batch)
        colour, nearness = world.photograph(world.pick(scene, rows), world.pick(camera, rows), size)
        nearness = nearness / nearness.amax((1, 2, 3), keepdim=True)
        shots.append([(image * 255).round().byte().cpu() for image in (colour, nearness)])
    colours, nearnesses = (torch.cat(images) for images in zip(*shots, strict=True))
    return colours, nearnesses, camera.project(joints.to(device), size)[0].cpu()


def _write_shard(folder: Path, size: int, device: str, shard: int) -> None:
    path = folder / f"{shard:04d}.npz"
    if path.exists():
        return
    torch.set_num_threads(1)
    shots = photographs(describe(shard), shard, size, device)
    scratch = path.with_suffix(".part.npz")
    np.savez(
        scratch,
        **{
            name: shot.numpy()
            for name, shot in zip(("colour", "nearness", "joints"), shots, strict=True)
        },
    )
    scratch.rename(path)


def write(folder: Path, shards: range, size: int, device: str = "cpu", workers: int = 2) -> None:
    """Renders the shards that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    task = partial(_write_shard, folder, size, device)
    if device != "cpu":
        return [task(shard) for shard in shards] and None
    with get_context("spawn").Pool(workers) as pool:
        pool.map(task, shards, chunksize=1)


def read(folder: Path, name: str, limit: int | None = None) -> Tensor:
    """All rendered shards' `colour`, `nearness` or `joints`, in order."""
    return torch.cat(
        [torch.from_numpy(np.load(path)[name]) for path in shard_paths(folder)[:limit]]
    )


def shard_paths(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.glob("*.npz") if path.stem.isdigit() and int(path.stem) < HELD_OUT
    )


def descriptions(folder: Path, limit: int | None = None) -> list[Description]:
    """What the pictures of `read` show, in the same order."""
    return [it for path in shard_paths(folder)[:limit] for it in describe(int(path.stem))]
