"""What each part of the method brings: the same shots and seeds, part after part, measured against exact motion.

    python -m tests.benchmarks.ablation OUT --seeds 3

Frames are kept in OUT as strips, so a run that was stopped goes on; the tables go to OUT/ablation.json and .md, and
the first seed of every shot to OUT/MODE-SHOT.png, row under row.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from t2vz_core import evaluate, models
from t2vz_core.generate import generate
from t2vz_core.passes import Source
from t2vz_core.wire.job import Coherence, Control, Frame, JobSpec, Model, Motion, Prompt, Sampling, Shot

from . import ablation_scenes as scenes

MODES = ("text", "depth")
COLUMNS = {
    "warp_long": ("warp error, long ×10⁻³", 1e3),
    "warp_long_foreground": ("— foreground", 1e3),
    "warp_long_background": ("— background", 1e3),
    "warp_short": ("warp error, short ×10⁻³", 1e3),
    "flicker": ("flicker ×10⁻²", 1e2),
    "motion_error_px": ("motion error px", 1),
    "structure": ("structure", 1),
    "sharpness": ("sharpness ×10⁻³", 1e3),
    "colour": ("colour ΔE", 1),
}

PLAIN = Coherence(attention="anchor", anchor_every=0, smoothing=0.0, fusion=0.0)
HIDDEN, FUSION, SMOOTHING = {"attention": "anchor+hidden"}, {"fusion": 0.7}, {"smoothing": 0.6}

Row = Callable[[JobSpec], JobSpec]


def _with(motion: Motion, **coherence: Any) -> Row:
    return lambda spec: replace(spec, motion=motion, coherence=replace(PLAIN, **coherence))


def _independent(spec: JobSpec) -> JobSpec:
    frames = tuple(replace(frame, is_anchor=True) for frame in spec.frames)
    return replace(spec, frames=frames, coherence=replace(PLAIN, attention="self"), motion=Motion("none"))


def _published(**coherence: Any) -> Row:
    """Text2Video-Zero's own motion, set to the shot's even drift, which is the best it can express."""

    def row(spec: JobSpec) -> JobSpec:
        unit_px, frames = spec.shot.width_px / 512, len(spec.frames) - 1
        x, y = (-total / frames / unit_px for total in spec.frames[-1].shift_px)
        return _with(Motion("strength", strength=(x, y), is_faithful=True), **coherence)(spec)

    return row


STILL, MAP = Motion("none"), Motion("map")
T2VZ = "+ motion dynamics = Text2Video-Zero"
ROWS: dict[str, Row] = {
    "independent frames": _independent,
    "shared noise": _with(STILL, attention="self"),
    "+ attention to the anchor": _with(STILL),
    T2VZ: _published(),
    "+ background smoothing": _published(**SMOOTHING, keeps_variance=False),
    "+ background smoothing, variance kept": _published(**SMOOTHING),
    "exact map": _with(MAP),
    "exact map, hidden tokens": _with(MAP, **HIDDEN),
    "exact map, smoothing": _with(MAP, **SMOOTHING),
    "exact map, fusion": _with(MAP, **FUSION),
    "exact map, fusion, hidden tokens": _with(MAP, **FUSION, **HIDDEN),
    "exact map, fusion, hidden tokens, further anchors": _with(MAP, **FUSION, **HIDDEN, anchor_every=4),
    "all of it": _with(MAP, **FUSION, **HIDDEN, **SMOOTHING, anchor_every=4),
}


@dataclass(frozen=True)
class Plan:
    """What is run, and how cheaply."""

    out: Path
    model: str
    control: str
    seeds: int
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

    def note(self, text: str) -> None:
        pass


def run(plan: Plan, modes: list[str], shots: list[str], rows: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Measures of every mode, shot, seed and row, and of the scene's own render (`seed` −1)."""
    found: dict[str, list[dict[str, Any]]] = {mode: [] for mode in modes}
    for shot in shots:
        folder = plan.out / "scenes" / shot
        frames = scenes.write_passes(shot, folder, plan.count, plan.size)
        source = Source(folder)
        geometry = evaluate.read_shot(frames, source)
        render = [source.read(frame, "image").astype(np.float32) / 255 for frame in frames]
        for mode in modes:
            networks = models.load(plan.spec(mode, shot, 0, frames).model, plan.spec(mode, shot, 0, frames).controls)
            floor = evaluate.mean(evaluate.measure(render, geometry))
            found[mode].append({"row": "the scene's own render", "shot": shot, "seed": -1, **floor})
            for seed in range(plan.seeds):
                spec = plan.spec(mode, shot, seed, frames)
                strips = {row: _made(plan, mode, shot, ROWS[row](spec), row, source, networks) for row in rows}
                if seed == 0:
                    cv2.imwrite(str(plan.out / f"{mode}-{shot}.png"), _sheet(render, strips)[..., ::-1])
                for row, pictures in strips.items():
                    measured = evaluate.mean(evaluate.measure(pictures, geometry))
                    measured["colour"] = _colour_distance(pictures, strips[rows[0]])
                    found[mode].append({"row": row, "shot": shot, "seed": seed, **measured})
    return found


