"""A job for Flamenco 3, https://flamenco.blender.org: a job type, and what is sent to its Manager.

The job type `t2vz.js` is the same for all jobs. No Manager was run with it: the tests carry its
tasks out under a stand-in for the Manager's two globals.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from ..fault import Fault
from ..wire.ranges import numbers_in
from .openjd import Wanted

SCRIPT = Path(__file__).with_name("t2vz.js")


def submission(wanted: Wanted, job: Path, scene: Path | None) -> dict[str, Any]:
    """What `POST /api/v3/jobs` takes.

    Raises:
        Fault: the shot has negative frames, which Flamenco's frame ranges do not know.
    """
    parts = numbers_in(wanted.parts)
    if parts[0] < 0:
        raise Fault(f"Flamenco knows no negative frames, the shot begins at {parts[0]}: move it.")
    return {
        "name": wanted.name,
        "type": SCRIPT.stem,
        "priority": 50,
        "submitter_platform": platform.system().lower(),
        "settings": {
            "job_folder": job.as_posix(),
            "shots": ",".join(map(str, numbers_in(wanted.shots))),
            "parts": ",".join(map(str, parts)),
            "parts_in_task": wanted.each,
            "engine": wanted.python,
            "fps": wanted.fps,
            "scene": scene.as_posix() if scene else "",
            "frames": wanted.frames,
        },
        "metadata": {"project": "t2vz"},
    }
