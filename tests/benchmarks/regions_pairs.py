"""Words for each object against one prompt for all: how often the right colour is on the right one.

    python -m tests.benchmarks.regions_pairs OUT [--count 100] [--passing] [--text]

Pairs of plain solids of the demo world in two colours, told by one prompt ("a red ball and a blue
cube on grass …"), and by the same prompt with "a red ball" and "a blue cube" on their own objects.
The judge (demo/evaluate/judge.py) names the mean colour of each object's pixels. `--passing` lets
the first pass before the second, three frames; `--text` has no ControlNet.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from t2vz_core.demo.captions import COLOURS, Description, Thing, plain_caption
from t2vz_core.demo.evaluate.judge import colour_of
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.generate import generate
from t2vz_core.models.networks import Networks, load
from t2vz_core.wire.job import Control, JobSpec, Model, Motion, Prompt, Region, Sampling, Shot
from t2vz_core.wire.presets import FAST, PRESETS

from . import ablation_scenes as scenes

SIDE = 128
LEAST_PX = 60  # of an object in sight, to be judged
SHAPES = ("ball", "cube", "cylinder", "cone")
WAYS = ("one prompt", "words for each")


def pair(seed: int) -> Description:
    """Two plain solids of two colours by day."""
    rng = Random(seed)
    colours, shapes = rng.sample(list(COLOURS), 2), rng.sample(SHAPES, 2)
    things = tuple(Thing(c, "plain", s) for c, s in zip(colours, shapes))
    ground, sky = rng.choice(("grass", "sand", "asphalt")), rng.choice(("blue", "cloudy"))
    return Description(things, ground, sky, "level")


def job(folder: Path, seed: int, frames: int, has_control: bool) -> JobSpec:
    """The pair's passes on disk, and the job of one prompt."""
    description = pair(seed)
    scenes.SHOTS["pair"] = scenes.Shot(description, seed, scenes.SHOTS["passing"].go)
    made = scenes.write_passes("pair", folder, frames, SIDE)
    return JobSpec(
        prompt=Prompt(plain_caption(description)),
        shot=Shot(SIDE, SIDE),
        sampling=Sampling(seed=seed, **PRESETS[FAST]),
        motion=Motion("map" if frames > 1 else "none"),
        controls=(Control("depth"),) * has_control,
        frames=tuple(replace(frame, is_anchor=i == 0) for i, frame in enumerate(made)),
    )


def with_words(spec: JobSpec, description: Description) -> JobSpec:
    """The same with each object's own words; solids count from 2 in the ids passes."""
    regions = (
        Region((2 + i,), f"a {it.colour} {it.shape}") for i, it in enumerate(description.things)
    )
    return replace(spec, regions=tuple(regions))


def right(picture: np.ndarray, ids: np.ndarray, description: Description) -> list[bool]:
    """For each object in sight: whether its colour is the one that was asked for."""
    pixels = torch.from_numpy(picture).movedim(-1, 0).float() / 255
    seen = [torch.from_numpy(ids == 2 + i) for i in range(2)]
    return [
        colour_of(pixels[:, mask], description.sky) == thing.colour
        for mask, thing in zip(seen, description.things)
        if mask.sum() >= LEAST_PX
    ]


def measure(networks: Networks, folder: Path, seed: int, frames: int, has_control: bool) -> Any:
    """Right or not, by way, frame and object; of the renders too, which says how good the judge
    is."""
    spec, description, source = job(folder, seed, frames, has_control), pair(seed), Source(folder)
    truth = [
        right(source.read(f, "image"), source.read(f, "ids"), description) for f in spec.frames
    ]
    found = {"renders": truth}
    for way, asked in zip(WAYS, (spec, with_words(spec, description))):
        numbers = [frame.number for frame in asked.frames]
        pictures = dict(generate(asked, source, networks, numbers, _Silent()))
        found[way] = [
            right(pictures[frame.number], source.read(frame, "ids"), description)
            for frame in asked.frames
        ]
    return found


class _Silent:
    def progress(self, *_: object) -> None: ...

    def note(self, text: str, rank: str = "artist") -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--passing", action="store_true")
    parser.add_argument("--text", action="store_true")
    asked = parser.parse_args()
    frames, has_control = 3 if asked.passing else 1, not asked.text
    networks = load(Model(), [Control("depth")] * has_control)
    rows = []
    for seed in range(7000, 7000 + asked.count):
        rows.append(measure(networks, asked.out / str(seed), seed, frames, has_control))
        for way in ("renders", *WAYS):
            pairs = [all(all(frame) for frame in row[way]) for row in rows]
            objects = [it for row in rows for frame in row[way] for it in frame]
            print(
                f"{way}: {np.mean(pairs):.3f} of pairs, {np.mean(objects):.3f} of objects;", end=" "
            )
        print(len(rows), flush=True)
    asked.out.joinpath("pairs.json").write_text(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()
