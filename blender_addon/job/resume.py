"""An interrupted job is taken up again where the scene, captured once more, still asks for the
same."""

from __future__ import annotations

import dataclasses
import filecmp
import shutil
from pathlib import Path
from typing import Any

from t2vz_core.wire.job import Frame, JobSpec, read_job

AGAIN = "again"  # the second capture, inside the job's folder and only until it is compared


def folder_for_another_capture(job: Path) -> Path:
    """Makes an empty folder inside that of a job; what a capture that was killed left there goes.

    Raises:
        OSError: it cannot be made.
    """
    again = job / AGAIN
    shutil.rmtree(again, ignore_errors=True)
    again.mkdir()
    return again


def rejoined(again: Path, job: Path) -> Path:
    """Takes the second capture away and returns the job's folder, which holds the same.

    Raises:
        ValueError: it does not, in one sentence that says what differs; the job is left as it was.
        WireError: the job cannot be read.
    """
    try:
        if found := _difference(again, job):
            raise ValueError(
                f"{job} holds a job with {found}, and nothing is overwritten: name a new folder, "
                "or finish that job as it is with `python -m t2vz_core run`."
            )
    finally:
        shutil.rmtree(again)
    return job


def _difference(again: Path, job: Path) -> str:
    """What is different, to be read behind "with"; "" where nothing is."""
    now, before = read_job(again), read_job(job)
    if path := _path_of_difference(_settings(now), _settings(before)):
        return f"another {path}"
    if [frame.number for frame in now.frames] != [frame.number for frame in before.frames]:
        return "other frames"
    changed = (
        frame
        for frame, former in zip(now.frames, before.frames)
        if not _is_same(again, frame, job, former)
    )
    frame = next(changed, None)
    return f"another frame {frame.number}, as the scene has changed since" if frame else ""


def _settings(spec: JobSpec) -> dict[str, Any]:
    return dataclasses.replace(spec, frames=()).to_json()


def _path_of_difference(one: Any, two: Any) -> str:
    """`sampling.seed`: the first field in which two settings differ; "" where they are the same."""
    if not (isinstance(one, dict) and isinstance(two, dict)):
        return ""
    name = next((name for name in one.keys() | two.keys() if one.get(name) != two.get(name)), None)
    if name is None:
        return ""
    return (
        f"{name}.{deeper}"
        if (deeper := _path_of_difference(one.get(name), two.get(name)))
        else name
    )


def _is_same(again: Path, frame: Frame, job: Path, former: Frame) -> bool:
    paths = {path for path in vars(frame.passes).values() if path is not None}
    return frame == former and not any(filecmp.cmpfiles(again, job, paths, shallow=False)[1:])
