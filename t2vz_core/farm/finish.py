"""The end of a farm's job: every frame is there, whole and of one size, and they become a movie."""

from __future__ import annotations

import uuid
from pathlib import Path

import cv2

from ..fault import Fault
from ..job_folder.frames import Frames
from ..wire.job import JobSpec, read_job
from ..wire.ranges import in_a_line

MOVIE = "movie.mp4"
CODEC = "mp4v"  # MPEG-4 part 2, the one that the wheel of OpenCV brings on every system


def finish(job: Path, fps: float) -> str:
    """Checks the frames of a job folder and writes its movie.mp4; returns what was done.

    Raises:
        Fault: a frame is missing or damaged, or the movie cannot be written.
    """
    spec = read_job(job)
    frames = Frames(job, spec)
    wanted = frames.numbers(None, None)
    if missing := frames.missing(wanted):
        raise Fault(f"{job}: frames {in_a_line(missing)} are missing: run the job again.")
    part = job / f".{uuid.uuid4().hex}.{MOVIE}"
    try:
        _write_movie(part, job, spec, frames, fps)
        part.replace(job / MOVIE)
    finally:
        part.unlink(missing_ok=True)
    return f"{len(wanted)} frames are whole; {job / MOVIE}"


def _write_movie(to: Path, job: Path, spec: JobSpec, frames: Frames, fps: float) -> None:
    size = (spec.shot.width_px, spec.shot.height_px)
    movie = cv2.VideoWriter(str(to), cv2.VideoWriter.fourcc(*CODEC), fps, size)
    if not movie.isOpened():
        raise Fault(f"{job / MOVIE} cannot be written: is there room, and is {fps:g} a frame rate?")
    try:
        for frame in spec.frames:
            movie.write(_picture(job / frames.path(frame.number), size))
    finally:
        movie.release()


def _picture(file: Path, size: tuple[int, int]) -> cv2.typing.MatLike:
    """The picture (H, W, 3) uint8 BGR of a frame."""
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None or picture.shape[:2] != size[::-1]:
        raise Fault(f"{file} is damaged: delete it and run the job again.")
    return picture
