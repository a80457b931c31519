"""Measures the finished frames of a job, beside the scene's own render where the job has it.

Writes `evaluation.json` and `evaluation.png` into the job folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from ..fault import Fault
from ..geometry.pixel_maps import Array
from ..job_folder.passes import Source
from ..wire.job import Frame, frame_file, read_job
from . import metrics
from .chart import draw
from .exact_motion import ExactMotion, read_motion
from .metrics import Measures

MEANINGS = {
    "warp_short": (
        "mean squared difference to the frame before, moved along the exact motion; "
        "lower is steadier"
    ),
    "warp_long": "the same to the anchor frame",
    "coverage_short": "part of the picture in which warp_short could be measured",
    "coverage_long": "part of the picture in which warp_long could be measured",
    "warp_long_foreground": "warp_long on the masked objects",
    "warp_long_background": "warp_long elsewhere",
    "flicker": "mean absolute second difference along the motion; lower is steadier",
    "warp_short_disturbed": "warp_short where something near has moved, and so the light",
    "flicker_disturbed": "flicker there",
    "flicker_undisturbed": "flicker on the surfaces elsewhere, beside which it is seen",
    "flicker_new": "flicker of what the anchor did not show",
    "new_colour": (
        "distance of the colour of what the anchor did not show from that of the same object "
        "elsewhere; lower is truer"
    ),
    "new_texture": "sharpness of it beside that of the same object elsewhere; 1 is alike",
    "motion_error_px": "optical flow against exact motion on textured pixels; lower is truer",
    "motion_px": "mean exact motion per frame",
    "structure": "F-score of drawn edges against depth edges; higher is truer",
    "sharpness": "variance of the Laplacian; a guard, since blur looks steady",
    "sharpness_kept": (
        "squared Laplacian beside that of the same points in the anchor frame; below 1 is blur"
    ),
}


def evaluate(folder: Path) -> dict[str, object]:
    """The measures of a job's finished frames, also written as JSON and as a picture beside them.

    Raises:
        Fault: frames or maps are missing.
        WireError: the job cannot be read.
    """
    folder, spec = Path(folder), read_job(Path(folder))
    source = Source(folder, (spec.shot.height_px, spec.shot.width_px))
    motion = read_motion(spec.frames, source)
    pictures = [_finished(folder, frame) for frame in spec.frames]
    rows = {"frames": measure(pictures, motion)}
    if all(frame.passes.image for frame in spec.frames):
        floor = [_unit(source.read(frame, "image")) for frame in spec.frames]
        rows["render"] = measure(floor, motion)
    result = {
        "mean": {name: mean(per_frame) for name, per_frame in rows.items()},
        "per_frame": {str(f.number): measured for f, measured in zip(spec.frames, rows["frames"])},
        "meaning": MEANINGS,
    }
    (folder / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    picture = draw(rows, pictures, motion)
    cv2.imwrite(str(folder / "evaluation.png"), picture[..., ::-1])
    return result


def measure(pictures: Sequence[Array], motion: ExactMotion) -> list[Measures]:
    """The measures of each frame; None where one does not apply to a frame."""
    return [_measure_frame(pictures, motion, i) for i in range(len(pictures))]


def mean(per_frame: Sequence[Measures]) -> Measures:
    """Each measure's mean over the frames that have it."""
    return {name: _mean_of([measured[name] for measured in per_frame]) for name in per_frame[0]}


def _measure_frame(pictures: Sequence[Array], motion: ExactMotion, i: int) -> Measures:
    picture, anchor = pictures[i], motion.anchors[i]
    back = motion.link(i, i - 1) if i > 0 else None
    forth = motion.link(i, i + 1) if i + 1 < len(pictures) else None
    long = motion.to_anchor[i] if i != anchor else None
    front, depth = motion.foreground[i], motion.depth[i]
    disturbed, new = motion.disturbed[i], motion.hidden(i) if long else None
    ids = motion.to_anchor[i].ids

    def to_anchor(where: Array | None = None) -> float | None:
        return long and metrics.warp_error(picture, pictures[anchor], long, where)

    def flicker(where: Array | None = None) -> float | None:
        if back is None or forth is None:
            return None
        return metrics.flicker(pictures[i - 1], picture, pictures[i + 1], back, forth, where)

    def near(of: Callable[[Array], float | None], where: Array | None) -> float | None:
        return None if where is None else of(where)

    def warp_short(where: Array) -> float | None:
        return back and metrics.warp_error(picture, pictures[i - 1], back, where)

    numbers = cast(Array, ids)  # there is nothing new without them
    return {
        "warp_short": back and metrics.warp_error(picture, pictures[i - 1], back),
        "warp_long": to_anchor(),
        "coverage_short": back and float(back.visible.mean()),
        "coverage_long": long and float(long.visible.mean()),
        "warp_long_foreground": None if front is None else to_anchor(front),
        "warp_long_background": None if front is None else to_anchor(~front),
        "flicker": flicker(),
        "warp_short_disturbed": near(warp_short, disturbed),
        "flicker_disturbed": near(flicker, disturbed),
        "flicker_undisturbed": None if disturbed is None else flicker(~disturbed),
        "flicker_new": near(flicker, new),
        "new_colour": near(lambda where: metrics.new_colour(picture, where, numbers), new),
        "new_texture": near(lambda where: metrics.new_texture(picture, where, numbers), new),
        "motion_error_px": back and metrics.motion_error_px(picture, pictures[i - 1], back),
        "motion_px": back and metrics.motion_px(back),
        "structure": None if depth is None else metrics.structure(picture, depth),
        "sharpness": metrics.sharpness(picture),
        "sharpness_kept": long and metrics.sharpness_kept(picture, pictures[anchor], long),
    }


def _finished(folder: Path, frame: Frame) -> Array:
    path = folder / frame_file(frame.number)
    picture = cv2.imread(str(path)) if path.exists() else None
    if picture is None:
        raise Fault(f"{path} is missing or broken: run the job to its end first, then evaluate it.")
    return _unit(picture[..., ::-1])


def _unit(picture: Array) -> Array:
    return picture.astype(np.float32) / 255


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
