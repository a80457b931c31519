"""`python -m t2vz_core.demo.train STAGE --out DIR`: trains one stage of the demo model, or all in
order.

Without --begin the words are first learnt on pictures of half the side, in DIR/small, and the
networks grown from those.
"""

import argparse
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from . import dataset
from .loop import best_device, join

STAGES = ("vae", "text", "controls", "instruct", "style", "eye")
SMALL_STAGES = ("vae", "text")


def main() -> None:
    parser = argparse.ArgumentParser(prog="t2vz_core.demo.train", description=__doc__)
    parser.add_argument("stage", choices=("scenes", *STAGES, "all"))
    parser.add_argument(
        "--out", type=Path, required=True, help="where scenes, checkpoints, samples and weights go"
    )
    parser.add_argument(
        "--size", type=int, default=256, choices=(128, 256), help="side of the pictures in pixels"
    )
    parser.add_argument(
        "--shards", type=int, default=20, help="how many times 512 pictures to render"
    )
    parser.add_argument(
        "--steps", type=int, help="train longer or shorter than the stage's own plan"
    )
    parser.add_argument("--begin", type=Path, help="an export for half the side to grow from")
    options = parser.parse_args()
    join()
    begin = options.begin
    if options.stage == "all" and not begin and options.size == 256:
        learn(("scenes", *SMALL_STAGES), options.out / "small", 128, options)
        begin = options.out / "small" / "export"
    learn(
        ("scenes", *STAGES) if options.stage == "all" else (options.stage,),
        options.out,
        options.size,
        options,
        begin,
    )


def learn(
    stages: tuple[str, ...],
    out: Path,
    size: int,
    options: argparse.Namespace,
    begin: Path | None = None,
) -> None:
    """One stage after another; says how long each took."""
    for name in stages:
        started = time.monotonic()
        if name == "scenes":
            dataset.write(out / f"scenes-{size}", range(options.shards), size, best_device())
        else:
            stage = import_module(f"{__package__}.{name}")
            plan = replace(stage.PLAN, steps=options.steps) if options.steps else stage.PLAN
            stage.run(out, size, plan, begin)
        print(
            f"{name} at {size} pixels took {(time.monotonic() - started) / 60:.1f} minutes",
            flush=True,
        )


if __name__ == "__main__":
    main()
