"""Time and memory beside diffusers' Text2Video-Zero: the same weights, sizes and steps, run in
turns.

    python -m tests.benchmarks.speed OUT [--rounds 3] [--long 512] [--only compared lengths …]
    python -m tests.benchmarks.speed OUT --device cuda --model sd15 sdxl --precision float16
    bfloat16 --frames 8 24 96

On a CPU one thread is used and its seconds are counted, which other work on the machine disturbs
least; on a GPU the clock. After every row OUT/speed.json and OUT/speed.md are written anew, so that
an early end loses nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diffusers
import torch

from t2vz_core.runtime.memory_budget import is_out_of_memory
from t2vz_core.wire.job import Sampling
from t2vz_core.wire.presets import FAST, PRESETS

from . import speed_cost, speed_floor, speed_models
from .speed_sides import PAPER_LEVELS, SIDES, Case, ours, published, seconds, taken_alone

Row = dict[str, Any]
FEW, FEW_LEVELS = (
    4,
    (501, 751),
)  # steps, and the levels where frames part, that tell as much as ten in less time


def in_turns(case: Case, rounds: int, device: str, warm_ups: int = 1) -> Row:
    """Seconds of both sides in turns; the median of each, and of the rounds' ratios."""
    works = {}
    for name, side in SIDES.items():
        networks = case.load(device, name)
        works[name] = partial(side, networks, case.spec())
    taken: dict[str, list[float]] = {name: [] for name in works}
    for i in range(-warm_ups, rounds):
        for name in sorted(works, reverse=bool(i % 2)):
            spent = seconds(works[name], networks.device)
            if i >= 0:
                taken[name].append(spent)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    ratio = statistics.median(
        theirs / our for our, theirs in zip(taken["ours"], taken["diffusers"])
    )
    return {
        "model": case.model,
        "side_px": case.side_px,
        "frames": case.frames,
        **medians,
        "ratio": ratio,
    }


def compared(cases: list[Case], rounds: int) -> Iterator[Row]:
    """The exact mode against diffusers."""
    for case in cases:
        yield in_turns(case, rounds, "cpu")


def memory(cases: list[Case]) -> Iterator[Row]:
    """Peaks beside the networks, each taken in a process of its own."""
    for case in cases:
        peaks = {f"{side}_mib": taken_alone(side, case, "cpu")["peak_mib"] for side in SIDES}
        yield {"model": case.model, "side_px": case.side_px, "frames": case.frames, **peaks}


def lengths(model: str, side_px: int, counts: list[int]) -> Iterator[Row]:
    """Ours alone at growing lengths: seconds of each frame, and the peak of memory."""
    for count in counts:
        taken = taken_alone("ours", Case(model, side_px, count, FEW, FEW_LEVELS), "cpu")
        yield {
            "frames": count,
            "per_frame": taken["seconds"] / count,
            "peak_mib": taken["peak_mib"],
        }


def accelerated(model: str, side_px: int, frames: int, rounds: int) -> Iterator[Row]:
    """The fast preset, and the exact mode, against diffusers' default of 50 steps."""
    case = Case(model, side_px, frames, 50, PAPER_LEVELS)
    fast = replace(case.spec(), sampling=Sampling(**PRESETS[FAST]))
    fast = replace(fast, motion=replace(fast.motion, is_faithful=False))
    mine, theirs = case.load("cpu"), case.load("cpu", "diffusers")
    works = {
        "diffusers": partial(published, theirs, case.spec()),
        "exact": partial(ours, mine, case.spec()),
        "fast": partial(ours, mine, fast),
    }
    taken = [
        {name: seconds(work, mine.device) for name, work in works.items()} for _ in range(rounds)
    ]
    medians = {name: statistics.median(one[name] for one in taken) for name in works}
    ratio = statistics.median(one["diffusers"] / one["fast"] for one in taken)
    yield {"model": model, "side_px": side_px, "frames": frames, **medians, "ratio": ratio}


def startup(model: str, side_px: int) -> Iterator[Row]:
    """CPU seconds from a job's order to the end of its first step: a fresh worker's first job, and
    later ones."""
    command = [sys.executable, "-m", "tests.benchmarks.speed_startup", model, str(side_px)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=alone)
    yield json.loads(done.stdout.splitlines()[-1])


