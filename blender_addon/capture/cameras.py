"""The scene's camera at the current frame becomes a View."""

from __future__ import annotations

import bpy
import numpy as np

from ..geometry.projection import View, view_of

FINE = 64  # parts of a pixel in which Blender, which wants whole numbers, is told the frame's size


class CaptureError(ValueError):
    """The scene cannot be captured; the message is one sentence for the artist."""


def camera_view(
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph,
    width_px: int,
    height_px: int,
    pixel_aspect: float = 0.0,
) -> View:
    """The view of what Blender renders with its resolution set to `width_px` × `height_px`.

    Lens, sensor fit, shift and border are the scene's, and so is the width:height of a pixel where
    `pixel_aspect` is 0. With a border that crops, the picture is the cropped part; otherwise what
    is outside of it is empty.

    Raises:
        CaptureError: no camera, one that is neither perspective nor orthographic, or one scaled to
            nothing.
    """
    camera = scene.camera
    if camera is None:
        raise CaptureError(
            f"The scene {scene.name} has no camera: add one, or make one active (Scene properties)."
        )
    data = camera.evaluated_get(depsgraph).data
    if camera.type != "CAMERA" or data.type not in ("PERSP", "ORTHO"):
        raise CaptureError(
            f"The camera {camera.name} is not perspective or orthographic: "
            "change its type to capture."
        )
    frame, border = _frame(scene.render, width_px, height_px)
    evaluated = camera.evaluated_get(depsgraph)
    projection = evaluated.calc_matrix_camera(
        depsgraph,
        x=round(frame[2] * FINE),
        y=round(frame[3] * FINE),
        scale_x=pixel_aspect or scene.render.pixel_aspect_x,
        scale_y=1.0 if pixel_aspect else scene.render.pixel_aspect_y,
    )
    placed = evaluated.matrix_world.normalized()
    if not placed.determinant():
        raise CaptureError(
            f"The camera {camera.name} is scaled to nothing: scale it, or its parents, "
            "to 1 to capture."
        )
    rigid = np.array(placed.inverted(), np.float64)
    return view_of(
        np.array(projection),
        rigid,
        (data.clip_start, data.clip_end),
        (width_px, height_px),
        frame,
        border,
    )


def aspect_of(render: bpy.types.RenderSettings) -> float:
    """The width:height at which the scene's renders are shown."""
    across, down = render.resolution_x, render.resolution_y
    if render.use_border and render.use_crop_to_border:
        across *= max(render.border_max_x - render.border_min_x, 1e-3)
        down *= max(render.border_max_y - render.border_min_y, 1e-3)
    return across * render.pixel_aspect_x / (down * render.pixel_aspect_y)


def _frame(render: bpy.types.RenderSettings, width_px: int, height_px: int) -> tuple[tuple, tuple]:
    """The camera's whole frame (x, y, width, height) and the border (x0, y0, x1, y1), in the
    picture's pixels."""
    if not render.use_border:
        return (0, 0, width_px, height_px), (0, 0, width_px, height_px)
    percentage = render.resolution_percentage / 100
    width, height = int(render.resolution_x * percentage), int(render.resolution_y * percentage)
    x0, x1 = _cut(render.border_min_x, width), _cut(render.border_max_x, width)
    y0, y1 = height - _cut(render.border_max_y, height), height - _cut(render.border_min_y, height)
    if not render.use_crop_to_border:
        sx, sy = width_px / width, height_px / height
        return (0, 0, width_px, height_px), (x0 * sx, y0 * sy, x1 * sx, y1 * sy)
    sx, sy = width_px / max(x1 - x0, 1), height_px / max(y1 - y0, 1)
    return (-x0 * sx, -y0 * sy, width * sx, height * sy), (0, 0, width_px, height_px)


def _cut(part: float, whole: int) -> int:
    """Blender cuts off what is left of a pixel, in single precision: 0.9 of 160 is 144, not
    143.99."""
    return int(np.float32(part) * np.float32(whole))
