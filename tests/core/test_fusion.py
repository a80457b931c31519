"""What the anchor will show is put where a frame shows the same points, and nowhere else."""

import torch

from t2vz_core.fusion import fuse, is_fused
from t2vz_core.geometry import identity_map


def test_seen_cells_take_the_anchor_and_hidden_cells_keep_their_own():
    clean, anchor = torch.randn(4, 8, 8), torch.randn(4, 8, 8)
    visible = torch.zeros(8, 8)
    visible[:, :4], visible[:, 4] = 1, 0.5
    fused = fuse(clean, anchor, identity_map(8, 8), visible)
    assert torch.allclose(fused[:, :, :4], anchor[:, :, :4], atol=1e-5)
    assert torch.equal(fused[:, :, 5:], clean[:, :, 5:])
    assert torch.allclose(fused[:, :, 4], (anchor[:, :, 4] + clean[:, :, 4]) / 2, atol=1e-5)


def test_the_anchor_is_moved_along_the_map():
    anchor = torch.randn(4, 8, 8)
    fused = fuse(torch.zeros(4, 8, 8), anchor, identity_map(8, 8) + torch.tensor([2.0, 0.0]), torch.ones(8, 8))
    assert torch.allclose(fused[:, :, :6], anchor[:, :, 2:], atol=1e-5)


def test_only_the_first_part_of_the_steps_is_fused():
    assert [is_fused(step, 10, 0.3) for step in range(10)] == [True] * 3 + [False] * 7
    assert not is_fused(0, 10, 0.0) and is_fused(9, 10, 1.0)
