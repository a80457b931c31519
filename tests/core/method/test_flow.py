"""The levels, steps and noise of models that flow."""

from __future__ import annotations

import math
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch

from t2vz_core.fault import Fault
from t2vz_core.method.flow import FLOWS, FlowSolver, is_flow, solver_of
from t2vz_core.method.solvers import Solver
from t2vz_core.wire.job import Frame, JobSpec, Motion, Sampling, Shot
from tests.core.random_transformers import SCHEDULER

CONFIG = SCHEDULER
DATA_VARIANCE = 0.5


def spec(steps: int, scheduler: str = "euler", side_px: int = 512) -> JobSpec:
    return JobSpec(
        shot=Shot(side_px, side_px),
        sampling=Sampling(steps=steps, scheduler=scheduler),
        frames=(Frame(1),),
    )


def solver(steps: int, scheduler: str = "euler", side_px: int = 512) -> FlowSolver:
    return FlowSolver(spec(steps, scheduler, side_px), CONFIG)


def test_a_scheduler_tells_whether_its_model_flows() -> None:
    assert is_flow(CONFIG) and not is_flow({"_class_name": "DDIMScheduler"})
    assert type(solver_of(spec(8), CONFIG)) is FlowSolver
    assert type(solver_of(spec(8), {"_class_name": "DDIMScheduler"})) is Solver


def test_eight_steps_have_the_published_levels() -> None:
    sigmas = solver(8).sigmas
    assert sigmas == pytest.approx([1, 21 / 22, 0.9, 5 / 6, 0.75, 9 / 14, 0.5, 0.3, 0], abs=1e-6)
    assert solver(8).times[:2] == pytest.approx([1000, 21000 / 22])


@pytest.mark.parametrize(("side_px", "T", "T_"), [(512, 0.9125, 0.8832), (1024, 0.954, 0.938)])
def test_the_jobs_levels_are_matched_by_signal_to_noise(side_px: int, T: float, T_: float) -> None:
    assert solver(8, side_px=side_px).matched == pytest.approx((T, T_), abs=1e-3)


@pytest.mark.parametrize("steps", [4, 8, 20, 50])
@pytest.mark.parametrize("side_px", [512, 1024])
def test_the_frames_keep_as_much_of_the_anchors_noise_as_in_the_paper(
    steps: int, side_px: int
) -> None:
    one = solver(steps, side_px=side_px)
    T, T_ = one.parting(Motion())
    assert one.shared(T, T_) == pytest.approx(0.725, abs=1e-3)
    if T:
        torch.manual_seed(0)
        picture = DATA_VARIANCE**0.5 * torch.randn(400_000)
        noise, fresh = torch.randn(2, 400_000)
        a, b = one.scales(T_)
        x = one.up(a * picture + b * noise, T_, T, fresh)
        a, b = one.scales(T)
        rest = (x - a * picture) / b
        assert float(rest.var()) == pytest.approx(1, abs=0.01)
        assert float(torch.corrcoef(torch.stack([rest, noise]))[0, 1]) == pytest.approx(
            0.725, abs=0.01
        )


def test_pure_noise_is_mixed() -> None:
    one = solver(2)  # σ = 1, 0.75: nothing near the job's T
    T, T_ = one.parting(Motion())
    assert (T, T_) == (0, 0)
    torch.manual_seed(0)
    anchor, fresh = torch.randn(2, 400_000)
    x = one.up(anchor, T_, T, fresh)
    assert float(x.var()) == pytest.approx(1, abs=0.01)
    assert float(torch.corrcoef(torch.stack([x, anchor]))[0, 1]) == pytest.approx(0.725, abs=0.01)


def test_it_says_which_levels_are_used() -> None:
    one = solver(8)
    said = one.told(Motion(), *one.parting(Motion()))
    assert "T = 941 and T′ = 881 of Stable Diffusion are σ = 0.91" in said
    assert "with 8 steps 0.900 and 0.867 are used" in said


def test_the_published_code_is_not_repeated_with_flows() -> None:
    with pytest.raises(Fault, match="no flow matching"):
        solver(8).parting(replace(Motion(), is_faithful=True))


def test_a_level_between_two_steps_lies_on_the_straight_way() -> None:
    one = solver(8)
    x, x0 = torch.randn(2, 1, 16, 4, 4)
    after = one.begin(0)(x, x0, 2, None)
    torch.testing.assert_close(one.between(x, x0, 2, 2.25), torch.lerp(x, after, 0.25))


@pytest.mark.parametrize(
    ("scheduler", "steps"), [("ddim", 200), ("euler", 200), ("dpm++2m", 60), ("unipc", 60)]
)
def test_solvers_arrive_at_the_exact_solution(scheduler: str, steps: int) -> None:
    """Of Gaussian data of variance s² the flow is known: x_σ has the standard deviation
    √((1−σ)²s² + σ²), and every point keeps its quantile."""
    one = solver(steps, scheduler)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64).view(1, 1, 3, 3)
    start = x.clone() * math.sqrt(_variance(one, 0))
    step, now = one.begin(0), start
    for i in range(len(one)):
        a, _ = one.scales(i)
        now = step(now, a * DATA_VARIANCE / _variance(one, i) * now, i, None)
    torch.testing.assert_close(now, x * DATA_VARIANCE**0.5, rtol=0.03, atol=1e-6)


def _variance(one: FlowSolver, i: int) -> float:
    a, b = one.scales(i)
    return a**2 * DATA_VARIANCE + b**2


def test_euler_takes_the_librarys_steps() -> None:
    one, library = solver(8), diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    library.set_timesteps(sigmas=np.linspace(1, 1 / 8, 8))
    x, step = torch.randn(1, 16, 8, 8), one.begin(0)
    ours = theirs = x
    for i, t in enumerate(library.timesteps):
        said = torch.randn_like(x)
        ours = step(ours, one.x0(ours, said, i), i, None)
        theirs = library.step(said, t, theirs).prev_sample
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scheduler", ["dpm++2m", "unipc"])
def test_multistep_solvers_take_the_librarys_steps(scheduler: str) -> None:
    one = solver(8, scheduler)
    library = FLOWS[scheduler].scheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0, solver_order=2
    )
    library.set_timesteps(8)
    x, step = torch.randn(1, 16, 8, 8), one.begin(0)
    ours = theirs = x
    for i, t in enumerate(library.timesteps):
        said = torch.randn_like(x)
        assert one.times[i] == pytest.approx(float(t), abs=1)
        ours = step(ours, one.x0(ours, said, i), i, None)
        theirs = library.step(said, t, theirs).prev_sample
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_lcm_noises_anew() -> None:
    one = solver(4, "lcm")
    x, x0, noise = torch.randn(3, 1, 16, 4, 4)
    a, b = one.scales(2)
    assert one.needs_noise
    torch.testing.assert_close(one.begin(0)(x, x0, 1, noise), a * x0 + b * noise)
    torch.testing.assert_close(one.begin(0)(x, x0, 3, noise), x0)
