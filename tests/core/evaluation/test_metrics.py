"""The measures are zero for what moves as the scene does and grow with each fault they are there to
find."""

import cv2
import numpy as np
import pytest

from t2vz_core.evaluation import metrics
from t2vz_core.geometry.pixel_maps import Link, grid, link, warp

SIDE, STEP_PX = 96, 3.0
EVERYWHERE = np.ones((SIDE, SIDE), bool)


def _texture(place: np.ndarray) -> np.ndarray:
    """A colour (…, 3) for every anchor position (…, 2): waves of several lengths."""
    x, y = place[..., 0], place[..., 1]
    waves = [np.sin(x / a + b) * np.cos(y / (a + 1) - b) for a, b in ((2.5, 0), (4.1, 1), (7.3, 2))]
    return (0.5 + 0.45 * np.stack(waves, -1)).astype(np.float32)


def _pan(k: int) -> Link:
    """The content moves 3 px to the right per frame, so a point was further left in the anchor."""
    place = grid(SIDE, SIDE) - np.float32([STEP_PX * k, 0])
    return Link(place, place[..., 0] >= 0)


def test_a_sequence_that_moves_with_the_scene_has_no_warp_error_and_no_flicker():
    pictures = [_texture(_pan(k).map) for k in range(3)]
    back, forth = link(_pan(1), _pan(0), 0), link(_pan(1), _pan(2), 2)
    assert metrics.warp_error(pictures[1], pictures[0], back) < 1e-6
    assert metrics.flicker(*pictures, back, forth) < 1e-3
    assert metrics.flicker(pictures[0], 1 - pictures[1], pictures[2], back, forth) > 0.3


def test_the_warp_error_is_the_mean_square_of_the_difference():
    picture = np.zeros((SIDE, SIDE, 3), np.float32)
    here = Link(grid(SIDE, SIDE), EVERYWHERE)
    assert metrics.warp_error(picture, picture + 0.5, here) == pytest.approx(0.25)
    assert metrics.warp_error(picture, picture + 0.5, here, ~EVERYWHERE) is None


def test_hidden_points_do_not_count():
    link = _pan(4)
    picture = _texture(link.map)
    picture[:, :12] = 0
    assert metrics.warp_error(picture, _texture(_pan(0).map), link) < 1e-6


def test_texture_that_sticks_to_the_screen_fails_the_motion():
    back = link(_pan(1), _pan(0), 0)
    stuck, moved = _texture(_pan(0).map), _texture(_pan(1).map)
    assert metrics.motion_px(back) == pytest.approx(STEP_PX, abs=1e-3)
    assert metrics.motion_error_px(moved, stuck, back) < 0.3
    assert metrics.motion_error_px(stuck, stuck, back) == pytest.approx(STEP_PX, abs=0.2)


def test_a_flat_picture_says_nothing_about_motion():
    flat = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    assert metrics.motion_error_px(flat, flat, _pan(1)) is None


def test_structure_is_one_when_depth_edges_are_drawn_and_nought_when_not():
    depth = np.full((SIDE, SIDE), np.inf, np.float32)
    depth[30:60, 30:60] = 4
    drawn = np.zeros((SIDE, SIDE, 3), np.float32)
    drawn[30:60, 30:60] = 1
    assert metrics.structure(drawn, depth) > 0.99
    assert metrics.structure(np.roll(drawn, 20, 1), depth) < 0.6
    assert metrics.structure(np.zeros_like(drawn), depth) == 0


def test_blur_costs_sharpness():
    picture = _texture(grid(SIDE, SIDE))
    blurred = warp(picture, grid(SIDE, SIDE) + np.float32([0.5, 0.5]))
    assert metrics.sharpness(blurred) < 0.9 * metrics.sharpness(picture)


def test_sharpness_is_kept_by_what_moves_and_lost_by_what_is_blurred():
    anchor, moved = _texture(_pan(0).map), _texture(_pan(2).map)
    assert metrics.sharpness_kept(moved, anchor, _pan(2)) == pytest.approx(1, abs=0.03)
    assert metrics.sharpness_kept(cv2.GaussianBlur(moved, (0, 0), 3), anchor, _pan(2)) < 0.6
    assert metrics.sharpness_kept(moved, anchor, Link(grid(SIDE, SIDE), ~EVERYWHERE)) is None


def _two_objects() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture of two textured objects, left and right, what of them is new, and their ids."""
    ids = np.where(np.arange(SIDE)[None] < SIDE // 2, 1, 2).repeat(SIDE, 0)
    new = np.zeros((SIDE, SIDE), bool)
    new[20:40, 10:30] = new[20:40, 60:80] = True
    tint = np.where((ids == 1)[..., None], [0.5, 0.0, 0.0], [0.0, 0.0, 0.5])
    return (_texture(grid(SIDE, SIDE)) * 0.4 + tint).astype(np.float32), new, ids


def test_what_is_newly_shown_is_like_its_own_object_elsewhere():
    picture, new, ids = _two_objects()
    assert metrics.new_colour(picture, new, ids) < 0.05
    assert metrics.new_texture(picture, new, ids) == pytest.approx(1, abs=0.25)


def test_what_takes_the_colour_of_its_neighbour_or_is_a_smear_is_seen():
    picture, new, ids = _two_objects()
    swapped, smeared = picture.copy(), picture.copy()
    swapped[20:40, 10:30], swapped[20:40, 60:80] = picture[20:40, 60:80], picture[20:40, 10:30]
    smeared[new] = cv2.blur(picture, (17, 17))[new]
    assert metrics.new_colour(swapped, new, ids) > 0.5
    assert metrics.new_texture(smeared, new, ids) < 0.3


def test_nothing_new_says_nothing():
    picture, new, ids = _two_objects()
    assert metrics.new_colour(picture, ~EVERYWHERE, ids) is None
    assert metrics.new_colour(picture, new, np.zeros_like(ids)) is None


def test_flicker_of_a_part_is_blind_to_the_rest():
    pictures = [np.zeros((SIDE, SIDE, 3), np.float32) for _ in range(3)]
    pictures[1][:, : SIDE // 2] = 1
    here = Link(grid(SIDE, SIDE), EVERYWHERE)
    left = grid(SIDE, SIDE)[..., 0] < SIDE // 2
    assert metrics.flicker(*pictures, here, here, left) == pytest.approx(2)
    assert metrics.flicker(*pictures, here, here, ~left) == 0
