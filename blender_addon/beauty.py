"""The frames' own pictures: rendered now, or taken from files that the artist has rendered already."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from .cameras import CaptureError
from .jobs import FrameArrays

RESULT = "Render Result"


def with_pictures(
    arrays: Generator[FrameArrays],
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    size_px: tuple[int, int],
    files: str = "",
) -> Iterator[FrameArrays]:
    """The captured frames with their image pass.

    Args:
        arrays: a running capture, which has set the scene to the frame that it yields.
        size_px: width and height of the pictures.
        files: path of the pictures, #### standing for the frame's number; empty: the scene is rendered.

    Raises:
        CaptureError: a picture is missing or cannot be rendered; one sentence.
    """
    try:
        for each in arrays:
            image = read(file_of(files, each.number), size_px) if files else rendered(scene, view_layer, size_px)
            yield dataclasses.replace(each, image=image)
    finally:
        arrays.close()


def rendered(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, size_px: tuple[int, int]) -> np.ndarray:
    """The scene's current frame (H, W, 3) uint8 as its own engine and view transform show it, without compositor.

    Raises:
        CaptureError: Blender cannot render it.
    """
    had_result = RESULT in bpy.data.images
    with tempfile.TemporaryDirectory() as folder, _settings(scene, size_px, folder):
        try:
            bpy.ops.render.render(scene=scene.name, layer=view_layer.name, write_still=True)
        except RuntimeError as error:
            reason = str(error).strip().removeprefix("Error: ")
            raise CaptureError(f"Frame {scene.frame_current} cannot be rendered: {reason}") from error
        (file,) = Path(folder).iterdir()
        picture = read(file, size_px)
    if not had_result and RESULT in bpy.data.images:
        bpy.data.images.remove(bpy.data.images[RESULT])
    return picture


def file_of(files: str, number: int) -> Path:
    """The file of a frame: #### stands for its number, as in Blender's own output path; // for the .blend's folder.

    Raises:
        CaptureError: there is no such file.
    """
    path = bpy.path.abspath(files)
    if "#" not in path:
        raise CaptureError(f"{files} names one file for all frames: put #### where the frame's number stands.")
    path = Path(re.sub("#+", lambda hashes: f"{number:0{len(hashes.group())}d}", path, count=1))
    if not path.is_file():
        raise CaptureError(f"Frame {number} has no rendered file {path}: render it, or choose another frame range.")
    return path


def read(file: Path, size_px: tuple[int, int]) -> np.ndarray:
    """A picture file (H, W, 3) uint8 at this width and height, in the colours it shows.

    Raises:
        CaptureError: it is no picture.
    """
    image = bpy.data.images.load(str(file))
    try:
        if not all(image.size):
            raise CaptureError(f"{file} is no picture that can be read.")
        if tuple(image.size) != size_px:
            image.scale(*size_px)
        pixels = np.empty(size_px[0] * size_px[1] * 4, np.float32)
        image.pixels.foreach_get(pixels)
        is_linear = image.is_float
    finally:
        bpy.data.images.remove(image)
    colours = pixels.reshape(size_px[1], size_px[0], 4)[::-1, :, :3].clip(0, 1)  # Blender's rows go up
    if is_linear:
        colours = np.where(colours < 0.0031308, 12.92 * colours, 1.055 * colours ** (1 / 2.4) - 0.055)
    return np.ascontiguousarray(np.round(255 * colours).astype(np.uint8))


@contextmanager
def _settings(scene: bpy.types.Scene, size_px: tuple[int, int], folder: str) -> Iterator[None]:
    """The scene set to write one PNG of this size into the folder; put back afterwards."""
    render, form = scene.render, scene.render.image_settings
    width, height = _whole_frame(render, size_px)
    wanted = [(form, "media_type", "IMAGE")] if hasattr(form, "media_type") else []
    wanted += [(form, "file_format", "PNG"), (form, "color_mode", "RGB"), (form, "color_depth", "8")]
    wanted += [
        (render, "resolution_x", width),
        (render, "resolution_y", height),
        (render, "resolution_percentage", 100),
    ]
    wanted += [(render, "filepath", f"{folder}/frame.png"), (render, "use_file_extension", True)]
    # The compositor may write files of its own, and the sequencer may hold the very film that is being made.
    wanted += [(render, "use_compositing", False), (render, "use_sequencer", False), (render, "use_overwrite", True)]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in wanted]
    try:
        for owner, name, value in wanted:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _whole_frame(render: bpy.types.RenderSettings, size_px: tuple[int, int]) -> tuple[int, int]:
    """The resolution at which the picture, or the border's part where it is cropped to that, has this size."""
    if not (render.use_border and render.use_crop_to_border):
        return size_px
    across, down = render.border_max_x - render.border_min_x, render.border_max_y - render.border_min_y
    return round(size_px[0] / max(across, 1e-3)), round(size_px[1] / max(down, 1e-3))
