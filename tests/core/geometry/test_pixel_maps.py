"""Frames are linked through their anchor, and only where they show the same surface."""

import numpy as np
import pytest

from t2vz_core.geometry.pixel_maps import RESIDUAL_PX, Link, grid, link, warp

SIDE, STEP_PX = 96, 3.0
EVERYWHERE = np.ones((SIDE, SIDE), bool)


def _pan(k: int) -> Link:
    """The content moves 3 px to the right per frame, so a point was further left in the anchor."""
    place = grid(SIDE, SIDE) - np.float32([STEP_PX * k, 0])
    return Link(place, place[..., 0] >= 0)


def _zoom(k: int) -> Link:
    place = (grid(SIDE, SIDE) - SIDE / 2) / np.float32(1 + 0.05 * k) + SIDE / 2
    return Link(place.astype(np.float32), EVERYWHERE)


@pytest.mark.parametrize("motion", [_pan, _zoom])
def test_a_link_between_frames_is_found_through_the_anchor(motion):
    found = link(motion(3), motion(2), 2 / 3)
    assert found.visible.mean() > 0.9
    there = warp(motion(2).map, found.map)
    assert np.abs(there - motion(3).map)[found.visible].max() < RESIDUAL_PX


def _pan_behind_a_square(k: int) -> Link:
    """The ground pans behind a square that stands at 30..60."""
    ground, still = _pan(k).map, grid(SIDE, SIDE)
    on_square, was_behind = (((at >= 30) & (at < 60)).all(-1) for at in (still, ground))
    visible = on_square | (~was_behind & (ground[..., 0] >= 0))
    return Link(np.where(on_square[..., None], still, ground), visible)


def test_a_link_does_not_cross_from_one_surface_to_another():
    found = link(_pan_behind_a_square(3), _pan_behind_a_square(2), 2 / 3)
    assert found.visible[32:58, 32:58].all()
    assert np.abs(found.map - grid(SIDE, SIDE))[32:58, 32:58].max() < 1e-3
    assert not found.visible[32:58, 60:63].any()  # behind the square one frame earlier


def test_what_is_hidden_in_the_anchor_is_told_apart_by_its_object():
    everywhere_hidden = np.zeros((SIDE, SIDE), bool)
    ball, ground = np.full((SIDE, SIDE), 2), np.full((SIDE, SIDE), 1)
    here, there = (
        Link(_pan(3).map, everywhere_hidden, ball),
        Link(_pan(2).map, everywhere_hidden, ground),
    )
    assert not link(here, there, 2 / 3).visible.any()
    assert link(here, Link(there.map, there.visible, ball), 2 / 3).visible.mean() > 0.9
    assert link(here, Link(there.map, there.visible), 2 / 3).visible.mean() > 0.9
