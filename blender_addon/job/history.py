"""The takes of a folder: jobs that were captured to their end, the newest first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from t2vz_core.wire.job import JobSpec, read_job
from t2vz_core.wire.parse import WireError

from .folders import finished_frames, is_job

JOBS_KEPT = 200  # parsed jobs remembered


@dataclasses.dataclass(frozen=True)
class Take:
    """One job and how much of it is done."""

    folder: Path
    spec: JobSpec
    frames: tuple[tuple[int, Path], ...]

    @property
    def is_whole(self) -> bool:
        """No frame is missing."""
        return len(self.frames) == len(self.spec.frames)

    @property
    def title(self) -> str:
        """Its prompt, or the folder's name where it has none."""
        return self.spec.prompt.text.strip() or self.folder.name

    @property
    def details(self) -> str:
        """`depth, seed 7, 16 frames`, and how many are done if not all."""
        mode = self.spec.controls[0].kind if self.spec.controls else "text"
        total = len(self.spec.frames)
        count = f"{total} frames" if self.is_whole else f"{len(self.frames)} of {total} frames"
        return f"{mode}, seed {self.spec.sampling.seed}, {count}"


def takes(home: Path, most: int) -> list[Take]:
    """At most so many takes; folders that hold no job are passed over."""
    if not home.is_dir():
        return []
    folders = sorted((path for path in home.iterdir() if is_job(path)), reverse=True)
    found = (take_of(folder) for folder in folders[:most])
    return [take for take in found if take is not None]


def take_of(folder: Path) -> Take | None:
    """The take in a job's folder; None where the job cannot be read."""
    file = folder / "job.json"
    key = (folder, file.stat().st_mtime_ns)
    if key not in _specs:
        if len(_specs) > JOBS_KEPT:
            _specs.clear()
        try:
            _specs[key] = read_job(folder)
        except WireError:
            _specs[key] = None
    spec = _specs[key]
    return Take(folder, spec, tuple(finished_frames(folder, spec))) if spec else None


_specs: dict[tuple[Path, int], JobSpec | None] = {}
