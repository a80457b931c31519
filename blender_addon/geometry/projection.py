"""A camera at one frame, as matrices between the world and the pixels of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FAR_PX = 1e5  # stands for "infinitely far outside the picture", so that every map stays finite


@dataclass(frozen=True)
class View:
    """A perspective or orthographic camera.

    Pixels: x right, y down, origin at the top-left corner of the picture, centres at +0.5.

    to_pixel:  (3, 4) float64, world (x, y, z, 1) -> (x_px·w, y_px·w, w); w is the planar depth, or
        1 if orthographic
    to_camera: (3, 4) float64, world (x, y, z, 1) -> x right, y up, z towards the viewer
    near, far: the planar depths between which the camera sees, scene units
    border:    x0, y0, x1, y1 px; outside of it nothing is rendered
    """

    to_pixel: np.ndarray
    to_camera: np.ndarray
    near: float
    far: float
    width_px: int
    height_px: int
    border: tuple[float, float, float, float]

    @property
    def is_orthographic(self) -> bool:
        return not self.to_pixel[2, :3].any()


def view_of(
    projection: np.ndarray,
    world_to_camera: np.ndarray,
    clip: tuple[float, float],
    size_px: tuple[int, int],
    frame_px: tuple[float, float, float, float],
    border_px: tuple[float, float, float, float],
) -> View:
    """The view of a camera given as OpenGL matrices.

    Args:
        projection: (4, 4), camera -> clip space, y up.
        world_to_camera: (4, 4), rigid.
        clip: near and far planar depth.
        size_px: width and height of the picture.
        frame_px: x, y, width, height of the camera's whole frame in the picture's pixels.
        border_px: x0, y0, x1, y1 of what is rendered in the picture's pixels.
    """
    x, y, width, height = frame_px
    to_frame = np.array(
        [[width / 2, 0, x + width / 2], [0, -height / 2, y + height / 2], [0, 0, 1.0]]
    )
    rigid = np.asarray(world_to_camera, np.float64)
    to_pixel = to_frame @ np.asarray(projection, np.float64)[[0, 1, 3]] @ rigid
    return View(to_pixel, rigid[:3], *clip, *size_px, border_px)


def transformed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, 3) under an affine or projective (rows, 4) matrix -> (n, rows) float64."""
    return points @ matrix[:, :3].T + matrix[:, 3]


def pixel_centres(width_px: int, height_px: int) -> np.ndarray:
    """(height·width, 2) float64, x y of each pixel's centre, row by row."""
    y, x = np.mgrid[:height_px, :width_px]
    return np.stack([x.ravel(), y.ravel()], axis=1) + 0.5


def places(view: View, points: np.ndarray) -> np.ndarray:
    """Where world points (n, 3) are seen: (n, 2) px; far outside the picture for those behind the
    camera."""
    return _divided(transformed(view.to_pixel, points))


def depths(view: View, points: np.ndarray) -> np.ndarray:
    """Planar depths (n,) of world points (n, 3), scene units, positive in front of the camera."""
    return -(points @ view.to_camera[2, :3] + view.to_camera[2, 3])


def sky_places(here: View, there: View, pixels: np.ndarray) -> np.ndarray:
    """Where what is infinitely far at `pixels` (n, 2) of one view is seen in another: (n, 2) px.

    Only the rotation and the lens count. For an orthographic camera, before which near and far move
    alike, the background is a backdrop in the camera's plane: it follows pan, roll and zoom as all
    else does. Between a perspective and an orthographic camera it stays where it is.
    """
    if here.is_orthographic and there.is_orthographic:
        return places(there, _in_plane(here, pixels))
    if here.is_orthographic or there.is_orthographic:
        return pixels.copy()
    homography = there.to_pixel[:, :3] @ np.linalg.inv(here.to_pixel[:, :3])
    return _divided(pixels @ homography[:, :2].T + homography[:, 2])


def _in_plane(view: View, pixels: np.ndarray) -> np.ndarray:
    """World points (n, 3) at planar depth 0 of an orthographic view that are seen at pixels (n,
    2)."""
    rows = np.stack([view.to_pixel[0], view.to_pixel[1], view.to_camera[2]])
    return (np.column_stack([pixels, np.zeros(len(pixels))]) - rows[:, 3]) @ np.linalg.inv(
        rows[:, :3]
    ).T


def turn(here: View, there: View) -> float:
    """Angle in radians by which the camera is turned from one view to the other."""
    cosine = (np.trace(here.to_camera[:, :3] @ there.to_camera[:, :3].T) - 1) / 2
    return float(np.arccos(np.clip(cosine, -1, 1)))


def is_inside(view: View, pixels: np.ndarray) -> np.ndarray:
    """(n,) bool: lies within the picture and within what is rendered of it."""
    x, y = pixels.T
    x0, y0, x1, y1 = view.border
    return (
        (x >= max(x0, 0))
        & (y >= max(y0, 0))
        & (x < min(x1, view.width_px))
        & (y < min(y1, view.height_px))
    )


def _divided(homogeneous: np.ndarray) -> np.ndarray:
    """(n, 3) -> (n, 2); a point on or behind the camera's plane goes to the side it lies on, FAR_PX
    away.

    So does what is nowhere: broken drivers and meshes give NaN.
    """
    ahead = homogeneous[:, 2] > 1e-9
    w = np.where(ahead, homogeneous[:, 2], 1e-9)
    return np.clip(np.nan_to_num(homogeneous[:, :2] / w[:, None], nan=FAR_PX), -FAR_PX, FAR_PX)
