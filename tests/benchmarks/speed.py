"""Time and memory beside diffusers' TextToVideoZeroPipeline: the same weights, sizes and steps, run in turns.

    python -m tests.benchmarks.speed OUT [--model FOLDER] [--rounds 3] [--long 512]

On a CPU one thread is used and its seconds are counted, which other work on the machine does not disturb; on a GPU
the clock. Writes OUT/speed.json and OUT/speed.md.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diffusers
import psutil
import torch

from t2vz_core import models
from t2vz_core.generate import generate
from t2vz_core.passes import Source
from t2vz_core.wire.job import Frame, JobSpec, Model, Motion, Prompt, Sampling, Shot
from tests.core.random_networks import TEXT_WIDTH, write_model

ACCELERATED = Sampling(scheduler="dpm++2m", steps=12, guidance_to=0.6)
QUARTER = {
    "block_out_channels": (80, 160, 320, 320),
    "norm_num_groups": 16,
    "attention_head_dim": 8,  # the number of heads, whatever its name says
    "cross_attention_dim": TEXT_WIDTH,
}


@dataclass(frozen=True)
class Case:
    """One comparison; `steps` and `levels` (T′, T) hold for both sides."""

    name: str
    model: str
    side_px: int
    frames: int
    steps: int = 10
    levels: tuple[int, int] = (701, 801)

    def spec(self) -> JobSpec:
        """The job that does what the published code does."""
        return JobSpec(
            prompt=Prompt("a red ball on grass", "blurry"),
            model=Model(self.model),
            shot=Shot(self.side_px, self.side_px),
            sampling=Sampling(steps=self.steps),
            motion=Motion("strength", level_from=self.levels[0], level_to=self.levels[1], is_faithful=True),
            frames=tuple(Frame(number) for number in range(1, self.frames + 1)),
        )


class Silent:
    """A watch that does not look."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Nothing to tell."""

    def note(self, text: str) -> None:
        """Nothing to tell."""


def ours(networks: models.Networks, spec: JobSpec, chunk: int = 0) -> None:
    """Makes all frames and lets them go."""
    numbers = [frame.number for frame in spec.frames]
    for _ in generate(spec, Source(Path()), networks, numbers, Silent(), chunk):
        pass


def published(networks: models.Networks, spec: JobSpec) -> None:
    """The same by diffusers, as its documentation has it: all frames at once."""
    scheduler = diffusers.DDIMScheduler.from_config(networks.scheduler_config, clip_sample=False)
    text = networks.text.encoders[0], networks.text.tokenizers[0]
    pipeline = diffusers.TextToVideoZeroPipeline(networks.vae, *text, networks.unet, scheduler, None, None, False)
    pipeline.set_progress_bar_config(disable=True)
    scheduler.set_timesteps(spec.sampling.steps)
    times = scheduler.timesteps.flip(0).tolist()
    pipeline(
        spec.prompt.text, len(spec.frames), spec.shot.height_px, spec.shot.width_px, spec.sampling.steps,
        negative_prompt=spec.prompt.negative, output_type="np",
        t0=times.index(spec.motion.level_from), t1=times.index(spec.motion.level_to),
    )  # fmt: skip


