"""What steers the frames, to be looked at before any is made: in the Image Editor, or as strips."""

from __future__ import annotations

import bpy
import numpy as np

from . import playback
from .footage import Place, read
from .generation import Generation

NAME = "T2VZ Preview"
GAP_PX = 8
FULL_COLOUR = 1 / 16  # of the picture's width: movement shown in full colour


def show_frame(generation: Generation, _scene: bpy.types.Scene) -> None:
    """Puts the conditions of the job's last frame and its motion, side by side, into an Image Editor."""
    picture = beside_each_other([*_conditions(generation), _motion(generation)])
    _show(_image(picture))


def add_strips(generation: Generation, scene: bpy.types.Scene) -> None:
    """Adds one strip for each kind of condition."""
    for control in generation.spec.controls:
        folder = generation.folder / "conditions" / control.kind
        frames = [(frame.number, folder / f"{frame.number:04d}.png") for frame in generation.spec.frames]
        playback.add_strip(scene, f"Conditions: {control.kind}", frames, frames[-1][0])


def flow_colours(flow_px: np.ndarray) -> np.ndarray:
    """Movement (H, W, 2), px, x right y down, as colours (H, W, 3) uint8: direction is hue, speed is strength.

    Nothing that holds still has a colour: it is white. Right is red, down green-yellow, left cyan, up violet.
    """
    width = flow_px.shape[1]
    hue = np.arctan2(flow_px[..., 1], flow_px[..., 0]) / (2 * np.pi)
    strength = np.clip(np.linalg.norm(flow_px, axis=-1) / (FULL_COLOUR * width), 0, 1)[..., None]
    pure = np.clip(abs(np.mod(hue[..., None] + np.array([0, 2 / 3, 1 / 3]), 1) * 6 - 3) - 1, 0, 1)
    return np.round(255 * (1 - strength * (1 - pure))).astype(np.uint8)


def beside_each_other(pictures: list[np.ndarray]) -> np.ndarray:
    """One picture out of several (H, W, 3) uint8 of one size, with gaps between them."""
    gap = np.zeros((pictures[0].shape[0], GAP_PX, 3), np.uint8)
    row = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(row[1:], axis=1)


def _conditions(generation: Generation) -> list[np.ndarray]:
    shot, number = generation.spec.shot, generation.spec.frames[-1].number
    kinds = [control.kind for control in generation.spec.controls]
    files = [generation.folder / "conditions" / kind / f"{number:04d}.png" for kind in kinds]
    return [read(Place(file), (shot.width_px, shot.height_px)) for file in files]


def _motion(generation: Generation) -> np.ndarray:
    spec, frame = generation.spec, generation.spec.frames[-1]
    rows, columns = np.mgrid[: spec.shot.height_px, : spec.shot.width_px] + 0.5
    flow = np.stack([columns, rows], axis=-1)
    if spec.motion.mode == "map":
        return flow_colours(flow - np.load(generation.folder / frame.passes.map))
    return flow_colours(np.broadcast_to(np.float32(frame.shift_px), flow.shape))


def _image(picture: np.ndarray) -> bpy.types.Image:
    height, width = picture.shape[:2]
    image = bpy.data.images.get(NAME) or bpy.data.images.new(NAME, width, height)
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = picture[::-1] / np.float32(255)  # Blender's rows go up
    image.pixels.foreach_set(pixels.ravel())
    image.update()
    return image


def _show(image: bpy.types.Image) -> None:
    """In every Image Editor that is open; opens a window with one where none is, as Blender does for renders."""
    windows = bpy.context.window_manager.windows
    editors = [area for window in windows for area in window.screen.areas if area.type == "IMAGE_EDITOR"]
    if not editors and not bpy.app.background:
        with bpy.context.temp_override(window=windows[0]):
            bpy.ops.wm.window_new()
        editors = [windows[-1].screen.areas[0]]
        editors[0].type = "IMAGE_EDITOR"
    for area in editors:
        area.spaces.active.image = image
        area.tag_redraw()
