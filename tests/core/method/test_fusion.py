"""What the anchor shows is put where a frame shows the same points, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from t2vz_core.geometry.pixel_maps import Link, grid
from t2vz_core.method.fusion import carry, carry_lost, fuse, is_fused
from t2vz_core.wire.job import Coherence, Control, Frame, JobSpec, Motion, Passes
from t2vz_core.wire.rules import fused_part

from ..small_jobs import job, make, networks


def test_seen_cells_take_the_anchor_and_hidden_cells_keep_their_own():
    clean, carried = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    visible = torch.zeros(2, 1, 8, 8)
    visible[..., :4], visible[..., 4] = 1, 0.5
    fused = fuse(clean, carried, visible)
    assert torch.equal(fused[..., :4], carried[..., :4])
    assert torch.equal(fused[..., 5:], clean[..., 5:])
    assert torch.allclose(fused[..., 4], (carried[..., 4] + clean[..., 4]) / 2)


def test_the_anchor_s_picture_moves_along_the_map():
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    moved, known = carry(
        [(picture, Link(grid(16, 24) + np.float32([3, 0]), np.ones((16, 24), bool)))]
    )
    assert np.array_equal(moved[:, :21], picture[:, 3:]) and known.all()


def test_what_was_hidden_is_filled_from_around_it():
    picture = np.full((17, 23, 3), 200, np.uint8)
    picture[:, :8] = 40
    picture[5:9, 14:19] = 0
    visible = np.ones((17, 23), bool)
    visible[5:9, 14:19] = False
    filled, known = carry([(picture, Link(grid(17, 23), visible))])
    assert (filled[5:9, 14:19] > 150).all() and np.array_equal(filled[:, :8], picture[:, :8])
    assert np.array_equal(known, visible)


def test_what_the_first_picture_hides_a_later_one_may_show():
    one, two = (np.full((8, 8, 3), value, np.uint8) for value in (10, 20))
    left = np.arange(8)[None].repeat(8, 0) < 4
    picture, known = carry(
        [(one, Link(grid(8, 8), left)), (two, Link(grid(8, 8), np.ones((8, 8), bool)))]
    )
    assert (picture[:, :4] == 10).all() and (picture[:, 4:] == 20).all() and known.all()


def test_a_frame_that_shows_nothing_of_the_anchor_is_still_a_picture():
    filled, known = carry(
        [(np.full((9, 5, 3), 90, np.uint8), Link(grid(9, 5), np.zeros((9, 5), bool)))]
    )
    assert filled.shape == (9, 5, 3) and filled.dtype == np.uint8 and not known.any()


def test_what_pictures_lose_moves_with_them_the_first_that_shows_a_cell_before_the_others():
    one, two = torch.ones(4, 2, 4), torch.full((4, 2, 4), 2.0)
    left = np.arange(32)[None].repeat(16, 0) < 16
    moved = carry_lost([(one, Link(grid(16, 32), left)), (two, Link(grid(16, 32), ~left | left))])
    assert torch.allclose(moved[:, :, :2], one[:, :, :2]) and torch.allclose(
        moved[:, :, 2:], two[:, :, 2:]
    )
    still = torch.randn(4, 2, 4)
    everywhere = np.ones((16, 32), bool)
    assert torch.allclose(carry_lost([(still, Link(grid(16, 32), everywhere))]), still, atol=1e-6)
    assert not carry_lost([(still, Link(grid(16, 32), ~everywhere))]).any()


def test_a_frame_that_did_not_move_is_fused_into_its_anchor(tmp_path):
    spec = job(tmp_path, 2, motion=Motion("map"), coherence=Coherence(fusion=1.0))
    passes = replace(
        spec.frames[1].passes, map=spec.frames[0].passes.map, visible=spec.frames[0].passes.visible
    )
    spec = replace(
        spec,
        frames=(spec.frames[0], replace(spec.frames[1], passes=passes)),
        controls=(Control("depth"),),
    )
    made = make(tmp_path, spec, networks("sd1", 1))
    assert np.abs(made[1].astype(int) - made[2]).max() <= 1


@pytest.mark.slow
def test_what_stands_near_to_what_moved_is_fused_in_fewer_steps(tmp_path):
    spec = job(
        tmp_path, 2, motion=Motion("map"), coherence=Coherence(fusion=1.0, fusion_disturbed=0.0)
    )
    passes = replace(
        spec.frames[1].passes, map=spec.frames[0].passes.map, visible=spec.frames[0].passes.visible
    )
    left = np.arange(64)[None].repeat(64, 0) < 32
    np.save(tmp_path / "left.npy", left.astype(np.uint8) * 255)

    def far_from_the_anchor(**how) -> tuple[float, float]:
        later = replace(spec.frames[1], passes=replace(passes, **how))
        moved = replace(spec, frames=(spec.frames[0], later), controls=(Control("depth"),))
        made = make(tmp_path, moved, networks("sd1", 1))
        off = np.abs(made[1].astype(int) - made[2]).mean(-1)
        return off[left].mean(), off[~left].mean()

    near, elsewhere = far_from_the_anchor(disturbed="left.npy")
    assert near > 2 * elsewhere and near > 2 * max(far_from_the_anchor())


def test_only_the_first_part_of_the_steps_is_fused():
    assert [is_fused(step, 10, 0.3) for step in range(10)] == [True] * 3 + [False] * 7
    assert not is_fused(0, 10, 0.0) and is_fused(9, 10, 1.0)


def test_where_nothing_is_known_of_the_motion_nothing_is_fused():
    frames = (Frame(1, passes=Passes(map="passes/map/0001.npy")), Frame(4))
    spec = JobSpec(motion=Motion("none"), coherence=Coherence(fusion=0.5), frames=frames)
    assert fused_part(spec, True) == 0
    assert fused_part(replace(spec, motion=Motion("translation")), True) == 0.5
    assert fused_part(replace(spec, frames=frames[:1]), True) == 0.5
    assert (
        fused_part(replace(spec, frames=frames[:1]), False) == 0
    )  # a prompt alone shows shapes of its own


def test_the_faithful_mode_does_not_fuse():
    assert (
        fused_part(
            JobSpec(motion=Motion("strength", is_faithful=True), coherence=Coherence(fusion=0.5)),
            False,
        )
        == 0
    )
