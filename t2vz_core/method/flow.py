"""Flow matching: x_σ = (1−σ)·x_0 + σ·ε, and the network says v = ε − x_0.

Lipman et al., https://arxiv.org/abs/2210.02747; the shift of σ by the picture's size: Esser et al.,
https://arxiv.org/abs/2403.03206. Beside it everything is as with Stable Diffusion: both are
x = a·x_0 + b·ε, and only a and b differ.

The levels T′ and T of a job are Stable Diffusion's. Here they are those with as much noise to the
picture, b/a, and twice as much at twice the side, since larger pictures hide behind noise less.
Distilled models have no step near them; T is the nearest one, and T′ lies between steps, where it
keeps as much of the anchor's noise as the job's two levels do.
"""

from __future__ import annotations

import math
from typing import Any

import diffusers
import numpy as np
import torch
from torch import Tensor

from ..fault import Fault
from ..wire.job import GRID, JobSpec, Motion
from .solvers import Kind, Solver, Step, by_library, ddim

SD_BETAS = (0.00085**0.5, 0.012**0.5)  # whose squares' line is Stable Diffusion's schedule
STEPS = 1000  # of training
PATCH_PX = 16  # a token's side
TOKENS = (256, 4096)  # between which the dynamic shift grows, from
SHIFTS = (0.5, 1.15)  # one to the other, as diffusers' pipelines have it


class FlowSolver(Solver):
    """A way down of n steps, σ falling from 1 to 0; levels between two steps are not whole numbers.

    Attributes:
        sigmas: σ of the n + 1 levels.
        matched: σ of the job's T and T′, by signal to noise.
    """

    def __init__(self, spec: JobSpec, scheduler_config: dict[str, Any]) -> None:
        self.kind = FLOWS[spec.sampling.scheduler]
        steps, shift = spec.sampling.steps, scheduler_config.get("shift", 1.0)
        if self.kind.begin is by_library:
            options = {**self.kind.options, "prediction_type": "sample", "flow_shift": shift}
            self.library = self.kind.scheduler(use_flow_sigmas=True, **options)
            self.library.set_timesteps(steps)
        else:
            self.library = self.kind.scheduler.from_config(dict(scheduler_config))
            self.library.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), mu=_mu(spec))
        self.sigmas: list[float] = self.library.sigmas.tolist()
        self.times = self.library.timesteps.tolist()
        self.needs_noise = self.kind.needs_noise
        motion, side_px = spec.motion, math.sqrt(spec.shot.width_px * spec.shot.height_px)
        odds = [_odds(level) * side_px / GRID for level in (motion.level_to, motion.level_from)]
        self.matched = odds[0] / (1 + odds[0]), odds[1] / (1 + odds[1])
        self._kept = odds[1] / odds[0]

    def scales(self, i: float) -> tuple[float, float]:
        """1−σ and σ of level i."""
        before = math.floor(i)
        part = i - before
        sigma = self.sigmas[before]
        if part:
            sigma += part * (self.sigmas[before + 1] - sigma)
        return 1 - sigma, sigma

    def x0(self, x: Tensor, output: Tensor, i: int) -> Tensor:
        """x̂_0 = x − σ·v."""
        return x - self.sigmas[i] * output

    def parting(self, motion: Motion) -> tuple[int, float]:
        """T, the level nearest to the job's, and T′, where ρ = [σ′/(1−σ′)]/[σ/(1−σ)] is the job's.

        Where T is pure noise there is no T′: both are the same level, whose noise is mixed.
        """
        if motion.is_faithful:
            raise Fault("The published code knows no flow matching: turn “faithful” off.")
        wanted = self.matched[0]
        T = min(range(len(self)), key=lambda i: abs(self.sigmas[i] - wanted))
        a, b = self.scales(T)
        if a < 1e-3:
            return T, T
        return T, self._level_of(self._kept * b / (a + self._kept * b))

    def told(self, motion: Motion, T: int, T_: float) -> str:
        """Which levels are used for the job's."""
        wanted, used = self.matched, (self.scales(T)[1], self.scales(T_)[1])
        return (
            f"This model flows from noise to picture: T = {motion.level_to} and "
            f"T′ = {motion.level_from} of Stable Diffusion are σ = {wanted[0]:.3f} and "
            f"{wanted[1]:.3f} here; with {len(self)} steps {used[0]:.3f} and {used[1]:.3f} are "
            "used."
        )

    def shared(self, T: int, T_: float) -> float:
        """ρ, the correlation of the noise at T with the moved noise of T′."""
        if T == T_:
            return self._kept
        (a, b), (a_, b_) = self.scales(T), self.scales(T_)
        return a / a_ * b_ / b

    def up(
        self, x: Tensor, low: float, high: int, noise: Tensor, is_faithful: bool = False
    ) -> Tensor:
        """From σ′ up to σ: x_σ = r·x_σ′ + q·ε, r = (1−σ)/(1−σ′), q² = σ² − r²σ′².

        Where both are pure noise: ρ·x + √(1−ρ²)·ε.
        """
        if low == high:
            return self._kept * x + math.sqrt(1 - self._kept**2) * noise
        (a, b), (a_, b_) = self.scales(high), self.scales(low)
        r = a / a_
        return r * x + math.sqrt(b**2 - (r * b_) ** 2) * noise

    def _level_of(self, sigma: float) -> float:
        """The level, between two steps, of σ."""
        after = next(i for i, other in enumerate(self.sigmas) if other <= sigma)
        before, end = self.sigmas[after - 1], self.sigmas[after]
        return after - 1 + (before - sigma) / (before - end)


