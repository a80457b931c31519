"""Steps down the noise levels, and noise back up.

DDIM: Song et al., https://arxiv.org/abs/2010.02502 (the paper's solver). DPM-Solver++, UniPC and
Euler are diffusers' own; LCM: Luo et al., https://arxiv.org/abs/2310.04378.

Every latent is x = a·x_0 + b·ε, and outside this file variance preserving: a = √ᾱ_t, b = √(1−ᾱ_t).
A σ-scaled solver (Euler) gets its own scale inside its step, so that noising up is one formula for
all. Models that flow have a = 1−σ, b = σ: flow.py.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
from torch import Tensor

from ..wire.job import Motion, Sampling
from .noise import blend_noise

Step = Callable[[Tensor, Tensor, int, Tensor | None], Tensor]
"""(x, x̂_0, level, fresh noise) -> x one level down."""

LCM_SCALE = 10.0
LCM_DATA = 0.5


class Solver:
    """A way down of n steps: step i takes a latent from level i to level i + 1; level n is the
    picture.

    Attributes:
        times: the n timesteps the networks are told, 0..1000, falling.
        alpha_bar: ᾱ of the n + 1 levels, rising.
        needs_noise: whether a step takes fresh noise.
    """

    def __init__(self, sampling: Sampling, scheduler_config: dict[str, Any]) -> None:
        self.kind = SOLVERS[sampling.scheduler]
        self.predicts = scheduler_config.get("prediction_type", "epsilon")
        options = {**self.kind.options, "prediction_type": "sample"}
        if sampling.spacing != "auto":
            options["timestep_spacing"] = sampling.spacing
        self.library = self.kind.scheduler.from_config(dict(scheduler_config), **options)
        self.library.set_timesteps(sampling.steps)
        self.times: list[float] = self.library.timesteps.tolist()
        self.alpha_bar = self.kind.levels(self.library)
        self.needs_noise = self.kind.needs_noise

    def __len__(self) -> int:
        return len(self.times)

    def nearest(self, level: float) -> int:
        """The level whose timestep is nearest to `level` (0..1000)."""
        return min(range(len(self)), key=lambda i: abs(self.times[i] - level))

    def parting(self, motion: Motion) -> tuple[int, float]:
        """T and T′: the levels with the timesteps nearest to the job's, T′ the lower one."""
        T = self.nearest(motion.level_to)
        return T, max(self.nearest(motion.level_from), T + 1)

    def told(self, motion: Motion, T: int, T_: float) -> str:
        """Which levels are used where the job's are none of this way down; or ""."""
        times = [*self.times, 0]
        used = times[T], times[int(T_)]
        if used == (motion.level_to, motion.level_from):
            return ""
        return (
            f"With {len(self)} steps the noise levels nearest to T = {motion.level_to} and "
            f"T′ = {motion.level_from} are {used[0]:.0f} and {used[1]:.0f}; these are used."
        )

    def shared(self, T: int, T_: float) -> float:
        """√A, how much of the latent at T is the moved one of T′."""
        return float((self.alpha_bar[T] / self.alpha_bar[int(T_)]).sqrt())

    def between(self, x: Tensor, x0: Tensor, i: int, level: float) -> Tensor:
        """The latent at a level between i and i + 1: a'·x̂_0 + b'·ε̂."""
        a, b = self.scales(i)
        a_there, b_there = self.scales(level)
        return a_there * x0 + b_there * (x - a * x0) / b

    def scales(self, i: float) -> tuple[float, float]:
        """√ᾱ and √(1−ᾱ) of level i: how much picture and how much noise there is."""
        alpha_bar = float(self.alpha_bar[int(i)])
        return math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)

    def x0(self, x: Tensor, output: Tensor, i: int) -> Tensor:
        """x̂_0 of what the network said of x at level i."""
        signal, noise = self.scales(i)
        if self.predicts == "epsilon":
            return (x - noise * output) / signal
        if self.predicts == "v_prediction":
            return signal * x - noise * output
        return output

    def begin(self, i: int) -> Step:
        """The step function of a way that begins at level i.

        Multi-step solvers remember earlier steps: every batch of frames walks with one of its own.
        """
        return self.kind.begin(self, i)

    def up(
        self, x: Tensor, low: float, high: int, noise: Tensor, is_faithful: bool = False
    ) -> Tensor:
        """DDPM forward from level `low` (less noise) to `high`: x_T = √A·x_T′ + √(1−A)·ε, A =
        ᾱ_T/ᾱ_T′.

        Faithful: the published code's product of α runs over T′..T−1 instead of T′+1..T.
        """
        low = int(low)
        kept = float(self.alpha_bar[high] / self.alpha_bar[low])
        if is_faithful:
            table = self.library.alphas_cumprod.double()
            kept = float(table[int(self.times[high]) - 1] / table[int(self.times[low]) - 1])
        return blend_noise(x, noise, kept)


