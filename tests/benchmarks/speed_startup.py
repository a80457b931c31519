"""From a job's order to the end of its first step: `python -m tests.benchmarks.speed_startup MODEL
SIDE`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from t2vz_core.wire import events
from t2vz_core.wire.job import Frame, JobSpec, Model, Prompt, Sampling, Shot, write_job
from t2vz_core.worker import Worker


class _Clock:
    """Notes when a job's first step is done, in seconds of CPU."""

    def __init__(self) -> None:
        self.began = self.ready = 0.0

    def __call__(self, event: Any) -> None:
        is_step = (
            isinstance(event, events.Progress) and event.stage != "loading the model" and event.done
        )
        if is_step and not self.ready:
            self.ready = time.process_time() - self.began


def main(model: str, side_px: int) -> None:
    """Prints the seconds of a first, a second and a third job, the last with another prompt, as
    JSON."""
    clock = _Clock()
    worker, taken = Worker(clock), []
    spec = JobSpec(
        prompt=Prompt("a red ball"),
        model=Model(model),
        shot=Shot(side_px, side_px),
        sampling=Sampling(steps=2),
        frames=(Frame(1), Frame(2)),
    )
    with TemporaryDirectory() as folder:
        for i, text in enumerate(("a red ball", "a red ball", "a blue cube")):
            job = Path(folder) / str(i)
            job.mkdir()
            write_job(job, replace(spec, prompt=Prompt(text)))
            clock.began, clock.ready = time.process_time(), 0.0
            worker.perform(events.Run(str(i), str(job)))
            taken.append(clock.ready)
    print(json.dumps(dict(zip(("first", "second", "another_prompt"), taken))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
