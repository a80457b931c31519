"""Small jobs on tiny networks of random weights, for the tests of the method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from t2vz_core.job_folder.passes import Source
from t2vz_core.method.generate import generate
from t2vz_core.models.networks import Networks, load
from t2vz_core.wire.job import (
    Coherence,
    Control,
    Frame,
    JobSpec,
    Model,
    Motion,
    Passes,
    Prompt,
    Sampling,
    Shot,
)

from .random_networks import write_controlnet, write_model

SIDE = 64
_FOLDERS = TemporaryDirectory(prefix="t2vz-small-")


@dataclass
class Listener:
    """A watch that remembers what it was told."""

    notes: list[str] = field(default_factory=list)
    progress_seen: list[tuple[str, int, int]] = field(default_factory=list)

    def progress(self, stage: str, done: int, total: int) -> None:
        self.progress_seen.append((stage, done, total))

    def note(self, text: str, rank: str = "artist") -> None:
        self.notes.append(text)


@cache
def networks(family: str = "sd1", controls: int = 0) -> Networks:
    """Tiny networks of a family with so many depth ControlNets, made once."""
    folder = Path(_FOLDERS.name) / family
    if not folder.exists():
        write_model(folder, family)
    nets = []
    for n in range(controls):
        control = folder.with_name(f"{family}-control-{n}")
        if not control.exists():
            write_controlnet(control, family, seed=n + 1)
        nets.append(Control("depth", str(control)))
    return load(Model(str(folder)), nets, "cpu")


def job(folder: Path, count: int = 4, **parts: Any) -> JobSpec:
    """A job of `count` frames 1… with every pass the method reads, filled with noise; `parts`
    replace its parts."""
    draw = np.random.default_rng(0)
    frames = []
    for number in range(1, count + 1):
        shift = 3.0 * (number - 1)
        y, x = np.mgrid[:SIDE, :SIDE] + 0.5
        arrays = {
            "image": draw.integers(0, 256, (SIDE, SIDE, 3), np.uint8),
            "depth": draw.uniform(1, 5, (SIDE, SIDE)).astype(np.float32),
            "mask": np.where(np.hypot(x - 32, y - 32) < 16, 255, 0).astype(np.uint8),
            "map": np.stack([x - shift, y], -1).astype(np.float32),
            "visible": np.where(x - shift > 0, 255, 0).astype(np.uint8),
        }
        for name, array in arrays.items():
            (folder / "passes" / name).mkdir(parents=True, exist_ok=True)
            np.save(folder / "passes" / name / f"{number:04d}.npy", array)
        passes = Passes(**{name: f"passes/{name}/{number:04d}.npy" for name in arrays})
        frames.append(Frame(number, number == 1, (shift, 0.0), passes))
    spec = JobSpec(
        prompt=Prompt("red ball", "blue"),
        shot=Shot(SIDE, SIDE),
        sampling=Sampling(steps=5, seed=3),
        motion=Motion("translation"),
        coherence=Coherence(fusion=0.0),
        frames=tuple(frames),
    )
    return replace(spec, **parts)


def make(
    folder: Path, spec: JobSpec, nets: Networks, numbers: list[int] | None = None, chunk: int = 2
) -> dict[int, np.ndarray]:
    """The frames of a small job by number."""
    wanted = [frame.number for frame in spec.frames] if numbers is None else numbers
    return dict(generate(spec, Source(folder), nets, wanted, Listener(), chunk))