def on_card(case: Case, rounds: int, device: str) -> Row:
    """Both sides on a GPU with 50 steps, and the least time that the card's matrix rate allows."""
    row: Row = {"precision": case.precision, **speed_floor.floor(case, device)}
    for name, side in SIDES.items():
        networks = case.load(device, name)
        try:
            side(networks, replace(case, frames=2).spec())
            row[name] = statistics.median(
                seconds(partial(side, networks, case.spec()), networks.device)
                for _ in range(rounds)
            )
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            row[name] = None
        row[f"{name}_peak_mib"] = row[name] and taken_alone(name, case, device)["peak_mib"]
    return {"model": case.model, "side_px": case.side_px, "frames": case.frames, **row}


def machine(device: str) -> Row:
    """What the figures were taken on."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    cpu = next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")),
        platform.processor(),
    )
    card = torch.cuda.get_device_name() if device == "cuda" else None
    return {
        "cpu": cpu,
        "card": card,
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
    }


def sections(asked: argparse.Namespace, folder: Path) -> dict[str, Iterator[Row]]:
    """What is measured, by the names of `--only`."""

    def model(name: str) -> str:
        return speed_models.write(name, folder / name)

    if asked.device != "cpu":
        cases = [
            Case(
                model(name),
                asked.side or speed_models.SIDES_PX.get(name, 512),
                frames,
                50,
                PAPER_LEVELS,
                precision,
            )
            for name in asked.model
            for precision in asked.precision
            for frames in asked.frames
        ]
        return {"card": (on_card(case, asked.rounds, asked.device) for case in cases)}
    first = asked.model[0]
    demo, side = model(first), asked.side or speed_models.SIDES_PX.get(first, 512)
    few = {"steps": FEW, "levels": FEW_LEVELS}
    wide = (
        [Case(model("quarter"), 256, 8, **few), Case(model("quarter"), 384, 4, **few)]
        if asked.wide
        else []
    )
    held = [
        Case(demo, side, 32, **few),
        *([Case(model("quarter"), 256, 32, 2, (1, 501))] if asked.wide else []),
    ]
    return {
        "compared": compared(
            [Case(demo, side, 8), Case(demo, side, 32, **few), *wide], asked.rounds
        ),
        "memory": memory(held),
        "lengths": lengths(demo, side, sorted({8, 64, asked.long})),
        "accelerated": accelerated(demo, side, 8, asked.rounds),
        "startup": startup(demo, side),
        "cost": speed_cost.measured(folder / "scenes"),
    }


def table(result: Row) -> str:
    """The result as Markdown."""
    parts = [", ".join(str(value) for value in result["machine"].values() if value)]
    for name, rows in result.items():
        if name != "machine" and rows:
            heads = list(rows[0])
            lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
            lines += [
                "| " + " | ".join(_cell(row.get(head)) for head in heads) + " |" for row in rows
            ]
            parts.append(
                f"## {name}\n\n" + (speed_cost.table(rows) if name == "cost" else "\n".join(lines))
            )
    return "\n\n".join(parts) + "\n"


def _cell(value: Any) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float)
        else ""
        if value is None
        else Path(str(value)).name
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("out", type=Path, metavar="OUT")
    add("--device", default="cpu", help="cpu (default) or cuda")
    add(
        "--model",
        nargs="+",
        default=["demo"],
        help="models as in a job, or sd15, sdxl, quarter, tiny, tiny-xl",
    )
    add("--side", type=int, help="picture side, pixels (default: the model's own)")
    add("--rounds", type=int, default=3, help="rounds that are counted (default 3)")
    add("--long", type=int, default=512, help="frames of the longest run on a CPU (default 512)")
    add("--frames", type=int, nargs="+", default=[8, 24, 96], help="lengths on a GPU")
    add("--precision", nargs="+", default=["float16"], help="number formats on a GPU")
    add(
        "--narrow",
        dest="wide",
        action="store_false",
        help="leave out the quarter of SD 1.5, which takes most time",
    )
    add("--only", nargs="+", help="these sections only")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1 if asked.device == "cpu" else torch.get_num_threads())
    asked.out.mkdir(parents=True, exist_ok=True)
    result: Row = {"machine": machine(asked.device)}
    with TemporaryDirectory() as folder:
        for name, rows in sections(asked, Path(folder)).items():
            if asked.only and name not in asked.only:
                continue
            result[name] = []
            for row in rows:
                result[name].append(row)
                (asked.out / "speed.json").write_text(json.dumps(result, indent=1) + "\n")
                (asked.out / "speed.md").write_text(table(result))
                print(name, {key: _cell(value) for key, value in row.items()}, flush=True)


if __name__ == "__main__":
    main()
