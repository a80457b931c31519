"""Warped noise stays white noise, whatever the map, and stays attached to what it was on."""

import math

import pytest
import torch

from t2vz_core.geometry.latent_maps import identity_map, sample
from t2vz_core.method.noise import DRAWS, blend_noise, keyed_noise, warp_noise

SIDE, FIELDS = 48, 64


def _turned(degrees: float, zoom: float = 1.0) -> torch.Tensor:
    """The identity turned and zoomed about the middle."""
    a = math.radians(degrees)
    turn = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) / zoom
    return (identity_map(SIDE, SIDE) - SIDE / 2) @ turn.T + SIDE / 2


MAPS = {
    "identity": identity_map(SIDE, SIDE),
    "half a cell": identity_map(SIDE, SIDE) + 0.5,
    "a third of a cell": identity_map(SIDE, SIDE) + torch.tensor([1 / 3, 0.0]),
    "turned": _turned(17.0),
    "zoomed in": _turned(0.0, 2.3),
    "zoomed out": _turned(5.0, 0.6),
    "perspective": identity_map(SIDE, SIDE) * torch.linspace(0.4, 1.0, SIDE)[:, None, None],
    "one point": torch.full((SIDE, SIDE, 2), 20.2),
    "folded": (identity_map(SIDE, SIDE) * 2) % SIDE,
}


