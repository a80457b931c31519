"""A job's conditions as control videos, for video models: constant rate, and as many frames as they
take.

Wan and its VACE count 4n + 1 frames and name what they read `src_video.mp4` and `src_mask.mp4`
(https://github.com/ali-vilab/VACE); LTX-Video counts 8n + 1. Pictures lie beside each video, exact,
as `00001.png` and on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..fault import Fault
from ..job_folder.frames import write_png
from ..job_folder.passes import Source
from ..wire.job import Frame, JobSpec
from .controlnet import conditions

FOLDER = "conditions/video"


@dataclass(frozen=True)
class Target:
    """What a video model takes.

    Attributes:
        every: frames come as a multiple of this, and one.
        multiple_px: sides are multiples of this.
        fps: its own rate.
    """

    every: int
    multiple_px: int
    fps: int


TARGETS = {"wan": Target(4, 16, 16), "ltx": Target(8, 32, 24)}


def write_videos(folder: Path, spec: JobSpec, name: str, fps: float = 0.0) -> Iterator[str]:
    """Writes the control videos of each shot into the job folder's conditions/video/SHOT/KIND, and
    yields a sentence for each.

    Args:
        name: of TARGETS.
        fps: frames a second; 0: the target's own.

    Raises:
        Fault: a pass is missing, a side does not fit, or no video can be written.
    """
    target, source = TARGETS[name], Source(folder)
    _check_sides(spec, name, target)
    if not spec.controls:
        raise Fault("The job has no controls: choose what its control videos are to show.")
    for shot in _shots(spec.frames):
        pictures = [conditions(spec, source, frame) for frame in shot]
        place = folder / FOLDER / f"{shot[0].number:04d}"
        shown = {
            f"{control.kind}/src_video": [each[i] for each in pictures]
            for i, control in enumerate(spec.controls)
        }
        if all(frame.passes.mask for frame in shot):
            masks = [source.read(frame, "mask") for frame in shot]
            shown["mask/src_mask"] = [np.repeat(mask[..., None], 3, 2) for mask in masks]
        for title, frames in shown.items():
            held = whole(frames, target.every)
            _write(place / f"{title}.mp4", held, fps or target.fps)
            yield f"{place / title}.mp4: {len(frames)} frames{_held(len(held) - len(frames))}"


def whole(frames: Sequence[np.ndarray], every: int) -> list[np.ndarray]:
    """The frames, the last one held until they are a multiple of `every`, and one."""
    missing = -(len(frames) - 1) % every
    return [*frames, *[frames[-1]] * missing]


def _held(count: int) -> str:
    return f", the last one held {count} more" if count else ""


def _write(path: Path, frames: Sequence[np.ndarray], fps: float) -> None:
    for i, picture in enumerate(frames, 1):
        write_png(path.parent / f"{i:05d}.png", picture)
    height, width = frames[0].shape[:2]
    part = path.with_name(f"part-{path.name}")
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    if not writer.isOpened():
        raise Fault(
            f"{path}: this computer's OpenCV writes no .mp4; take the .png files beside it."
        )
    for picture in frames:
        writer.write(np.ascontiguousarray(picture[..., ::-1]))  # cv2 takes BGR
    writer.release()
    part.replace(path)


def _check_sides(spec: JobSpec, name: str, target: Target) -> None:
    for side in (spec.shot.width_px, spec.shot.height_px):
        if side % target.multiple_px:
            raise Fault(
                f"The pictures are {spec.shot.width_px} × {spec.shot.height_px} px, {name} takes "
                f"multiples of {target.multiple_px}: capture the shot at such a size."
            )


def _shots(frames: Sequence[Frame]) -> list[list[Frame]]:
    groups: list[list[Frame]] = []
    for frame in frames:
        if frame.is_anchor or not groups:
            groups.append([])
        groups[-1].append(frame)
    return groups
