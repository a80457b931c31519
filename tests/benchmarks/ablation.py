"""What each part of the method brings: the same shots and seeds, part after part, measured against
exact motion.

    python -m tests.benchmarks.ablation OUT

Every job's frames are kept in OUT/MODE as a strip, so a run that was stopped goes on, and two runs
of one mode each may share an OUT. The tables go to OUT/ablation.json and .md, and rows of the first
seed to OUT/MODE-SHOT.jpg.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from t2vz_core.evaluation.exact_motion import read_motion
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
    Prompt,
    Sampling,
    Shot,
)

from . import ablation_scenes as scenes
from . import ablation_tables as tables

MODES = ("text", "depth")
PLAIN = Coherence(attention="anchor", anchor_every=0, smoothing=0.0, fusion=0.0)
SMOOTHING, FUSION, ATTENDED = (
    {"smoothing": 0.6},
    {"fusion": 0.7},
    {"anchor_every": 4, "anchor_weight": 1.0},
)
LONG = {**SMOOTHING, "smoothing_until": 0.5}

Row = Callable[[JobSpec], JobSpec]


def _with(motion: Motion, **coherence: Any) -> Row:
    return lambda spec: replace(spec, motion=motion, coherence=replace(PLAIN, **coherence))


def _independent(spec: JobSpec) -> JobSpec:
    frames = tuple(replace(frame, is_anchor=True) for frame in spec.frames)
    return replace(
        spec, frames=frames, coherence=replace(PLAIN, attention="self"), motion=Motion("none")
    )


def _published(**coherence: Any) -> Row:
    """Text2Video-Zero's own motion, set to the shot's even drift, which is the best it can
    express."""

    def row(spec: JobSpec) -> JobSpec:
        unit_px, frames = spec.shot.width_px / 512, len(spec.frames) - 1
        x, y = (-total / frames / unit_px for total in spec.frames[-1].shift_px)
        return _with(Motion("strength", strength=(x, y), is_faithful=True), **coherence)(spec)

    return row


STILL, MAP = Motion("none"), Motion("map")
ROWS: dict[str, Row] = {
    tables.INDEPENDENT: _independent,
    "shared noise": _with(STILL, attention="self"),
    "+ attention to the anchor": _with(STILL),
    tables.T2VZ: _published(),
    "+ background smoothing": _published(**SMOOTHING),
    "exact map": _with(MAP),
    "exact map, hidden tokens": _with(MAP, attention="anchor+hidden"),
    "exact map, key frames attended to": _with(MAP, **ATTENDED),
    "exact map, smoothing in half of the steps": _with(MAP, **LONG),
    "exact map, fusion": _with(MAP, **FUSION),
    "exact map, fusion, shadows held": _with(MAP, **FUSION, fusion_disturbed=1.0),
    "exact map, fusion, anchors every 8": _with(MAP, **FUSION, anchor_every=8),
    "exact map, fusion, anchors every 8, networks at every third fused step": _with(
        MAP, **FUSION, anchor_every=8, network_every=3
    ),
    "exact map, fusion, anchors every 8, networks at every sixth fused step": _with(
        MAP, **FUSION, anchor_every=8, network_every=6
    ),
    "exact map, fusion, anchors every 4": _with(MAP, **FUSION, anchor_every=4),
    "exact map, fusion, anchors every 4 attended to": _with(MAP, **FUSION, **ATTENDED),
    "all of it": _with(MAP, attention="anchor+hidden", **FUSION, **LONG, **ATTENDED),
    "+ background smoothing, variance lost": _published(**SMOOTHING, keeps_variance=False),
    "exact map, smoothing in half, variance lost": _with(MAP, **LONG, keeps_variance=False),
}


@dataclass(frozen=True)
class Plan:
    """What is run, and how cheaply."""

    out: Path
    model: str
    control: str
    steps: int
    guidance: float
    count: int
    size: int

    def spec(self, mode: str, shot: str, seed: int, frames: tuple[Frame, ...]) -> JobSpec:
        """The job all rows of one (mode, shot, seed) start from."""
        return JobSpec(
            prompt=Prompt(scenes.prompt(shot)),
            model=Model(self.model, precision="float32"),
            shot=Shot(self.size, self.size),
            sampling=Sampling(seed=seed, steps=self.steps, guidance=self.guidance),
            controls=(Control("depth", self.control),) if mode == "depth" else (),
            frames=frames,
        )


class _Silent:
    def progress(self, stage: str, done: int, total: int) -> None:
        pass

    def note(self, text: str, rank: str = "artist") -> None:
        pass


def run(
    plan: Plan, modes: list[str], seeds: int, rows: list[str]
) -> dict[str, list[tables.Measured]]:
    """Measures of every mode, shot, seed and row, and of the scene's own render."""
    found: dict[str, list[tables.Measured]] = {mode: [] for mode in modes}
    for seed in range(seeds):
        for shot in scenes.SHOTS:
            folder = plan.out / "scenes" / shot
            frames = _frames(shot, folder, plan)
            source, geometry = Source(folder), read_motion(frames, Source(folder))
            render = [source.read(frame, "image").astype(np.float32) / 255 for frame in frames]
            for mode in modes:
                job = plan.spec(mode, shot, seed, frames)
                strips = {
                    row: _made(plan.out / mode, shot, ROWS[row](job), row, source) for row in rows
                }
                if seed == 0:
                    sheet = tables.sheet({tables.RENDER: render, **strips}, mode)
                    cv2.imwrite(str(plan.out / f"{mode}-{shot}.jpg"), sheet[..., ::-1])
                found[mode] += tables.measured(shot, seed, render, strips, geometry)
        (plan.out / "ablation.json").write_text(
            json.dumps(found, indent=1) + "\n", encoding="utf-8"
        )
        (plan.out / "ablation.md").write_text("\n".join(_report(found)), encoding="utf-8")
    return found


@cache
def _frames(shot: str, folder: Path, plan: Plan) -> tuple[Frame, ...]:
    return scenes.write_passes(shot, folder, plan.count, plan.size)


@cache
def _networks(model: Model, controls: tuple[Control, ...]) -> Networks:
    return load(model, controls)


def _made(folder: Path, shot: str, spec: JobSpec, row: str, source: Source) -> list[np.ndarray]:
    """The frames of one job in 0..1, from its strip where it has been made before."""
    path = folder / f"{shot}-{spec.sampling.seed}-{_slug(row)}.png"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        numbers = [frame.number for frame in spec.frames]
        made = dict(
            generate(spec, source, _networks(spec.model, spec.controls), numbers, _Silent())
        )
        strip = np.hstack([made[number] for number in numbers])
        cv2.imwrite(str(path), strip[..., ::-1])
        print(path, flush=True)
    strip = cv2.imread(str(path))[..., ::-1].astype(np.float32) / 255
    return [np.ascontiguousarray(picture) for picture in np.split(strip, len(spec.frames), 1)]


def _slug(row: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in row).split()).lower()


def _report(found: dict[str, list[tables.Measured]]) -> Iterator[str]:
    for mode, rows in found.items():
        yield f"## {mode.capitalize()} mode\n\n{tables.bar(rows)}\n\n{tables.table(rows)}\n"
        for shot in scenes.SHOTS:
            yield f"### {mode.capitalize()} mode, {shot}\n\n{tables.table(rows, shot)}\n"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--control", default="demo")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=14)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    asked = vars(parser.parse_args())
    modes, seeds, rows = (asked.pop(name) for name in ("modes", "seeds", "rows"))
    torch.set_num_threads(1)
    run(Plan(**asked), modes, seeds, rows)
    print((asked["out"] / "ablation.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
