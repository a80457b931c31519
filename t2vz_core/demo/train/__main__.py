"""`python -m t2vz_core.demo.train STAGE --out DIR`: trains one stage of the demo model, or all in
order."""

import argparse
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from . import dataset
from .loop import best_device, join

STAGES = ("vae", "text", "depth", "pose", "instruct", "style", "eye")


def main() -> None:
    parser = argparse.ArgumentParser(prog="t2vz_core.demo.train", description=__doc__)
    parser.add_argument("stage", choices=("scenes", *STAGES, "all"))
    parser.add_argument(
        "--out", type=Path, required=True, help="where scenes, checkpoints, samples and weights go"
    )
    parser.add_argument(
        "--size", type=int, default=128, choices=(128, 256), help="side of the pictures in pixels"
    )
    parser.add_argument(
        "--shards", type=int, default=20, help="how many times 512 pictures to render"
    )
    parser.add_argument(
        "--steps", type=int, help="train longer or shorter than the stage's own plan"
    )
    options = parser.parse_args()
    join()
    if options.stage in ("scenes", "all"):
        dataset.write(
            options.out / f"scenes-{options.size}",
            range(options.shards),
            options.size,
            best_device(),
        )
    for name in STAGES if options.stage == "all" else {options.stage} - {"scenes"}:
        stage = import_module(f"{__package__}.{name}")
        plan = replace(stage.PLAN, steps=options.steps) if options.steps else stage.PLAN
        stage.run(options.out, options.size, plan)


if __name__ == "__main__":
    main()
