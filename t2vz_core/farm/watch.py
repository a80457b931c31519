"""Tells what all the processes that work in one job folder do, and makes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..job_folder.claims import Claims, Owner
from ..wire.job import frame_file, read_job
from ..wire.ranges import in_a_line

LOOK_S = 1.0


def watch(job: Path, say: Callable[[str], None]) -> None:
    """Says each change until every frame is there.

    Raises:
        WireError: the folder holds no job.
    """
    numbers = [frame.number for frame in read_job(job).frames]
    claims, before = Claims(job), ""
    while True:
        done = [number for number in numbers if (job / frame_file(number)).exists()]
        now = ", ".join([f"{len(done)} of {len(numbers)} frames", *_work(claims.owners())])
        if now != before:
            say(f"{time.strftime('%H:%M:%S')} {now}")
        if len(done) == len(numbers):
            return
        before = now
        time.sleep(LOOK_S)


def _work(owners: dict[str, Owner]) -> list[str]:
    """`host 4711: 9-16`, for each process."""
    work: dict[str, list[int]] = {}
    for name, owner in owners.items():
        work.setdefault(f"{owner.host} {owner.pid}", []).append(int(name))
    return [f"{who}: {in_a_line(numbers)}" for who, numbers in sorted(work.items())]
