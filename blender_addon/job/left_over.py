"""Jobs that were under way or waiting when Blender was closed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t2vz_core.wire.job import read_job
from t2vz_core.wire.parse import WireError, from_json, to_json, words

from .folders import finished_frames, is_job


@dataclass(frozen=True)
class LeftOver:
    """One of them."""

    folder: str = words("", "its job folder")
    title: str = words("", "what the queue calls it")
    blend: str = words("", "the .blend it is of")
    scene: str = words("", "the scene that takes its strip")


def write(file: Path, jobs: Iterable[LeftOver]) -> None:
    """Remembers these and no others.

    Raises:
        OSError: the file cannot be written.
    """
    part = file.with_suffix(".part")
    part.write_text(json.dumps([to_json(job) for job in jobs]), encoding="utf-8")
    part.replace(file)


def read(file: Path) -> list[LeftOver]:
    """Those that can still be taken up: captured to their end, with frames missing."""
    try:
        told: list[Any] = json.loads(file.read_text(encoding="utf-8"))
        jobs = [from_json(LeftOver, each) for each in told]
    except (OSError, ValueError, WireError, TypeError):
        return []
    return [job for job in jobs if _lacks_frames(Path(job.folder))]


def _lacks_frames(folder: Path) -> bool:
    if not is_job(folder):
        return False
    try:
        spec = read_job(folder)
    except WireError:
        return False
    return len(finished_frames(folder, spec)) < len(spec.frames)
