"""The frames' own pictures: rendered now, or taken from what the artist has rendered already."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from ..job.folders import FrameArrays
from . import images
from .cameras import CaptureError

RESULT = "Render Result"
COMPLETED, CANCELLED = "completed", "cancelled"


def with_pictures(
    arrays: Generator[FrameArrays | None],
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    size_px: tuple[int, int],
    files: str = "",
    pixel_aspect: float = 0.0,
) -> Iterator[FrameArrays | None]:
    """The captured frames with their image pass.

    Args:
        arrays: a running capture, which has set the scene to the frame that it yields.
        size_px: width and height of the pictures.
        files: where the pictures are, see `images.place_of`; empty: the scene is rendered.
        pixel_aspect: width:height of a pixel of a rendered picture; 0: the scene's.

    Raises:
        CaptureError: a picture is missing or cannot be rendered; one sentence.
    """
    try:
        for each in arrays:
            if each is None:
                yield None
                continue
            if files:
                image = images.read(images.place_of(scene, files, each.number), size_px)
            elif bpy.app.background:
                image = rendered(scene, view_layer, size_px, pixel_aspect)
            else:
                image = yield from _rendered_beside(scene, view_layer, size_px, pixel_aspect)
            yield dataclasses.replace(each, image=image)
    finally:
        arrays.close()


def rendered(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    size_px: tuple[int, int],
    pixel_aspect: float = 0.0,
) -> np.ndarray:
    """The scene's current frame (H, W, 3) uint8 as its own engine and view transform show it,
    without compositor.

    Raises:
        CaptureError: Blender cannot render it.
    """
    had_result = RESULT in bpy.data.images
    with tempfile.TemporaryDirectory() as folder, _settings(scene, size_px, pixel_aspect, folder):
        try:
            bpy.ops.render.render(scene=scene.name, layer=view_layer.name, write_still=True)
        except RuntimeError as error:
            reason = str(error).strip().removeprefix("Error: ")
            raise CaptureError(
                f"Frame {scene.frame_current} cannot be rendered: {reason}"
            ) from error
        (file,) = Path(folder).iterdir()
        picture = images.read(images.Place(file), size_px)
    if not had_result and RESULT in bpy.data.images:
        bpy.data.images.remove(bpy.data.images[RESULT])
    return picture


def _rendered_beside(
    scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, size_px: tuple[int, int], aspect: float
) -> Generator[None, None, np.ndarray]:
    """The same beside the artist's work, as Blender's own render job with its bar; gives None until
    it is done. It writes nothing itself: left alone, it could only write to the artist's path."""
    had_result, ended = RESULT in bpy.data.images, []
    with (
        tempfile.TemporaryDirectory() as folder,
        _settings(scene, size_px, aspect, folder),
        _told_of_its_end(ended),
    ):
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            bpy.ops.render.render("INVOKE_DEFAULT", scene=scene.name, layer=view_layer.name)
        while not ended or bpy.app.is_job_running("RENDER"):
            yield None
        if ended[0] == CANCELLED:
            raise CaptureError(
                f"The render of frame {scene.frame_current} was cancelled, which ended the capture."
            )
        file = Path(folder) / "frame.png"
        bpy.data.images[RESULT].save_render(str(file), scene=scene)
        picture = images.read(images.Place(file), size_px)
    if not had_result and RESULT in bpy.data.images:
        bpy.data.images.remove(bpy.data.images[RESULT])
    return picture


@contextmanager
def _told_of_its_end(ended: list[str]) -> Iterator[None]:
    """Puts into the list how a render job has ended; no window is opened for it."""
    view, handlers = bpy.context.preferences.view, bpy.app.handlers

    def completed(*_: object) -> None:
        ended.append(COMPLETED)

    def cancelled(*_: object) -> None:
        ended.append(CANCELLED)

    display, view.render_display_type = view.render_display_type, "NONE"
    handlers.render_complete.append(completed)
    handlers.render_cancel.append(cancelled)
    try:
        yield
    finally:
        view.render_display_type = display
        handlers.render_complete.remove(completed)
        handlers.render_cancel.remove(cancelled)


@contextmanager
def _settings(
    scene: bpy.types.Scene, size_px: tuple[int, int], pixel_aspect: float, folder: str
) -> Iterator[None]:
    """The scene set to write one PNG of this size into the folder; put back afterwards."""
    render, form = scene.render, scene.render.image_settings
    width, height = _whole_frame(render, size_px)
    wanted = [(form, "media_type", "IMAGE")] if hasattr(form, "media_type") else []
    wanted += [
        (form, "file_format", "PNG"),
        (form, "color_mode", "RGB"),
        (form, "color_depth", "8"),
    ]
    wanted += [
        (render, "resolution_x", width),
        (render, "resolution_y", height),
        (render, "resolution_percentage", 100),
    ]
    wanted += [(render, "filepath", f"{folder}/frame.png"), (render, "use_file_extension", True)]
    # The compositor may write files of its own, and the sequencer may hold the very film that is
    # being made.
    wanted += [
        (render, "use_compositing", False),
        (render, "use_sequencer", False),
        (render, "use_overwrite", True),
    ]
    wanted += [(render, "use_multiview", False), (render, "use_stamp", False)]
    if pixel_aspect:  # Blender's own numbers begin at 1
        wanted += [(render, "pixel_aspect_x", max(pixel_aspect, 1.0))]
        wanted += [(render, "pixel_aspect_y", max(1 / pixel_aspect, 1.0))]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in wanted]
    try:
        for owner, name, value in wanted:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _whole_frame(render: bpy.types.RenderSettings, size_px: tuple[int, int]) -> tuple[int, int]:
    """The resolution at which the picture, or the border's part where it is cropped to that, has
    this size."""
    if not (render.use_border and render.use_crop_to_border):
        return size_px
    across, down = (
        render.border_max_x - render.border_min_x,
        render.border_max_y - render.border_min_y,
    )
    return round(size_px[0] / max(across, 1e-3)), round(size_px[1] / max(down, 1e-3))
