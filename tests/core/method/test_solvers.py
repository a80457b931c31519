"""Steps down and noise back up."""

from __future__ import annotations

import math

import pytest
import torch

from t2vz_core.method.solvers import Solver
from t2vz_core.wire.job import SCHEDULERS, Sampling

CONFIG = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "set_alpha_to_one": False,
}
DATA_VARIANCE = 0.25


def ideal_x0(solver: Solver, x: torch.Tensor, i: int) -> torch.Tensor:
    """What the best network says where pictures are noise of standard deviation 0.5."""
    alpha_bar = float(solver.alpha_bar[i])
    return math.sqrt(alpha_bar) * DATA_VARIANCE / (alpha_bar * DATA_VARIANCE + 1 - alpha_bar) * x


def walked(solver: Solver, x: torch.Tensor, first: int, last: int) -> torch.Tensor:
    step = solver.begin(first)
    for i in range(first, last):
        x = step(x, ideal_x0(solver, x, i), i, torch.randn_like(x))
    return x


@pytest.mark.parametrize("scheduler", [name for name in SCHEDULERS if name != "lcm"])
def test_every_solver_finds_back_to_the_pictures(scheduler: str) -> None:
    solver = Solver(Sampling(steps=40, scheduler=scheduler), CONFIG)
    x = walked(solver, torch.randn(4, 4, 32, 32), 0, len(solver))
    assert float(x.std()) == pytest.approx(0.5, rel=0.07)  # Euler, of first order, is 0.469


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_noise_put_back_is_as_much_as_the_level_holds(scheduler: str) -> None:
    torch.manual_seed(0)
    solver = Solver(Sampling(steps=12, scheduler=scheduler), CONFIG)
    high, low = 1, 4
    picture = 0.5 * torch.randn(4, 4, 64, 64)
    alpha_bar = float(solver.alpha_bar[low])
    x = math.sqrt(alpha_bar) * picture + math.sqrt(1 - alpha_bar) * torch.randn_like(picture)
    noised = solver.up(x, low, high, torch.randn_like(x))
    alpha_bar = float(solver.alpha_bar[high])
    assert float(noised.var()) == pytest.approx(alpha_bar * DATA_VARIANCE + 1 - alpha_bar, rel=0.02)


def test_in_the_space_of_sigmas_noise_is_added_and_nothing_scaled() -> None:
    solver = Solver(Sampling(steps=12, scheduler="euler"), CONFIG)
    x, eps, (high, low) = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8), (1, 4)
    sigma = ((1 - solver.alpha_bar) / solver.alpha_bar).sqrt()

    def scaled(latent: torch.Tensor, i: int) -> torch.Tensor:
        return latent * (1 + sigma[i] ** 2).sqrt()

    theirs = scaled(x, low) + (sigma[high] ** 2 - sigma[low] ** 2).sqrt() * eps
    assert torch.allclose(scaled(solver.up(x, low, high, eps), high), theirs, atol=1e-4)


def test_the_published_levels_lie_at_the_published_steps() -> None:
    solver = Solver(Sampling(steps=50), CONFIG)
    high, low = solver.nearest(941), solver.nearest(881)
    assert (high, low) == (2, 5) and (solver.times[high], solver.times[low]) == (941, 881)
    assert float(solver.alpha_bar[high] / solver.alpha_bar[low]) == pytest.approx(0.53053, abs=1e-5)
    kept = solver.up(torch.ones(1), low, high, torch.zeros(1), is_faithful=True)
    assert float(kept) ** 2 == pytest.approx(0.53106, abs=1e-5)


@pytest.mark.parametrize("steps", [2, 25, 100])
def test_any_number_of_steps_has_a_level_near_the_asked_one(steps: int) -> None:
    solver = Solver(Sampling(steps=steps), CONFIG)
    assert abs(solver.times[solver.nearest(941)] - 941) <= 500 / steps + 500 * (steps == 2)


@pytest.mark.parametrize("scheduler", ["ddim", "dpm++2m", "unipc"])
def test_a_way_that_begins_lower_does_not_remember_another_batch(scheduler: str) -> None:
    solver = Solver(Sampling(steps=8, scheduler=scheduler), CONFIG)
    x = torch.randn(1, 4, 8, 8)
    first = walked(solver, x, 3, 8)
    walked(solver, torch.randn(1, 4, 8, 8), 0, 8)
    assert torch.equal(walked(solver, x, 3, 8), first)


def test_a_network_that_predicts_velocity_means_the_same_picture() -> None:
    x0, eps, i = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8), 3
    by_noise = Solver(Sampling(steps=8), CONFIG)
    by_velocity = Solver(Sampling(steps=8), {**CONFIG, "prediction_type": "v_prediction"})
    signal, noise = by_noise.alpha_bar[i].sqrt(), (1 - by_noise.alpha_bar[i]).sqrt()
    x = (signal * x0 + noise * eps).float()
    assert torch.allclose(by_noise.x0(x, eps, i), x0, atol=1e-5)
    assert torch.allclose(by_velocity.x0(x, (signal * eps - noise * x0).float(), i), x0, atol=1e-5)


@pytest.mark.parametrize(("spacing", "first"), [("auto", 751), ("leading", 751), ("trailing", 999)])
def test_where_the_first_step_begins_is_the_artists_to_say(spacing, first):
    sampling = Sampling(steps=4, scheduler="euler", spacing=spacing)
    config = {"timestep_spacing": "leading", "steps_offset": 1}
    assert Solver(sampling, config).times[0] == first
    at_noise = {"timestep_spacing": "trailing", "steps_offset": 1}
    assert Solver(sampling, at_noise).times[0] == (751 if spacing == "leading" else 999)
