"""Frames that start from their pictures: x_s = √ᾱ_s·E(picture) + √(1−ᾱ_s)·ε, and down from there.

SDEdit: Meng et al., https://arxiv.org/abs/2108.01073. How far up a picture goes may differ from
object to object: the latents run from the highest of the levels, and a cell whose own is lower is
held to its noised picture until then, as in Time-to-Move's dual clock (Singer et al.,
https://arxiv.org/abs/2511.08633). What has the strength 0 stays as it is, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..job_folder.passes import Source
from ..wire.job import Frame, JobSpec
from .solvers import Solver


@dataclass(frozen=True)
class Held:
    """The pictures of f frames in a solver's levels.

    Attributes:
        clean: (f, c, h, w), the pictures' latents.
        noise: (f, c, h, w).
        release: (f, 1, h, w), the step from which on a cell is painted.
    """

    clean: Tensor
    noise: Tensor
    release: Tensor
    solver: Solver

    def at(self, level: int) -> Tensor:
        """The pictures' latents (f, c, h, w), noised to a level."""
        signal, noise = self.solver.scales(level)
        return signal * self.clean + noise * self.noise

    def hold(self, x: Tensor, level: int) -> Tensor:
        """The latents x (f, c, h, w) at a level, what is not painted yet as in the pictures."""
        last = len(self.solver) - 1
        clean = self.at(level) if level <= last else self.clean
        return torch.where(self.release > min(level, last), clean, x)


def first_step(spec: JobSpec, solver: Solver) -> int:
    """The step at which the first frame of a job begins to be painted; the same for all frames, so
    that they can attend to their anchor."""
    if not spec.start.is_picture:
        return 0
    strengths = [strength for frame in spec.frames for strength in strengths_of(spec, frame)]
    return min(release_of(max(strengths), len(solver)), len(solver) - 1)


def release_of(strength: float, steps: int) -> int:
    """The step from which on what has this strength is painted, as diffusers counts; `steps`:
    never."""
    return steps - min(int(steps * strength), steps)


def strengths_of(spec: JobSpec, frame: Frame) -> tuple[float, ...]:
    """Of a frame: of the whole, and of each of the job's repaints."""
    own = (spec.start.strength, *(one.strength for one in spec.repaints))
    return frame.start_strengths or own


def strength_map(spec: JobSpec, source: Source, frame: Frame) -> np.ndarray:
    """(H, W) float64, how much of each pixel is made anew.

    Raises:
        Fault: objects have strengths of their own, and the frame no ids pass.
    """
    whole, *others = strengths_of(spec, frame)
    strengths = np.full((spec.shot.height_px, spec.shot.width_px), whole)
    if others:
        ids = source.read(frame, "ids")
        for repaint, strength in reversed([*zip(spec.repaints, others, strict=True)]):
            strengths[np.isin(ids, repaint.ids)] = strength
    if frame.passes.repaint:
        strengths[source.read(frame, "repaint") == 0] = 0
    return strengths


def picture_of(source: Source, frame: Frame) -> np.ndarray:
    """The picture (H, W, 3) uint8 that a frame starts from.

    Raises:
        Fault: it has none.
    """
    return source.read(frame, "start" if frame.passes.start else "image")


def held(
    spec: JobSpec,
    source: Source,
    networks: Any,
    solver: Solver,
    frames: Sequence[Frame],
    noise: Callable[[Frame], Tensor],
) -> Held | None:
    """The pictures that some frames start from; None where they start from noise.

    Args:
        noise: (1, c, h, w) of a frame.

    Raises:
        Fault: a frame has no image pass.
    """
    if not spec.start.is_picture:
        return None
    pictures = np.stack([picture_of(source, frame) for frame in frames])
    strengths = np.stack([strength_map(spec, source, frame) for frame in frames])
    steps = np.vectorize(lambda strength: release_of(strength, len(solver)))(strengths)
    clean = networks.encode(pictures).float()
    cell_px = pictures.shape[1] // clean.shape[2]
    cells = -F.max_pool2d(-torch.from_numpy(steps).float()[:, None], cell_px)  # its earliest pixel
    noises = torch.cat([noise(frame) for frame in frames])
    return Held(clean, noises.to(clean), cells.to(clean.device), solver)


def kept(spec: JobSpec, source: Source, frame: Frame, picture: np.ndarray) -> np.ndarray:
    """A finished picture (H, W, 3) uint8 with what has the strength 0 as it was."""
    if not spec.start.is_picture:
        return picture
    strengths = strength_map(spec, source, frame)
    return np.where((strengths == 0)[..., None], picture_of(source, frame), picture)