def _made(plan: Plan, mode: str, shot: str, spec: JobSpec, row: str, source: Source, networks: Any) -> list[np.ndarray]:
    """The frames of one job in 0..1, from its strip where it has been made before."""
    path = plan.out / mode / f"{shot}-{spec.sampling.seed}-{_slug(row)}.png"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        numbers = [frame.number for frame in spec.frames]
        made = dict(generate(spec, source, networks, numbers, _Silent()))
        strip = np.hstack([made[number] for number in numbers])
        cv2.imwrite(str(path), strip[..., ::-1])
        print(path, flush=True)
    strip = cv2.imread(str(path))[..., ::-1].astype(np.float32) / 255
    return [np.ascontiguousarray(picture) for picture in np.split(strip, len(spec.frames), 1)]


def _sheet(render: list[np.ndarray], strips: dict[str, list[np.ndarray]]) -> np.ndarray:
    """Row under row (H, W, 3) uint8, each under its name."""
    parts = []
    for row, pictures in {"the scene's own render": render, **strips}.items():
        strip = (np.hstack(pictures) * 255).round().astype(np.uint8)
        title = np.full((18, strip.shape[1], 3), 255, np.uint8)
        cv2.putText(title, row, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
        parts += [title, strip]
    return np.vstack(parts)


def _colour_distance(pictures: list[np.ndarray], others: list[np.ndarray]) -> float:
    """Distance in CIELAB between the mean colours of two sequences."""
    one, two = (
        np.mean([cv2.cvtColor(p, cv2.COLOR_RGB2LAB).mean((0, 1)) for p in many], 0) for many in (pictures, others)
    )
    return float(np.linalg.norm(one - two))


def table(found: list[dict[str, Any]], shot: str | None = None) -> str:
    """The means over shots and seeds, one line per row, as Markdown."""
    kept = [one for one in found if shot in (None, one["shot"])]
    head = [title for title, _ in COLUMNS.values()]
    lines = ["| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for row in dict.fromkeys(one["row"] for one in kept):
        mine = [one for one in kept if one["row"] == row]
        cells = [_cell([one.get(name) for one in mine], scale) for name, (_, scale) in COLUMNS.items()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: list[float | None], scale: float) -> str:
    known = [value * scale for value in values if value is not None]
    return f"{np.mean(known):.3g}" if known else ""


def _slug(row: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in row).split()).lower()


def _tables(found: dict[str, list[dict[str, Any]]], shots: list[str]) -> Iterator[str]:
    for mode, rows in found.items():
        yield f"## {mode} mode\n\n{table(rows)}\n"
        yield from (f"### {mode} mode, {shot}\n\n{table(rows, shot)}\n" for shot in shots)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--control", default="demo")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--shots", nargs="+", default=list(scenes.SHOTS), choices=list(scenes.SHOTS))
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    asked = vars(parser.parse_args())
    modes, shots, rows = (asked.pop(name) for name in ("modes", "shots", "rows"))
    torch.set_num_threads(1)
    plan = Plan(**asked)
    found = run(plan, modes, shots, rows)
    (plan.out / "ablation.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (plan.out / "ablation.md").write_text("\n".join(_tables(found, shots)), encoding="utf-8")
    print((plan.out / "ablation.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
