"""The two sides of the comparison, and how time and memory of a piece of work are taken.

    python -m tests.benchmarks.speed_sides JSON

prints the seconds and the peak of memory that one side takes, in a process of its own.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import psutil
import torch

from t2vz_core.job_folder.passes import Source
from t2vz_core.method.generate import generate
from t2vz_core.models.networks import Networks, load
from t2vz_core.wire.job import Frame, JobSpec, Model, Motion, Prompt, Sampling, Shot

MIB = 2**20
PAPER_LEVELS = (881, 941)


@dataclass(frozen=True)
class Case:
    """One comparison; `steps` and `levels` (T′, T) hold for both sides."""

    model: str
    side_px: int
    frames: int
    steps: int = 10
    levels: tuple[int, int] = (701, 801)
    precision: str = "auto"

    def spec(self) -> JobSpec:
        """The job that does what the published code does."""
        return JobSpec(
            prompt=Prompt("a red ball on grass", "blurry"),
            model=Model(self.model, precision=self.precision),
            shot=Shot(self.side_px, self.side_px),
            sampling=Sampling(steps=self.steps),
            motion=Motion(
                "strength", level_from=self.levels[0], level_to=self.levels[1], is_faithful=True
            ),
            frames=tuple(Frame(number) for number in range(1, self.frames + 1)),
        )

    def load(self, device: str, side: str = "ours") -> Networks:
        """Its networks, as a side lays them out in memory."""
        networks = load(self.spec().model, (), device)
        if side == "diffusers":
            networks.vae.to(memory_format=torch.contiguous_format)
        return networks


class Silent:
    """A watch that does not look."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Nothing to tell."""

    def note(self, text: str, rank: str = "artist") -> None:
        """Nothing to tell."""


def ours(networks: Networks, spec: JobSpec) -> None:
    """Makes all frames and lets them go."""
    numbers = [frame.number for frame in spec.frames]
    for _ in generate(spec, Source(Path()), networks, numbers, Silent()):
        pass


def published(networks: Networks, spec: JobSpec) -> None:
    """The same by diffusers, as its documentation has it: all frames at once."""
    scheduler = diffusers.DDIMScheduler.from_config(networks.scheduler_config, clip_sample=False)
    text = *networks.text.encoders, *networks.text.tokenizers
    if networks.family == "sdxl":
        pipeline = diffusers.TextToVideoZeroSDXLPipeline(
            networks.vae, *text, networks.unet, scheduler, add_watermarker=False
        )
    else:
        pipeline = diffusers.TextToVideoZeroPipeline(
            networks.vae, *text, networks.unet, scheduler, None, None, False
        )
    pipeline.set_progress_bar_config(disable=True)
    scheduler.set_timesteps(spec.sampling.steps)
    times = scheduler.timesteps.flip(0).tolist()
    pipeline(
        spec.prompt.text, video_length=len(spec.frames), height=spec.shot.height_px,
        width=spec.shot.width_px,
        num_inference_steps=spec.sampling.steps, negative_prompt=spec.prompt.negative,
        output_type="np",
        t0=times.index(spec.motion.level_from), t1=times.index(spec.motion.level_to),
    )  # fmt: skip


SIDES: dict[str, Callable[[Networks, JobSpec], None]] = {"ours": ours, "diffusers": published}


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


def taken_alone(side: str, case: Case, device: str) -> dict[str, float]:
    """Seconds, and memory at its worst beyond the networks (`peak_mib`), of a side in a process of
    its own."""
    asked = json.dumps({"side": side, "case": asdict(case), "device": device})
    command = [sys.executable, "-m", "tests.benchmarks.speed_sides", asked]
    return json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[
            -1
        ]
    )


def _peak_mib(work: Callable[[], None], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # give back what loading left
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the process's peak
    before = psutil.Process().memory_info().rss
    work()
    peak = next(
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return (int(peak.split()[1]) * 1024 - before) / MIB


def _main(asked: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    case = Case(**asked["case"])
    networks = case.load(asked["device"], asked["side"])
    SIDES[asked["side"]](
        networks, Case(case.model, 64, 2, 2, (1, 501)).spec()
    )  # what is made once is not the work's
    spent: list[float] = []
    work = partial(SIDES[asked["side"]], networks, case.spec())
    peak = _peak_mib(lambda: spent.append(seconds(work, networks.device)), networks.device)
    print(json.dumps({"seconds": spent[0], "peak_mib": peak}))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
