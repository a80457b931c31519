"""Vector passes of rendered frames, chained back to the anchor, become the backward map.

Blender's Vector is in pixels of the render, x right and y up: (X, Y) = previous − current, (Z, W) =
current − next.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..fault import Fault
from ..wire.rendered import Rendered, read_rendered
from . import exr

LONGEST_CHAIN = 1 << 16
AGREE_PX = 1.0  # there and back again must end within this of the start, or the point was hidden
# neighbours whose maps differ by more lie on two surfaces, between which nothing is interpolated
BEND_PX = 4.0


def backward(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Map (H, W, 2) float32 and visible (H, W) uint8 of a rendered frame, as `wire.job.Passes`
    describes them.

    Raises:
        Fault: a file of the chain lacks its vectors, or they are wrong; one sentence.
    """
    chain = [path]
    while (
        _key(chain[-1]) not in _recent
        and (previous := read_rendered(chain[-1]).previous) is not None
    ):
        chain.append(path.with_name(previous))
        if len(chain) > LONGEST_CHAIN:
            raise Fault(
                f"{path.name}: the frames before it lead round in a circle: capture the shot again."
            )
    for file, before in zip(reversed(chain), [None, *reversed(chain)]):
        if _key(file) not in _recent:
            _recent[_key(file)] = _composed(file, before)
    for old in list(_recent)[:-2]:
        del _recent[old]
    place, visible = _recent[_key(path)]
    return place.astype(np.float32), np.where(visible, 255, 0).astype(np.uint8)


# the last two maps: the next frame goes on from them
_recent: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}


def _key(path: Path) -> tuple:
    """Of a file and what is said beside it, as they are now."""
    return path, exr.stamp(path), exr.stamp(path.with_suffix(".json"))


def _composed(path: Path, before: Path | None) -> tuple[np.ndarray, np.ndarray]:
    said = read_rendered(path)
    pixels = _pixels(said)
    if before is None:
        return pixels, np.ones(pixels.shape[:2], bool)
    before_place, before_visible = _recent[_key(before)]
    place = _to_previous(path, before)
    back = _sampled(_to_next(before, path), place)
    nearest = _nearest(place, said)
    visible = _is_inside(place, said) & before_visible[nearest]
    visible &= _is_sky(path) == _is_sky(before)[nearest]
    visible &= (abs(back - pixels).max(-1) <= AGREE_PX) | _is_sky(path)
    return _sampled(before_place, place), visible


def _to_previous(path: Path, before: Path) -> np.ndarray:
    """Where each pixel's point was in the frame before: (H, W, 2) px."""
    said, there = read_rendered(path), read_rendered(before)
    vector = exr.layer(path, said, "vector")
    place = _pixels(said) + vector[..., :2] * _scale(path, said)
    place = np.where(_is_sky(path)[..., None], _sky(said, there), place)
    _check(path, vector, place, said, there)
    return place


def _to_next(path: Path, after: Path) -> np.ndarray:
    said, there = read_rendered(path), read_rendered(after)
    vector = exr.layer(path, said, "vector")
    place = _pixels(said) - vector[..., 2:] * _scale(path, said)
    return np.where(_is_sky(path)[..., None], _sky(said, there), place)


def _scale(path: Path, said: Rendered) -> np.ndarray:
    height, width = exr.size(path)
    return np.array(
        [said.width_px / width, -said.height_px / height], np.float32
    )  # y up becomes y down


def _is_sky(path: Path) -> np.ndarray:
    return np.isinf(exr.read_exr(path, "depth"))


def _check(
    path: Path, vector: np.ndarray, place: np.ndarray, here: Rendered, there: Rendered
) -> None:
    """Tells vectors that some versions and settings write wrong from those that are right."""
    if here.to_pixel == there.to_pixel:
        return
    surface = ~_is_sky(path)
    if surface.any() and not vector[surface].any():
        raise Fault(
            f"{path.name}: the camera moves but all vectors are zero, as motion blur leaves them: "
            f"render again with motion blur off, or take the motion from the scene."
        )
    is_orthographic = not any(here.to_pixel[8:11])
    has_zoomed = not np.allclose(_lens(here), _lens(there), rtol=1e-5)
    if (is_orthographic or has_zoomed) and surface.any():
        error = abs(place - _still(path, here, there)).max(-1)[surface]
        if np.median(error) > 1.0:
            what = "a moving orthographic camera" if is_orthographic else "an animated lens"
            raise Fault(
                f"{path.name}: its vectors do not follow the camera, "
                f"as some Blender versions write them for {what}: take the motion from the scene."
            )


