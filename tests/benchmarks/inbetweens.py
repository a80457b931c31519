"""How near in-betweens come to the true frames: Blender's own renders in the place of painted ones.

    python -m tests.benchmarks.inbetweens FOLDER…       jobs of tests/benchmarks/inbetween_scenes.py

PSNR in dB over the frames between, carried along the exact map; by OpenCV's DIS flow, warped from
both sides as well; blended without any motion.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from t2vz_core.geometry.pixel_maps import grid, link, warp
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.correspondence import correspond
from t2vz_core.method.fusion import link_of
from t2vz_core.method.inbetweens import Side, blended, neighbours, painted
from t2vz_core.wire.job import JobSpec, read_job

WAYS = ("exact map", "DIS flow", "blending")


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """dB of two pictures (H, W, 3) uint8."""
    error = (one.astype(float) - other).__pow__(2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def measured(folder: Path, every: int) -> tuple[dict[str, float], float]:
    """Mean PSNR by way, and the part of the pixels that neither side shows."""
    spec, source = read_job(folder), Source(folder)
    spec = replace(spec, coherence=replace(spec.coherence, paint_every=every))
    truth = {frame.number: source.read(frame, "image") for frame in spec.frames}
    keys = painted(spec)
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    holes = []
    for number in truth.keys() - set(keys):
        before, after = neighbours(keys, number)
        part = (number - before) / (after - before)
        sides = [(before, 1 - part), (after, part)]
        exact, known = blended([_exact(spec, source, truth, number, *side) for side in sides])
        flow = _by_flow(truth[before], truth[after], part)
        plain = np.round((1 - part) * truth[before].astype(float) + part * truth[after])
        for way, picture in zip(WAYS, (exact, flow, plain), strict=True):
            found[way].append(psnr(picture, truth[number]))
        holes.append(1 - known.mean())
    return {way: float(np.mean(each)) for way, each in found.items()}, float(np.mean(holes))


def _exact(
    spec: JobSpec,
    source: Source,
    truth: dict[int, np.ndarray],
    number: int,
    side: int,
    weight: float,
) -> Side:
    here, there = (_pixels(spec, source, n) for n in (number, side))
    way = there.since / max(here.since, 1)
    return Side(truth[side], link(link_of(here), link_of(there), way), weight)


def _pixels(spec: JobSpec, source: Source, number: int) -> Any:
    since = next(i for i, frame in enumerate(spec.frames) if frame.number == number)
    frame, size = spec.frames[since], (spec.shot.height_px, spec.shot.width_px)
    pixels = correspond(spec, source, frame, since, *size, "map")
    return replace(pixels, ids=source.read(frame, "ids"))


def _by_flow(before: np.ndarray, after: np.ndarray, part: float) -> np.ndarray:
    """Both sides warped by the flow between them, cut to the part of the way."""
    greys = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (before, after)]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there, back = dis.calc(*greys, None), dis.calc(*greys[::-1], None)
    still = grid(*before.shape[:2])
    sides = [
        (before, still + part * back, 1 - part),
        (after, still + (1 - part) * there, part),
    ]
    moved = [weight * warp(one, place.astype(np.float32)) for one, place, weight in sides]
    return np.round(sum(moved)).astype(np.uint8)


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        for every in (2, 3, 4):
            found, holes = measured(folder, every)
            said = ", ".join(f"{way} {value:.1f} dB" for way, value in found.items())
            print(
                f"{folder.name}, every {every}: {said}; {holes:.1%} of the pixels in neither side"
            )