def _warped(cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    noise = keyed_noise(1, 1, (FIELDS, SIDE, SIDE))
    return noise, warp_noise(noise, cells, keyed_noise(1, 2, (DRAWS, FIELDS, SIDE, SIDE), "warp"))


def test_noise_is_keyed_by_seed_frame_and_purpose():
    one = keyed_noise(3, 7, (4, 8, 8))
    assert torch.equal(one, keyed_noise(3, 7, (4, 8, 8)))
    others = [(3, 8, "frame"), (4, 7, "frame"), (3, -7, "frame"), (3, 7, "warp")]
    assert all(not torch.equal(one, keyed_noise(a, b, (4, 8, 8), c)) for a, b, c in others)


def test_noise_is_the_same_on_every_machine():
    expected = torch.tensor([-1.2263259, -1.5947791, 1.2507070, 0.0117870])
    assert torch.allclose(keyed_noise(0, 1, (4,)), expected, atol=1e-6)


@pytest.mark.parametrize("name", MAPS)
def test_warped_noise_has_mean_zero_and_unit_variance_in_every_cell(name: str):
    _, warped = _warped(MAPS[name])
    count = warped.numel()
    assert abs(warped.mean()) < 5 / math.sqrt(count)
    assert abs(warped.var() - 1) < 5 * math.sqrt(2 / count)
    per_cell = warped.var(0)
    assert per_cell.min() > 0.35 and per_cell.max() < 2.2  # 5 sigma of a variance over 64 fields


@pytest.mark.parametrize("name", MAPS)
def test_warped_noise_is_white(name: str):
    _, warped = _warped(MAPS[name])
    for lag in (1, 2, 3):
        for other in (
            warped[:, lag:, :] * warped[:, :-lag, :],
            warped[:, :, lag:] * warped[:, :, :-lag],
        ):
            assert abs(other.mean()) < 5 / math.sqrt(other.numel())


@pytest.mark.parametrize("name", MAPS)
def test_warped_noise_is_normally_distributed(name: str):
    _, warped = _warped(MAPS[name])
    ordered = warped.flatten().sort().values
    expected = 0.5 * (1 + torch.erf(ordered / math.sqrt(2)))
    distance = (expected - torch.linspace(0, 1, ordered.numel())).abs().max()
    assert distance < 1.95 / math.sqrt(ordered.numel())  # Kolmogorov-Smirnov at 0.1 %


def test_the_identity_changes_no_bit():
    noise, warped = _warped(MAPS["identity"])
    assert torch.equal(noise, warped)


def test_a_shift_by_whole_cells_moves_the_noise_exactly():
    noise, warped = _warped(identity_map(SIDE, SIDE) + torch.tensor([3.0, -2.0]))
    assert torch.equal(warped[:, 2:, :-3], noise[:, :-2, 3:])


def test_the_noise_stays_on_the_surface_along_any_map():
    for name, least in {
        "turned": 0.5,
        "half a cell": 0.49,
        "zoomed in": 0.25,
        "zoomed out": 0.6,
    }.items():
        noise, warped = _warped(MAPS[name])
        blend = sample(noise, MAPS[name])[:, 8:-8, 8:-8]
        along = torch.corrcoef(torch.stack([blend.flatten(), warped[:, 8:-8, 8:-8].flatten()]))[
            0, 1
        ]
        assert along > least, (name, along)


def test_one_composed_warp_keeps_what_eight_chained_ones_lose():
    noise = keyed_noise(1, 1, (FIELDS, SIDE, SIDE))
    chained = noise
    for k in range(8):
        draws = keyed_noise(1, k, (DRAWS, FIELDS, SIDE, SIDE), "warp")
        chained = warp_noise(chained, identity_map(SIDE, SIDE) + torch.tensor([0.25, 0.0]), draws)
    _, composed = _warped(identity_map(SIDE, SIDE) + torch.tensor([2.0, 0.0]))
    kept = (chained[:, :, :-2] * noise[:, :, 2:]).mean()
    assert kept < 0.5 and torch.equal(composed[:, :, :-2], noise[:, :, 2:])


def test_what_was_hidden_gets_fresh_noise_and_takes_none_from_the_rest():
    noise = keyed_noise(1, 1, (FIELDS, SIDE, SIDE))
    visible = torch.ones(SIDE, SIDE, dtype=torch.bool)
    visible[:, 20:] = False
    draws = keyed_noise(1, 2, (DRAWS, FIELDS, SIDE, SIDE), "warp")
    warped = warp_noise(noise, identity_map(SIDE, SIDE), draws, visible)
    assert torch.equal(warped[:, :, :20], noise[:, :, :20])
    assert torch.equal(warped[:, :, 20:], draws[4][:, :, 20:])


def test_noise_that_wraps_goes_on_beyond_its_borders():
    noise = keyed_noise(1, 1, (4, 8, 8))
    far = identity_map(8, 8) + torch.tensor([-13.0, 8.0])
    warped = warp_noise(noise, far, keyed_noise(1, 2, (DRAWS, 4, 8, 8)), wraps=True)
    assert torch.equal(warped, noise.roll(13, 2))


def test_warping_twice_gives_the_same_bits():
    assert torch.equal(_warped(MAPS["turned"])[1], _warped(MAPS["turned"])[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_warps_as_the_cpu_does_and_always_the_same():
    noise, draws = keyed_noise(1, 1, (4, 64, 64)), keyed_noise(1, 2, (DRAWS, 4, 64, 64), "warp")
    cells = _turned(17.0)[:48, :48]
    draws = draws[:, :, :48, :48].contiguous()
    runs = [warp_noise(noise.cuda(), cells.cuda(), draws.cuda()) for _ in range(5)]
    assert all(torch.equal(runs[0], run) for run in runs)
    assert torch.allclose(runs[0].cpu(), warp_noise(noise, cells, draws), atol=1e-5)


def test_re_noising_keeps_unit_variance_per_cell():
    kept = torch.tensor([[0.0, 0.53], [1.0, 0.2]]).repeat(8, 8)
    moved, fresh = keyed_noise(1, 1, (4096, 16, 16)), keyed_noise(1, 2, (4096, 16, 16))
    blended = blend_noise(moved, fresh, kept)
    assert abs(blended.var() - 1) < 0.01
    assert torch.equal(blended[:, ::2, ::2], fresh[:, ::2, ::2])
    assert torch.equal(blended[:, 1::2, ::2], moved[:, 1::2, ::2])
