"""Steps down the noise levels, and noise back up.

DDIM: Song et al., https://arxiv.org/abs/2010.02502 (the paper's solver). DPM-Solver++, UniPC and
Euler are diffusers' own; LCM: Luo et al., https://arxiv.org/abs/2310.04378.

Every latent outside this file is variance preserving: x_t = √ᾱ_t·x_0 + √(1−ᾱ_t)·ε. A σ-scaled
solver (Euler) gets its own scale inside its step, so that noising up is one formula for all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import diffusers
import torch
from torch import Tensor

from ..wire.job import Sampling
from .noise import blend_noise

Step = Callable[[Tensor, Tensor, int, Tensor | None], Tensor]

_LIBRARY: dict[str, tuple[type, dict[str, Any]]] = {
    "ddim": (diffusers.DDIMScheduler, {}),
    "dpm++2m": (
        diffusers.DPMSolverMultistepScheduler,
        {"algorithm_type": "dpmsolver++", "solver_order": 2},
    ),
    "unipc": (diffusers.UniPCMultistepScheduler, {"solver_order": 2}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {}),
}
_LCM_SCALE, _LCM_DATA = 10.0, 0.5


class Descent:
    """A way down of n steps: step i takes a latent from level i to level i + 1; level n is the
    picture.

    Attributes:
        times: the n timesteps the networks are told, 0..1000, falling.
        alpha_bar: ᾱ of the n + 1 levels, rising.
        needs_noise: whether a step takes fresh noise.
    """

    def __init__(self, sampling: Sampling, scheduler_config: dict[str, Any]) -> None:
        kind, extra = _LIBRARY[sampling.scheduler]
        self._kind = sampling.scheduler
        self._predicts = scheduler_config.get("prediction_type", "epsilon")
        self._library = kind.from_config(
            dict(scheduler_config), **{**extra, "prediction_type": "sample"}
        )
        self._library.set_timesteps(sampling.steps)
        self.times: list[float] = self._library.timesteps.tolist()
        self.alpha_bar = self._alpha_bars()
        self.needs_noise = sampling.scheduler == "lcm"

    def __len__(self) -> int:
        return len(self.times)

    def nearest(self, level: float) -> int:
        """The level whose timestep is nearest to `level` (0..1000)."""
        return min(range(len(self)), key=lambda i: abs(self.times[i] - level))

    def x0(self, x: Tensor, output: Tensor, i: int) -> Tensor:
        """x̂_0 of what the network said of x at level i."""
        signal, noise = self._scales(i)
        if self._predicts == "epsilon":
            return (x - noise * output) / signal
        if self._predicts == "v_prediction":
            return signal * x - noise * output
        return output

    def begin(self, i: int) -> Step:
        """A step function (x, x̂_0, level, fresh noise) -> x one level down, for a way that begins
        at level i.

        Multi-step solvers remember earlier steps, so every batch of frames walks with a function of
        its own.
        """
        if self._kind == "ddim":
            return self._ddim
        if self._kind == "lcm":
            return self._lcm
        solver = copy.deepcopy(self._library)
        solver.set_begin_index(i)
        solver.is_scale_input_called = (
            True  # the latents outside are scaled as the networks take them
        )
        return lambda x, x0, j, noise: self._step_of(solver, x, x0, j)

    def up(
        self, x: Tensor, low: int, high: int, noise: Tensor, is_faithful: bool = False
    ) -> Tensor:
        """DDPM forward from level `low` (less noise) to `high`: x_T = √A·x_T′ + √(1−A)·ε, A =
        ᾱ_T/ᾱ_T′.

        Faithful: the published code's product of α runs over T′..T−1 instead of T′+1..T.
        """
        kept = float(self.alpha_bar[high] / self.alpha_bar[low])
        if is_faithful:
            table = self._library.alphas_cumprod.double()
            kept = float(table[int(self.times[high]) - 1] / table[int(self.times[low]) - 1])
        return blend_noise(x, noise, kept)

    def _scales(self, i: int) -> tuple[float, float]:
        alpha_bar = float(self.alpha_bar[i])
        return math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)

    def _alpha_bars(self) -> Tensor:
        if self._kind in ("ddim", "lcm"):
            table = self._library.alphas_cumprod.double()
            last = self._library.final_alpha_cumprod if self._kind == "ddim" else torch.ones(())
            return torch.cat([table[self._library.timesteps.long()], last.double().reshape(1)])
        return 1 / (1 + self._library.sigmas.double() ** 2)

    def _ddim(self, x: Tensor, x0: Tensor, i: int, noise: Tensor | None) -> Tensor:
        (a, b), (a_next, b_next) = self._scales(i), self._scales(i + 1)
        return a_next * x0 + b_next * (x - a * x0) / b

    def _lcm(self, x: Tensor, x0: Tensor, i: int, noise: Tensor | None) -> Tensor:
        t = _LCM_SCALE * self.times[i]
        skip, out = _LCM_DATA**2 / (t**2 + _LCM_DATA**2), t / math.sqrt(t**2 + _LCM_DATA**2)
        a_next, b_next = self._scales(i + 1)
        x0 = out * x0 + skip * x
        return x0 if i + 1 == len(self) else a_next * x0 + b_next * noise

    def _step_of(self, solver: Any, x: Tensor, x0: Tensor, i: int) -> Tensor:
        before, after = (self._solver_scale(j) for j in (i, i + 1))
        return solver.step(x0, solver.timesteps[i], x * before, return_dict=False)[0] / after

    def _solver_scale(self, i: int) -> float:
        return 1 / self._scales(i)[0] if self._kind == "euler" else 1.0
