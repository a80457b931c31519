"""Maps at the latent's resolution keep pixel centres, surfaces and visibility."""

import torch

from t2vz_core.geometry.latent_maps import (
    identity_map,
    map_to_cells,
    mask_to_cells,
    neighbours,
    sample,
)


def test_the_identity_at_picture_size_is_the_identity_in_cells():
    cells, visible = map_to_cells(identity_map(64, 96), torch.ones(64, 96))
    assert torch.equal(cells, identity_map(8, 12)) and visible.min() == 1


def test_a_shift_of_eight_pixels_is_one_cell():
    cells, _ = map_to_cells(identity_map(64, 64) + torch.tensor([8.0, -4.0]), torch.ones(64, 64))
    assert torch.allclose(cells - identity_map(8, 8), torch.tensor([1.0, -0.5]))


def test_a_zoom_about_the_corner_has_no_half_cell_bias():
    cells, _ = map_to_cells(identity_map(64, 64) * 0.5, torch.ones(64, 64))
    assert torch.allclose(cells, identity_map(8, 8) * 0.5)


def test_a_cell_on_a_silhouette_follows_one_surface_and_not_the_average():
    moves = torch.zeros(8, 8, 2)
    moves[:, 5:] = 80.0
    cells, _ = map_to_cells(identity_map(8, 8) + moves, torch.ones(8, 8))
    assert torch.equal(cells, identity_map(1, 1))


def test_hidden_pixels_do_not_steer_a_cell():
    moves, visible = torch.zeros(8, 8, 2), torch.ones(8, 8)
    moves[:, 2:], visible[:, 2:] = 80.0, 0
    cells, part = map_to_cells(identity_map(8, 8) + moves, visible)
    assert torch.equal(cells, identity_map(1, 1)) and part.item() == 0.25


def test_a_mask_becomes_the_covered_part():
    mask = torch.zeros(16, 16)
    mask[:8, :4] = 255
    assert torch.equal(mask_to_cells(mask), torch.tensor([[0.5, 0], [0, 0]]))


def test_sampling_follows_the_map_backwards():
    field = identity_map(6, 9).permute(2, 0, 1)
    cells = identity_map(6, 9)[1:5, 1:7] + torch.tensor([0.25, -0.5])
    assert torch.allclose(sample(field, cells), cells.permute(2, 0, 1), atol=1e-5)


def test_neighbours_weigh_one_in_all_inside_and_nothing_far_outside():
    index, weight = neighbours(torch.tensor([[[2.2, 1.9], [-50.0, 1e20]]]), 4, 5)
    assert torch.isclose(weight[:, 0, 0].sum(), torch.tensor(1.0)) and weight[:, 0, 1].sum() == 0
    assert index.min() >= 0 and index.max() < 20


def test_neighbours_in_a_grid_that_wraps_are_on_the_other_side():
    index, weight = neighbours(torch.tensor([[[0.25, 4.0]]]), 4, 5, wraps=True)
    found = {int(i): float(w) for i, w in zip(index.flatten(), weight.flatten()) if w > 0}
    assert found == {19: 0.125, 15: 0.375, 4: 0.125, 0: 0.375}
