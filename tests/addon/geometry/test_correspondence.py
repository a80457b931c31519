from dataclasses import replace

import numpy as np
import pytest

from blender_addon.geometry.correspondence import backward_map, shift
from blender_addon.geometry.projection import View, pixel_centres, sky_places, turn
from blender_addon.geometry.rasteriser import NONE, centre_samples
from blender_addon.geometry.surfaces import Body, Shape, Sight, Snapshot, camera_normals, surface_at

WIDTH, HEIGHT = 80, 60
QUAD = np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
HALVES = np.int32([[0, 1, 2], [0, 2, 3]])
UP = np.zeros((2, 3, 3), np.float32) + np.float32([0, 0, 1])
PIXELS = pixel_centres(WIDTH, HEIGHT)
SEEN = np.ones(len(PIXELS), bool)


def view(turned: float = 0.0, x: float = 0.0) -> View:
    """A camera at (x, 0, 0) that looks along −z, turned to the right by an angle."""
    c, s = np.cos(turned), np.sin(turned)
    rigid = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1.0]]) @ shifted(
        -x, 0, 0
    )
    lens = np.array([[60.0, 0, -WIDTH / 2, 0], [0, -60.0, -HEIGHT / 2, 0], [0, 0, -1, 0]])
    return View(lens @ rigid, rigid[:3], 0.1, 100.0, WIDTH, HEIGHT, (0, 0, WIDTH, HEIGHT))


