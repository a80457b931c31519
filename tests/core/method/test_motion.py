"""Where frames look in their anchor."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from t2vz_core.fault import Fault
from t2vz_core.geometry.latent_maps import identity_map
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.correspondence import Correspondence, correspond, displacement
from t2vz_core.method.motion import published_warp, warp
from t2vz_core.wire.job import Frame, JobSpec, Motion, Shot

from ..small_jobs import job

PUBLISHED = {
    12: [0, 1, 3, 4, 6, 7, 9, 10, 12],
    -12: [0, -2, -3, -5, -6, -8, -9, -11, -12],
    8: [0, 1, 2, 3, 4, 5, 6, 7, 8],
    3: [0, 0, 1, 1, 1, 2, 2, 3, 3],
}


def columns(height: int, width: int) -> torch.Tensor:
    """A latent that holds its own x."""
    return torch.arange(width, dtype=torch.float32).expand(1, 1, height, width)


def published_shift(x: float, height: int = 64, width: int = 64) -> int:
    """By how many whole cells the middle of the published warp looks to the right."""
    middle = width // 2
    return int(published_warp(columns(height, width), x, 0)[0, 0, 0, middle]) - middle


@pytest.mark.parametrize("strength", PUBLISHED)
def test_the_published_warp_moves_by_its_golden_cells(strength: int) -> None:
    assert [published_shift(strength * k) for k in range(9)] == PUBLISHED[strength]


def test_the_published_warp_at_other_sizes_moves_as_measured() -> None:
    assert [published_shift(12 * k, 128, 128) for k in range(9)] == list(range(0, 25, 3))
    assert [published_shift(12 * k, 64, 96) for k in range(9)] == [0, 2, 4, 7, 9, 11, 13, 16, 18]


def test_the_published_warp_reflects_at_the_border() -> None:
    row = published_warp(columns(64, 64), 36, 0)[0, 0, 0].tolist()
    assert row == [*range(4, 64), 63, 62, 61, 60]


def test_strength_moves_equally_in_pixels_at_any_size_and_aspect() -> None:
    for width, height in [(512, 512), (768, 512), (512, 896)]:
        spec = JobSpec(shot=Shot(width, height), motion=Motion("strength", (12.0, 12.0)))
        assert displacement(spec, Frame(4), 3, height // 8) == pytest.approx((4.5, 4.5))


def test_every_frame_moves_on_by_the_same_distance() -> None:
    spec = JobSpec(motion=Motion("strength", (-12.0, 0.0)))
    places = [displacement(spec, Frame(k), k, 64)[0] for k in range(9)]
    assert [b - a for a, b in pairwise(places)] == pytest.approx([-1.5] * 8)


def test_content_that_went_right_is_looked_for_on_the_left() -> None:
    spec = JobSpec(motion=Motion("translation"))
    assert displacement(spec, Frame(2, shift_px=(16.0, -8.0)), 1, 64) == (-2.0, 1.0)


def test_a_warp_by_whole_cells_moves_the_noise_exactly(tmp_path: Path) -> None:
    spec = replace(job(tmp_path), motion=Motion("translation"))
    frame = replace(spec.frames[1], shift_px=(16.0, 8.0))
    latent = torch.randn(1, 4, 8, 8)
    moved = warp(spec, correspond(spec, Source(tmp_path), frame, 1, 8, 8), latent)
    assert torch.equal(moved[..., 1:, 2:], latent[..., :-1, :-2])


def test_noise_that_comes_into_view_is_new_and_not_a_mirror_image(tmp_path: Path) -> None:
    spec = replace(job(tmp_path), motion=Motion("translation"))
    frame = replace(spec.frames[1], shift_px=(32.0, 0.0))
    latent = torch.randn(1, 4, 8, 8)
    moved = warp(spec, correspond(spec, Source(tmp_path), frame, 1, 8, 8), latent)
    fresh, mirrored = moved[..., :4].flatten(), latent[..., :4].flip(-1).flatten()
    assert abs(torch.corrcoef(torch.stack([fresh, mirrored]))[0, 1]) < 0.25


def test_a_map_and_the_translation_it_draws_place_cells_alike(tmp_path: Path) -> None:
    spec = job(tmp_path)
    frame, source = spec.frames[2], Source(tmp_path)
    drawn = correspond(replace(spec, motion=Motion("map")), source, frame, 2, 8, 8)
    said = correspond(spec, source, frame, 2, 8, 8)
    assert torch.allclose(drawn.positions, said.positions, atol=1e-5)
    assert torch.equal(drawn.visible > 0.5, said.visible > 0.5)


def test_new_content_is_the_same_noise_in_every_frame_that_shows_it() -> None:
    """A pan by whole cells: what comes into view in frame 3 is four cells further in frame 5."""
    latent, shown = torch.randn(1, 4, 8, 12), []
    for number, shift in ((3, 4), (5, 8)):
        cells = identity_map(8, 12) - torch.tensor([float(shift), 0.0])
        visible = (cells[..., 0] > 0).float()
        shown.append(
            warp(JobSpec(), Correspondence(Frame(number), number - 1, cells, visible), latent)
        )
    assert torch.equal(shown[0][..., :8], shown[1][..., 4:])
    assert torch.equal(shown[1][..., 8:], latent[..., :4])


def test_the_published_warp_follows_a_translation_and_knows_no_map(tmp_path: Path) -> None:
    spec = replace(job(tmp_path), motion=Motion("translation", is_faithful=True))
    frame, latent = replace(spec.frames[1], shift_px=(-16.0, 0.0)), columns(8, 8)
    moved = warp(spec, correspond(spec, Source(tmp_path), frame, 1, 8, 8), latent)
    assert moved[0, 0, 0].tolist() == [2, 3, 4, 5, 6, 7, 7, 6]
    spec = replace(spec, motion=Motion("map", is_faithful=True))
    with pytest.raises(Fault, match="knows no maps"):
        warp(spec, correspond(spec, Source(tmp_path), spec.frames[1], 1, 8, 8), latent)