def ddim(solver: Solver, _start: int) -> Step:
    """x_{i+1} = a'·x̂_0 + b'·ε̂, ε̂ = (x − a·x̂_0) / b."""

    def step(x: Tensor, x0: Tensor, i: int, _noise: Tensor | None) -> Tensor:
        a, b = solver.scales(i)
        a_next, b_next = solver.scales(i + 1)
        return a_next * x0 + b_next * (x - a * x0) / b

    return step


def lcm(solver: Solver, _start: int) -> Step:
    """x̂_0 made consistent, and noised anew down to the next level."""

    def step(x: Tensor, x0: Tensor, i: int, noise: Tensor | None) -> Tensor:
        t = LCM_SCALE * solver.times[i]
        skip = LCM_DATA**2 / (t**2 + LCM_DATA**2)
        out = t / math.sqrt(t**2 + LCM_DATA**2)
        x0 = out * x0 + skip * x
        if i + 1 == len(solver):
            return x0
        assert noise is not None, "the sampler gives what needs_noise asks for"
        a_next, b_next = solver.scales(i + 1)
        return a_next * x0 + b_next * noise

    return step


def by_library(solver: Solver, start: int) -> Step:
    """A step of diffusers' own solver, which takes latents as the networks do."""
    return _library_step(solver, start, lambda _level: 1.0)


def by_library_in_sigmas(solver: Solver, start: int) -> Step:
    """The same where the solver's latents are x_0 + σ·ε, 1/√ᾱ as large."""
    return _library_step(solver, start, lambda level: 1 / solver.scales(level)[0])


def _library_step(solver: Solver, start: int, scale: Callable[[int], float]) -> Step:
    library = copy.deepcopy(solver.library)
    library.set_begin_index(start)
    # the latents outside are scaled as the networks take them
    library.is_scale_input_called = True

    def step(x: Tensor, x0: Tensor, i: int, _noise: Tensor | None) -> Tensor:
        time = library.timesteps[i]
        return library.step(x0, time, x * scale(i), return_dict=False)[0] / scale(i + 1)

    return step


def _by_sigmas(library: Any) -> Tensor:
    """ᾱ of all levels of a solver that counts in σ² = (1−ᾱ)/ᾱ."""
    return 1 / (1 + library.sigmas.double() ** 2)


def _by_table(library: Any) -> Tensor:
    """ᾱ of all levels of DDIM, which may end a little above zero noise."""
    return _at_timesteps(library, library.final_alpha_cumprod)


def _by_table_to_zero(library: Any) -> Tensor:
    """ᾱ of all levels where the last one is the picture itself."""
    return _at_timesteps(library, torch.ones(()))


def _at_timesteps(library: Any, last: Tensor) -> Tensor:
    table = library.alphas_cumprod.double()
    return torch.cat([table[library.timesteps.long()], last.double().reshape(1)])


@dataclass(frozen=True)
class Kind:
    """A row of SOLVERS.

    Attributes:
        scheduler: diffusers' class, which knows the timesteps.
        begin: (solver, level) -> the step function of a way that begins at this level.
        levels: the scheduler's ᾱ of the n + 1 levels.
        options: settings of the scheduler.
        needs_noise: whether a step takes fresh noise.
    """

    scheduler: type[Any]
    begin: Callable[[Solver, int], Step]
    levels: Callable[[Any], Tensor] = _by_sigmas
    options: dict[str, Any] = field(default_factory=dict)
    needs_noise: bool = False


SOLVERS = {
    "ddim": Kind(diffusers.DDIMScheduler, ddim, _by_table),
    "dpm++2m": Kind(
        diffusers.DPMSolverMultistepScheduler,
        by_library,
        options={"algorithm_type": "dpmsolver++", "solver_order": 2},
    ),
    "unipc": Kind(diffusers.UniPCMultistepScheduler, by_library, options={"solver_order": 2}),
    "euler": Kind(diffusers.EulerDiscreteScheduler, by_library_in_sigmas),
    "lcm": Kind(diffusers.LCMScheduler, lcm, _by_table_to_zero, needs_noise=True),
}
"""The solvers of a job, `Sampling.scheduler`."""