def shifted(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def quad(name: str, x: float = 0, y: float = 0, z: float = -4, points: np.ndarray = QUAD) -> Body:
    return Body(name, name, 1, Shape(points, HALVES, HALVES.ravel(), UP), shifted(x, y, z))


def sight(*bodies: Body, camera: View | None = None) -> Sight:
    snapshot = Snapshot(camera or view(), bodies)
    return Sight(snapshot, surface_at(snapshot, centre_samples(WIDTH, HEIGHT)))


def silent(text: str) -> None:
    raise AssertionError(text)


def test_a_point_was_where_its_body_was():
    now, then = sight(quad("a", x=0.2)), sight(quad("a"))
    where, visible = backward_map(now, then, silent)
    on = now.surface.body == 0
    assert np.allclose((PIXELS - where)[on], (0.2 * 60 / 4, 0)) and visible[on].all()
    assert np.allclose((PIXELS - where)[~on], 0)


def test_the_sky_that_a_body_uncovers_was_hidden():
    now, then = sight(quad("a", x=1)), sight(quad("a"))
    _, visible = backward_map(now, then, silent)
    assert np.array_equal(visible, (now.surface.body == 0) | (then.surface.body == NONE))


def test_a_point_behind_another_body_was_hidden():
    cover = quad("cover", z=-2, points=QUAD * 0.3)
    _, visible = backward_map(sight(quad("a")), sight(quad("a"), cover), silent)
    covered = np.abs(PIXELS - (WIDTH / 2, HEIGHT / 2)).max(1) < 0.3 * 60 / 2
    assert np.array_equal(~visible, covered)


def test_a_body_that_was_not_there_was_not_visible():
    now = sight(quad("a"))
    _, visible = backward_map(now, sight(quad("b", z=-9)), silent)
    assert not visible[now.surface.body == 0].any()


def test_a_deformed_point_keeps_its_place_in_its_triangle():
    bent = QUAD * np.float32([2, 1, 1])
    now = sight(quad("a", points=bent))
    where, _ = backward_map(now, sight(quad("a")), silent)
    on = now.surface.body == 0
    assert np.allclose((where - WIDTH / 2)[on, 0] * 2, (PIXELS - WIDTH / 2)[on, 0])


def test_faces_cut_otherwise_are_the_same_faces():
    other = quad("a", x=0.2)
    other = replace(other, shape=replace(other.shape, triangles=np.int32([[0, 1, 3], [1, 2, 3]])))
    now = sight(other)
    where, visible = backward_map(now, sight(quad("a")), silent)
    assert visible[now.surface.body == 0].all()
    assert np.allclose((PIXELS - where)[now.surface.body == 0], (3, 0))


def test_another_topology_keeps_the_place_in_the_object_and_is_told_once_a_body():
    fan = Shape(
        np.vstack([QUAD, [[0, 0, 0]]]),
        np.int32([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]),
        np.arange(12),
    )
    now, told = sight(replace(quad("a", x=0.2), shape=fan)), []
    where, _ = backward_map(now, sight(quad("a")), told.append)
    assert np.allclose((PIXELS - where)[now.surface.body == 0], (3, 0))
    assert len(told) == 1 and told[0].startswith("a: its mesh changes its topology")


def test_the_sky_follows_the_turning_camera_and_not_its_travel():
    assert np.allclose(sky_places(view(), view(x=3), PIXELS), PIXELS)
    moved = sky_places(view(turned=0.1), view(), PIXELS)
    middle = moved[(HEIGHT // 2) * WIDTH + WIDTH // 2] - 0.5 - (WIDTH / 2, HEIGHT / 2)
    assert middle == pytest.approx((60 * np.tan(0.1), 0), abs=0.02)


def flat_view(x: float = 0, zoom: float = 1, rolled: float = 0) -> View:
    """An orthographic camera at (x, 0, 0) that looks along −z, 20 px to a unit."""
    c, s = np.cos(rolled), np.sin(rolled)
    rigid = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]) @ shifted(
        -x, 0, 0
    )
    lens = np.array(
        [[20.0 * zoom, 0, 0, WIDTH / 2], [0, -20.0 * zoom, 0, HEIGHT / 2], [0, 0, 0, 1]]
    )
    return View(lens @ rigid, rigid[:3], 0.1, 100.0, WIDTH, HEIGHT, (0, 0, WIDTH, HEIGHT))


@pytest.mark.parametrize("how", [{"x": 0.3}, {"zoom": 1.2}, {"rolled": 0.2}])
def test_an_orthographic_cameras_sky_pans_zooms_and_rolls_with_the_scene(how):
    scene = quad("a", points=QUAD * 100)
    where, _ = backward_map(
        sight(scene, camera=flat_view(**how)), sight(scene, camera=flat_view()), silent
    )
    assert np.allclose(sky_places(flat_view(**how), flat_view(), PIXELS), where)
    assert np.abs(where - PIXELS).max() > 2


def test_between_perspective_and_orthographic_the_sky_stays_where_it_is():
    assert np.array_equal(sky_places(view(x=1), flat_view(), PIXELS), PIXELS)


def test_every_place_is_finite_even_behind_the_camera():
    where, visible = backward_map(
        sight(quad("a")), sight(quad("a"), camera=view(turned=np.pi)), silent
    )
    assert np.isfinite(where).all() and not visible.any()


def test_normals_face_the_viewer():
    front = sight(quad("a"))
    back = sight(replace(quad("a"), matrix=shifted(0, 0, -4) @ np.diag([-1.0, 1, -1, 1])))
    mirrored = sight(replace(quad("a"), matrix=shifted(0, 0, -4) @ np.diag([-1.0, 1, 1, 1])))
    for seen in (front, back, mirrored):
        normals = camera_normals(seen.snapshot, seen.surface)
        assert np.allclose(normals[seen.surface.body == 0], (0, 0, 1))
        assert not normals[seen.surface.body == NONE].any()


def test_the_shift_is_zero_where_nothing_moves():
    assert shift(PIXELS, SEEN, PIXELS, SEEN) == (0.0, 0.0)


def test_the_shift_is_that_of_the_larger_part():
    where = PIXELS - (3.0, -2.0)
    where[::4] -= (40, 7)
    assert shift(where, SEEN, PIXELS, SEEN) == pytest.approx((3, -2), abs=0.01)


def test_the_shift_of_a_zoom_is_that_of_its_middle():
    where = (PIXELS - (WIDTH / 2, HEIGHT / 2)) * 0.9 + (WIDTH / 2 - 5, HEIGHT / 2)
    assert shift(where, SEEN, PIXELS, SEEN) == pytest.approx((5, 0), abs=0.05)


def test_the_shift_is_read_where_the_content_is_still_in_sight():
    where, visible = PIXELS - (2.0, 0), np.zeros(len(PIXELS), bool)
    visible[:1000] = True
    where[1000:] += 50
    assert shift(where, visible, PIXELS, SEEN) == pytest.approx((2, 0), abs=0.01)


def test_a_turn_is_measured_in_radians():
    assert turn(view(), view(turned=0.3)) == pytest.approx(0.3)
