import numpy as np
import pytest

from blender_addon.geometry import rasteriser
from blender_addon.geometry.projection import View, depths, transformed
from blender_addon.geometry.rasteriser import (
    NONE,
    centre_samples,
    draw,
    no_hits,
    samples_at,
    weights,
)

WIDTH, HEIGHT = 90, 70
EVERYTHING = (0, 0, WIDTH, HEIGHT)


def view(is_orthographic: bool = False) -> View:
    """A camera at the origin that looks along −z; 60 px of the picture are one unit at depth 1."""
    to_pixel = np.array([[60.0, 0, -WIDTH / 2, 0], [0, -60.0, -HEIGHT / 2, 0], [0, 0, -1, 0]])
    if is_orthographic:
        to_pixel = np.array([[20.0, 0, 0, WIDTH / 2], [0, -20.0, 0, HEIGHT / 2], [0, 0, 0, 1]])
    return View(to_pixel, np.eye(3, 4), 0.5, 20.0, WIDTH, HEIGHT, EVERYTHING)


def soup(count: int, size: float) -> np.ndarray:
    """(count, 3, 3) triangles everywhere around the camera, behind it and through it too."""
    random = np.random.default_rng(count)
    return random.uniform(-6, 6, (count, 1, 3)) + random.normal(0, size, (count, 3, 3))


def drawn(triangles: np.ndarray, camera: View, samples: rasteriser.Samples) -> rasteriser.Hits:
    hits = no_hits(samples)
    flat = triangles.reshape(-1, 3)
    corners = transformed(camera.to_pixel, flat).reshape(-1, 3, 3)
    draw(hits, samples, camera, corners, depths(camera, flat).reshape(-1, 3))
    return hits


def shot(triangles: np.ndarray, camera: View, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest triangle and depth at each point by solving ray = triangle for all pairs."""
    if camera.is_orthographic:
        start = np.column_stack(
            [(points[:, 0] - WIDTH / 2) / 20, (HEIGHT / 2 - points[:, 1]) / 20, 0 * points[:, 0]]
        )
        way = np.tile([0.0, 0, -1], (len(points), 1))
    else:
        start = np.zeros((len(points), 3))
        way = np.column_stack(
            [
                (points[:, 0] - WIDTH / 2) / 60,
                (HEIGHT / 2 - points[:, 1]) / 60,
                0 * points[:, 0] - 1,
            ]
        )
    best, number = np.full(len(points), np.inf), np.full(len(points), NONE)
    for index, (a, b, c) in enumerate(triangles):
        system = np.stack(
            [np.broadcast_to(b - a, way.shape), np.broadcast_to(c - a, way.shape), -way], axis=2
        )
        u, v, depth = np.linalg.solve(system, (start - a)[..., None])[..., 0].T
        hit = (
            (u >= 0)
            & (v >= 0)
            & (u + v <= 1)
            & (depth >= camera.near)
            & (depth <= camera.far)
            & (depth < best)
        )
        best[hit], number[hit] = depth[hit], index
    return number, best


@pytest.mark.slow
@pytest.mark.parametrize("is_orthographic", [False, True])
@pytest.mark.parametrize("count, size", [(300, 0.5), (40, 4.0)])
def test_what_is_drawn_is_what_rays_hit(count: int, size: float, is_orthographic: bool):
    camera, triangles = view(is_orthographic), soup(count, size)
    points = np.random.default_rng(0).uniform(0, (WIDTH, HEIGHT), (1500, 2))
    for samples in (centre_samples(WIDTH, HEIGHT), samples_at(points, WIDTH, HEIGHT)):
        hits = drawn(triangles, camera, samples)
        number, depth = shot(triangles, camera, samples.points)
        assert (number != NONE).sum() > 100
        assert np.array_equal(hits.triangle, number)
        assert np.allclose(hits.depth, depth, rtol=1e-9)


def test_weights_give_the_point_back():
    camera, triangles = view(), soup(200, 1.0)
    samples = centre_samples(WIDTH, HEIGHT)
    hits = drawn(triangles, camera, samples)
    hit = hits.triangle != NONE
    chosen = triangles[hits.triangle[hit]]
    corners = transformed(camera.to_pixel, chosen.reshape(-1, 3)).reshape(-1, 3, 3)
    weight = weights(corners, samples.points[hit])
    seen = transformed(camera.to_pixel, np.einsum("nk,nki->ni", weight, chosen))
    assert np.allclose(seen[:, :2] / seen[:, 2:], samples.points[hit], atol=1e-6)
    assert np.allclose(seen[:, 2], hits.depth[hit])


def test_neighbours_leave_no_crack_between_them():
    corner = np.array([[-9, -9, -3], [9, -9, -3.3], [9, 9, -2.9], [-9, 9, -3.1]])
    hits = drawn(corner[[[0, 1, 2], [0, 2, 3]]], view(), centre_samples(WIDTH, HEIGHT))
    assert (hits.triangle != NONE).all()


def test_the_size_of_the_portions_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    triangles, samples = soup(60, 2.0), centre_samples(WIDTH, HEIGHT)
    whole = drawn(triangles, view(), samples)
    monkeypatch.setattr(rasteriser, "PAIRS", 100)
    assert np.array_equal(drawn(triangles, view(), samples).depth, whole.depth)


def test_points_outside_the_picture_hit_nothing():
    outside = np.array([[-1.0, 5], [5, HEIGHT + 0.1], [1e5, 5]])
    assert (
        drawn(soup(100, 3.0), view(), samples_at(outside, WIDTH, HEIGHT)).triangle == NONE
    ).all()
