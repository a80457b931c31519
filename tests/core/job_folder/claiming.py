"""A process that makes frames as the engine does, of nothing: `claiming.py JOB COUNT`.

Every frame begun is a line of `begun`, so that a test can tell what was made twice.
"""

import os
import random
import sys
import time
from pathlib import Path

from t2vz_core.job_folder.claims import Claims


def main(job: Path, count: int) -> None:
    """Makes the frames that are missing until none is."""
    with Claims(job, beat_s=0.2, stale_s=60.0) as claims:
        while missing := [str(n) for n in range(count) if not (job / f"{n}.png").exists()]:
            mine = claims.take(claims.free(missing)[: random.randint(1, 4)])
            for name in mine:
                make(job, name)
                claims.release(name)
            time.sleep(0 if mine else 0.01)


def make(job: Path, name: str) -> None:
    """One frame, unless somebody made it before the claim was there."""
    path = job / f"{name}.png"
    if path.exists():
        return
    with (job / "begun").open("a") as out:
        out.write(f"{name}\n")
    time.sleep(0.02)
    part = job / f".{name}.{os.getpid()}"
    part.write_text(name)
    part.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
