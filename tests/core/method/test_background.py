"""Smoothing holds the background, touches nothing else and gives the noise back that it takes."""

import math

import pytest
import torch

from t2vz_core.fault import Fault
from t2vz_core.geometry.latent_maps import identity_map
from t2vz_core.method.background import demand_masks, shared_background, smooth, smooth_level
from t2vz_core.method.noise import blend_noise, keyed_noise
from t2vz_core.wire.job import Coherence, Frame, JobSpec, Passes


def _related(rho: float) -> tuple[torch.Tensor, torch.Tensor]:
    moved = keyed_noise(0, 1, (64, 32, 32))
    return blend_noise(moved, keyed_noise(0, 2, (64, 32, 32)), rho**2), moved


def test_the_foreground_is_left_alone_and_alpha_weighs_the_moved_anchor():
    latents, moved = _related(0.7)
    background = torch.ones(32, 32)
    background[:16] = 0
    smoothed = smooth(latents, moved, background, 0.6)
    assert torch.equal(smoothed[:, :16], latents[:, :16])
    assert torch.allclose(smoothed[:, 16:], 0.6 * moved[:, 16:] + 0.4 * latents[:, 16:], atol=1e-6)


def test_as_published_the_blend_has_too_little_noise():
    smoothed = smooth(*_related(0.729), torch.ones(32, 32), 0.6)
    assert math.isclose(smoothed.std(), 0.933, abs_tol=0.005)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.729, 1.0])
def test_with_its_variance_kept_the_blend_is_as_noisy_as_the_step_needs(rho: float):
    smoothed = smooth(*_related(rho), torch.ones(32, 32), 0.6, rho)
    assert math.isclose(smoothed.std(), 1.0, abs_tol=0.01)


def test_variance_is_kept_cell_by_cell_where_the_correlation_differs():
    rho = torch.full((32, 32), 0.729)
    rho[:, 16:] = 0
    near, moved = _related(0.729)
    latents = torch.where(rho > 0, near, keyed_noise(0, 3, near.shape))
    smoothed = smooth(latents, moved, torch.linspace(0, 1, 32)[:, None].expand(32, 32), 0.6, rho)
    for half in (smoothed[:, :, :16], smoothed[:, :, 16:]):
        assert (half.std((0, 2)) - 1).abs().max() < 0.08


def test_alpha_one_puts_the_moved_anchor_in_place():
    latents, moved = _related(0.3)
    assert torch.allclose(smooth(latents, moved, torch.ones(32, 32), 1.0, 0.3), moved)


def test_only_what_was_background_in_both_frames_is_shared():
    now, before = torch.zeros(4, 6), torch.zeros(4, 6)
    now[:, 0], before[:, 3] = 1, 1
    moved_left = identity_map(4, 6) + torch.tensor([1.0, 0.0])
    shared = shared_background(now, before, moved_left)
    assert shared[0].tolist() == [0, 1, 0, 1, 1, 1]


def test_a_frame_without_a_mask_is_named():
    frames = (Frame(1, passes=Passes(mask="passes/mask/0001.npy")), Frame(7))
    with pytest.raises(Fault, match=r"Frame 7 has no mask.*or turn background smoothing off"):
        demand_masks(JobSpec(coherence=Coherence(smoothing=0.6), frames=frames))
    demand_masks(JobSpec(frames=frames))


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_at_any_level_the_picture_is_blended_and_the_noise_keeps_its_variance(rho: float):
    own, moved = _related(rho)
    x0, shown = torch.full_like(own, 2.0)[None], torch.full_like(own, 4.0)[None]
    x, where = (0.7**0.5 * x0 + 0.3**0.5 * own), torch.ones(1, 1, 32, 32)
    where[..., :16] = 0
    for keeps_variance, std in ((True, 1.0), (False, (0.52 + 0.48 * rho) ** 0.5)):
        tied = Coherence(smoothing=0.6, keeps_variance=keeps_variance)
        smoothed = smooth_level(x, x0, (shown, moved[None]), where, (0.7**0.5, 0.3**0.5), tied)
        assert torch.allclose(smoothed[..., :16], x[..., :16], atol=1e-5)
        noise = (smoothed - 0.7**0.5 * 3.2)[..., 16:] / 0.3**0.5
        assert abs(noise.mean()) < 0.02 and math.isclose(noise.std(), std, abs_tol=0.01)


def test_without_noise_the_picture_alone_is_blended():
    x0, shown = torch.randn(2, 1, 4, 8, 8)
    tied = Coherence(smoothing=0.25)
    smoothed = smooth_level(
        x0, x0, (shown, torch.randn(1, 4, 8, 8)), torch.ones(1, 1, 8, 8), (1.0, 0.0), tied
    )
    assert torch.allclose(smoothed, 0.25 * shown + 0.75 * x0, atol=1e-6)
