"""How long a run will take on this machine, learned from the last ones."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from statistics import median

from t2vz_core.wire.job import JobSpec
from t2vz_core.wire.parse import WireError, from_json, numeric, to_json, words

KEPT = 40  # runs remembered; the oldest go first
ASKED = 5  # of one model's runs, the last that an estimate listens to
CONTROLNET_COST = 0.4  # of a network step, for each ControlNet
LONG_S = 600.0
MANY_STEPS = 2000  # steps of frames that are called long where nothing is known yet
PASSES_BYTES = 24  # a captured pixel: depth, map, visible, ids, flows' share
PICTURE_BYTES = 3  # a painted pixel, if a PNG saved nothing


@dataclasses.dataclass(frozen=True)
class Past:
    """A run that has ended well."""

    model: str = words("", "its base model")
    work: float = numeric(0.0, 0.0, 1e18, "what `work_of` says of it")
    painting_s: float = numeric(0.0, 0.0, 1e9, "from the first step to the last frame")


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a run will take; `seconds` is None where this model has not run here yet."""

    frames: int
    steps: int
    seconds: float | None
    disk_bytes: int

    @property
    def is_long(self) -> bool:
        """The artist should be asked first."""
        if self.seconds is None:
            return self.frames * self.steps > MANY_STEPS
        return self.seconds > LONG_S


def work_of(spec: JobSpec, frames: int) -> float:
    """Something that grows as the time of painting does: pixels × steps × frames, dearer with
    ControlNets, cheaper where deep layers are kept."""
    pixels = spec.shot.width_px * spec.shot.height_px
    deep = 0.4 + 0.6 / spec.sampling.deep_every
    networks = 1 + CONTROLNET_COST * len(spec.controls)
    return pixels * spec.sampling.steps * frames * networks * deep


def estimate(spec: JobSpec, frames: int, past: list[Past]) -> Estimate:
    """What `frames` frames of this job will take."""
    rates = [run.painting_s / run.work for run in past if run.model == spec.model.base and run.work]
    seconds = median(rates[-ASKED:]) * work_of(spec, frames) if rates else None
    pixels = spec.shot.width_px * spec.shot.height_px
    disk_bytes = frames * pixels * (PASSES_BYTES + PICTURE_BYTES)
    return Estimate(frames, spec.sampling.steps, seconds, disk_bytes)


def read_past(file: Path) -> list[Past]:
    """The runs of a file; none where there is no such file, or another's."""
    try:
        return [from_json(Past, each) for each in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, WireError, TypeError):
        return []


def remember(file: Path, run: Past) -> None:
    """Adds a run to the file.

    Raises:
        OSError: it cannot be written.
    """
    runs = [*read_past(file), run][-KEPT:]
    part = file.with_suffix(".part")
    part.write_text(json.dumps([to_json(each) for each in runs]), encoding="utf-8")
    part.replace(file)