def _still(path: Path, here: Rendered, there: Rendered) -> np.ndarray:
    """Where each pixel's point would have been, had only the camera moved."""
    depth = exr.read_exr(path, "depth")
    return _seen(here, there, np.where(np.isinf(depth), 1.0, depth))


def _seen(here: Rendered, there: Rendered, depth: np.ndarray) -> np.ndarray:
    """Where the points seen in each pixel at a depth (H, W) are seen by another camera: (H, W, 2)
    px."""
    pixels = _pixels(here)
    to_pixel, to_camera = _matrix(here.to_pixel), _matrix(here.to_camera)
    # Three equations for the world's point: x, y and the depth, which is -z in camera space.
    w = depth if to_pixel[2, :3].any() else np.ones_like(depth)
    known = np.stack([pixels[..., 0] * w, pixels[..., 1] * w, -depth], axis=-1)
    rows = np.stack([to_pixel[0], to_pixel[1], to_camera[2]])
    world = (known - rows[:, 3]) @ np.linalg.inv(rows[:, :3]).T
    seen = world @ _matrix(there.to_pixel)[:, :3].T + _matrix(there.to_pixel)[:, 3]
    return seen[..., :2] / np.maximum(seen[..., 2:], 1e-9)


def _lens(said: Rendered) -> np.ndarray:
    """The camera's own part of to_pixel, whatever its place and direction: lengths and angles of
    its rows."""
    rows = _matrix(said.to_pixel)[:, :3]
    return rows @ rows.T


def _sky(here: Rendered, there: Rendered) -> np.ndarray:
    """Where what is infinitely far was; to an orthographic camera it is a backdrop in the camera's
    plane."""
    pixels = _pixels(here)
    one, two = _matrix(here.to_pixel)[:, :3], _matrix(there.to_pixel)[:, :3]
    if not (one[2].any() or two[2].any()):
        return _seen(here, there, np.zeros(pixels.shape[:2]))
    if not (one[2].any() and two[2].any()):
        return pixels
    seen = (
        np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=-1)
        @ (two @ np.linalg.inv(one)).T
    )
    return np.clip(seen[..., :2] / np.maximum(seen[..., 2:], 1e-9), -1e5, 1e5)


def _matrix(numbers: tuple[float, ...]) -> np.ndarray:
    return np.array(numbers).reshape(3, 4)


def _pixels(said: Rendered) -> np.ndarray:
    y, x = np.mgrid[: said.height_px, : said.width_px] + 0.5
    return np.stack([x, y], axis=-1)


def _is_inside(place: np.ndarray, said: Rendered) -> np.ndarray:
    size_px = np.array([said.width_px, said.height_px])
    return np.all((place >= 0) & (place < size_px), axis=-1)


def _nearest(place: np.ndarray, said: Rendered) -> tuple[np.ndarray, np.ndarray]:
    x, y = (
        np.clip(np.floor(place), 0, (said.width_px - 1, said.height_px - 1))
        .astype(int)
        .transpose(2, 0, 1)
    )
    return y, x


def _sampled(field: np.ndarray, place: np.ndarray) -> np.ndarray:
    """A field of places (H, W, 2) at places (H, W, 2) px; beyond the border it goes on as it
    ends."""
    height, width = field.shape[:2]
    corner = np.clip(np.floor(place - 0.5), 0, (width - 2, height - 2)).astype(int)
    part = place - 0.5 - corner
    x, y = corner[..., 0], corner[..., 1]
    around = np.stack([field[y, x], field[y, x + 1], field[y + 1, x], field[y + 1, x + 1]])
    u, v = part[..., :1], part[..., 1:]
    mixed = (around[0] * (1 - u) + around[1] * u) * (1 - v) + (
        around[2] * (1 - u) + around[3] * u
    ) * v
    is_bent = np.ptp(around, axis=0).max(-1, keepdims=True) > BEND_PX
    row, column = (
        np.clip(np.floor(place[..., i]), 0, limit - 1).astype(int)
        for i, limit in ((1, height), (0, width))
    )
    own = field[row, column] + place - (np.stack([column, row], axis=-1) + 0.5)
    return np.where(is_bent, own, mixed)