def solver_of(spec: JobSpec, scheduler_config: dict[str, Any]) -> Solver:
    """The solver of a job for a model with this scheduler."""
    if is_flow(scheduler_config):
        return FlowSolver(spec, scheduler_config)
    return Solver(spec.sampling, scheduler_config)


def is_flow(scheduler_config: dict[str, Any]) -> bool:
    """Whether a model with this scheduler flows."""
    name = scheduler_config.get("_class_name", "")
    predicts = scheduler_config.get("prediction_type", "")
    return name.startswith("FlowMatch") or predicts == "flow_prediction"


def lcm_flow(solver: Solver, _start: int) -> Step:
    """x̂_0 noised anew down to the next level."""

    def step(x: Tensor, x0: Tensor, i: int, noise: Tensor | None) -> Tensor:
        if i + 1 == len(solver):
            return x0
        assert noise is not None, "the sampler gives what needs_noise asks for"
        a_next, b_next = solver.scales(i + 1)
        return a_next * x0 + b_next * noise

    return step


def _odds(level: float) -> float:
    """b/a of Stable Diffusion at a timestep."""
    betas = torch.linspace(*SD_BETAS, STEPS, dtype=torch.float64) ** 2
    alpha_bar = float((1 - betas).cumprod(0)[round(level)])
    return math.sqrt((1 - alpha_bar) / alpha_bar)


def _mu(spec: JobSpec) -> float:
    """The dynamic shift for the job's size, where the scheduler is set to it."""
    tokens = spec.shot.width_px * spec.shot.height_px / PATCH_PX**2
    slope = (SHIFTS[1] - SHIFTS[0]) / (TOKENS[1] - TOKENS[0])
    return SHIFTS[0] + (tokens - TOKENS[0]) * slope


_EULER = diffusers.FlowMatchEulerDiscreteScheduler

FLOWS = {
    "ddim": Kind(_EULER, ddim),
    "dpm++2m": Kind(
        diffusers.DPMSolverMultistepScheduler,
        by_library,
        options={"algorithm_type": "dpmsolver++", "solver_order": 2},
    ),
    "unipc": Kind(diffusers.UniPCMultistepScheduler, by_library, options={"solver_order": 2}),
    "euler": Kind(_EULER, ddim),  # which is DDIM here
    "lcm": Kind(_EULER, lcm_flow, needs_noise=True),
}
"""The solvers of a job, `Sampling.scheduler`, for models that flow."""
