"""What the fast preset costs: the measures of `evaluate` on the shots of the ablation, beside the
default's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from t2vz_core.evaluation import evaluate
from t2vz_core.evaluation.exact_motion import read_motion
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.generate import generate
from t2vz_core.models.networks import load
from t2vz_core.wire.job import Control, JobSpec, Model, Motion, Prompt, Sampling, Shot
from t2vz_core.wire.presets import FAST, PRESETS, PUBLISHED

from . import ablation_scenes as scenes
from .speed_sides import Silent, seconds

SIDE_PX = 128
SAMPLINGS = {name: Sampling(**PRESETS[name]) for name in (PUBLISHED, FAST)}
NAMES = {
    "seconds": "s",
    "warp_long": "warp error, long ×10⁻³",
    "warp_short": "warp error, short ×10⁻³",
    "flicker": "flicker ×10⁻²",
    "structure": "structure",
    "sharpness": "sharpness ×10⁻³",
    "difference": "difference, grey levels",
}
SCALES = {"warp_long": 1e3, "warp_short": 1e3, "flicker": 1e2, "sharpness": 1e3}


def measured(folder: Path, count: int = 8) -> Iterator[dict[str, Any]]:
    """One row for every mode, shot and preset; `difference` is the mean one from the published
    preset's frames."""
    for mode, controls in (("text", ()), ("depth", (Control("depth"),))):
        networks = load(Model(), controls)
        for shot in scenes.SHOTS:
            frames = scenes.write_passes(shot, folder / shot, count, SIDE_PX)
            source, numbers = Source(folder / shot), [frame.number for frame in frames]
            geometry, reference = read_motion(frames, source), None
            for preset, sampling in SAMPLINGS.items():
                spec = JobSpec(
                    prompt=Prompt(scenes.prompt(shot)),
                    shot=Shot(SIDE_PX, SIDE_PX),
                    sampling=replace(sampling, guidance=5.0),
                    motion=Motion("map"),
                    controls=controls,
                    frames=frames,
                )
                made: dict[int, np.ndarray] = {}
                spent = seconds(
                    lambda: made.update(generate(spec, source, networks, numbers, Silent())),  # noqa: B023 - called now
                    networks.device,
                )
                pictures = [made[number].astype(np.float32) / 255 for number in numbers]
                reference = reference or pictures
                values = evaluate.mean(evaluate.measure(pictures, geometry))
                values["difference"] = 255 * float(
                    np.abs(np.stack(pictures) - np.stack(reference)).mean()
                )
                yield {"mode": mode, "shot": shot, "preset": preset, "seconds": spent, **values}


def table(rows: list[dict[str, Any]]) -> str:
    """The means over the shots, as Markdown."""
    lines = [
        "| mode, preset | " + " | ".join(NAMES.values()) + " |",
        "|---" * (len(NAMES) + 1) + "|",
    ]
    for mode, preset in dict.fromkeys((row["mode"], row["preset"]) for row in rows):
        mine = [row for row in rows if (row["mode"], row["preset"]) == (mode, preset)]
        cells = [
            f"{SCALES.get(name, 1) * np.mean([row[name] for row in mine]):.3g}" for name in NAMES
        ]
        lines.append(f"| {mode}, {preset} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