def seconds(work: Callable[[], None], device: torch.device) -> float:
    """What the work takes: seconds of one CPU thread, or of the clock on a GPU."""
    if device.type == "cpu":
        began = time.process_time()
        work()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def peak_mib(work: Callable[[], None], device: torch.device) -> float:
    """Memory the work takes at its worst, beyond what was taken before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # give back what earlier work left
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the process's peak
    before = psutil.Process().memory_info().rss
    work()
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return (int(peak.split()[1]) * 1024 - before) / 2**20


def compare(case: Case, rounds: int) -> dict[str, Any]:
    """Both sides in turns, the median of each."""
    networks = models.load(Model(case.model), ())
    sides = {"ours": partial(ours, networks, case.spec()), "diffusers": partial(published, networks, case.spec())}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(rounds + 1):
        for name in sorted(sides, reverse=bool(i % 2)):
            spent = seconds(sides[name], networks.device)
            if i:  # the first round warms up
                taken[name].append(spent)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    memory = {f"{name}_peak_mib": peak_mib(work, networks.device) for name, work in sides.items()}
    return {"case": case.name, **medians, "ratio": medians["diffusers"] / medians["ours"], **memory}


def lengths(model: str, side_px: int, counts: list[int]) -> list[dict[str, Any]]:
    """Ours alone at growing lengths: seconds of each frame, and the peak of memory."""
    networks, rows = models.load(Model(model), ()), []
    for count in counts:
        work = partial(ours, networks, Case("", model, side_px, count, 4, (501, 751)).spec())
        spent = seconds(work, networks.device)
        rows.append({"frames": count, "per_frame": spent / count, "peak_mib": peak_mib(work, networks.device)})
    return rows


def accelerated(model: str, side_px: int, frames: int) -> dict[str, Any]:
    """The fast preset against diffusers' default of 50 steps."""
    networks = models.load(Model(model), ())
    usual = Case("", model, side_px, frames, 50, (881, 941)).spec()
    fast = replace(usual, sampling=ACCELERATED, motion=replace(usual.motion, is_faithful=False))
    theirs = seconds(partial(published, networks, usual), networks.device)
    exact = seconds(partial(ours, networks, usual), networks.device)
    preset = seconds(partial(ours, networks, fast), networks.device)
    return {"diffusers": theirs, "exact": exact, "accelerated": preset, "ratio": theirs / preset}


def quarter_sd15(folder: Path) -> str:
    """A folder of Stable Diffusion 1.5's architecture at a quarter of its width, random weights."""
    write_model(folder)
    torch.manual_seed(0)
    diffusers.UNet2DConditionModel(sample_size=64, **QUARTER).save_pretrained(folder / "unet")
    return str(folder)


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = ["| case | ours s | diffusers s | times as fast | ours MiB | diffusers MiB |", "|---|---|---|---|---|---|"]
    for row in result["compared"]:
        lines.append(
            f"| {row['case']} | {row['ours']:.1f} | {row['diffusers']:.1f} | {row['ratio']:.2f} "
            f"| {row['ours_peak_mib']:.0f} | {row['diffusers_peak_mib']:.0f} |"
        )
    lines += ["", "| frames | s per frame | peak MiB |", "|---|---|---|"]
    lines += [f"| {row['frames']} | {row['per_frame']:.2f} | {row['peak_mib']:.0f} |" for row in result["lengths"]]
    fast = result["accelerated"]
    lines += [
        "",
        f"50 steps, as diffusers has it by default: {fast['diffusers']:.1f} s there, {fast['exact']:.1f} s here; "
        f"accelerated {fast['accelerated']:.1f} s, {fast['ratio']:.1f} times as fast.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--model", default="demo", help="a model as in a job (default: the demo model)")
    parser.add_argument("--side", type=int, default=128, help="picture side for that model, pixels (default 128)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that are counted (default 3)")
    parser.add_argument("--long", type=int, default=512, help="frames of the longest run (default 512)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        wide = quarter_sd15(Path(folder) / "quarter")
        cases = [
            Case(f"{args.model}, {args.side}², 8 frames", args.model, args.side, 8),
            Case(f"{args.model}, {args.side}², 32 frames", args.model, args.side, 32),
            Case("quarter SD 1.5, 256², 8 frames", wide, 256, 8),
            Case("quarter SD 1.5, 512², 4 frames", wide, 512, 4),
        ]
        result = {
            "device": str(models.load(Model(args.model), ()).device),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "compared": [compare(case, args.rounds) for case in cases],
            "lengths": lengths(args.model, args.side, sorted({8, 64, args.long})),
            "accelerated": accelerated(args.model, args.side, 8),
        }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "speed.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.out / "speed.md").write_text(table(result))
    print(table(result))


if __name__ == "__main__":
    main()
