"""What steers the frames, to be looked at before any is made: in the Image Editor, or as strips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import bpy
import numpy as np

from t2vz_core.wire.job import GRID, Frame

from ..capture.images import Place, read
from ..job.generation import Generation
from . import strips

NAME = "T2VZ Preview"
GAP_PX = 8
FULL_COLOUR = 1 / 16  # of the picture's width: movement shown in full colour


def show_frame(generation: Generation, scene: bpy.types.Scene) -> None:
    """Puts the conditions of the job's last frame and its motion, side by side, into an Image
    Editor."""
    frame = generation.spec.frames[-1]
    since = sum(
        number < frame.number for number in scene.t2vz.frame_numbers()
    )  # the job has but two of them
    pictures = [*_conditions(generation), *_pictures(generation, frame)]
    if generation.spec.motion.mode != "none" or not pictures:
        pictures.append(_motion(generation, frame, since))
    path = generation.folder / "conditions" / "preview.png"
    show(path, beside_each_other(pictures), NAME)


def add_strips(generation: Generation, scene: bpy.types.Scene) -> None:
    """Adds one strip for each kind of condition, and one for the motion; a step that can be
    undone. A note says where they are."""
    folder = generation.folder / "conditions" / "motion"
    motions = [
        (
            frame.number,
            _saved(folder / f"{frame.number:04d}.png", _motion(generation, frame, since)),
        )
        for frame, since in _numbered(generation.spec.frames)
    ]
    aspect = generation.spec.shot.pixel_aspect
    made = [strips.add_strip(scene, "Motion", motions, motions[-1][0], pixel_aspect=aspect)]
    for control in generation.spec.controls:
        folder = generation.folder / "conditions" / control.kind
        frames = [
            (frame.number, folder / f"{frame.number:04d}.png") for frame in generation.spec.frames
        ]
        made.append(
            strips.add_strip(
                scene, f"Conditions: {control.kind}", frames, frames[-1][0], pixel_aspect=aspect
            )
        )
    named = ", ".join(f"{strip.name} (channel {strip.channel})" for strip in made)
    generation.notes.append(f"In the Sequencer of {scene.name}: {named}.")
    bpy.ops.ed.undo_push(message="Preview Conditions")


def flow_colours(flow_px: np.ndarray) -> np.ndarray:
    """Movement (H, W, 2), px, x right y down, as colours (H, W, 3) uint8: direction is hue, speed
    is strength.

    Nothing that holds still has a colour: it is white. Right is red, down green-yellow, left cyan,
    up violet.
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


def _pictures(generation: Generation, frame: Frame) -> list[np.ndarray]:
    """The frame's own picture, where it is what is changed."""
    path, shot = frame.passes.image, generation.spec.shot
    if generation.spec.controls or path is None or not path.endswith((".npy", ".png")):
        return []
    file = generation.folder / path
    if path.endswith(".npy"):
        return [np.load(file)]
    return [read(Place(file), (shot.width_px, shot.height_px))]


def _motion(generation: Generation, frame: Frame, since: int) -> np.ndarray:
    """The content's movement since the anchor, `since` frames ago, in colours (H, W, 3) uint8."""
    spec = generation.spec
    shape = (spec.shot.height_px, spec.shot.width_px, 2)
    if spec.motion.mode == "map" and frame.passes.map.endswith(".npy"):
        rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
        return flow_colours(
            np.stack([columns, rows], axis=-1) - np.load(generation.folder / frame.passes.map)
        )
    if spec.motion.mode == "strength":
        moved = -since * np.array(spec.motion.strength) * min(shape[:2]) / GRID
    else:
        moved = np.array(frame.shift_px) * (spec.motion.mode != "none")
    return flow_colours(np.broadcast_to(moved, shape))


def _numbered(frames: Iterable[Frame]) -> Iterator[tuple[Frame, int]]:
    """Each frame with how many frames of the job lie since its anchor."""
    since = -1
    for frame in frames:
        since = 0 if frame.is_anchor else since + 1
        yield frame, since


def _saved(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new(f"{NAME} File", picture.shape[1], picture.shape[0])
    _fill(image, picture)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def show(path: Path, picture: np.ndarray, name: str) -> None:
    """Saves a picture (H, W, 3) uint8 and puts it into the Image Editors, as the image of this
    name."""
    show_image(_shown_file(_saved(path, picture), name))


def _shown_file(path: Path, name: str) -> bpy.types.Image:
    """The image of a file, in place of the last preview: what is in a file need not be saved, and
    Blender packs it into no .blend."""
    image = bpy.data.images.get(name)
    if image is not None and image.source != "FILE":  # of an earlier version
        bpy.data.images.remove(image)
        image = None
    if image is None:
        image = bpy.data.images.load(str(path))
        image.name = name
    if image.packed_file:
        image.unpack(method="REMOVE")
    image.filepath = strips.path_of(path)
    image.reload()
    return image


def _fill(image: bpy.types.Image, picture: np.ndarray) -> None:
    pixels = np.ones((*picture.shape[:2], 4), np.float32)
    pixels[..., :3] = picture[::-1] / np.float32(255)  # Blender's rows go up
    image.pixels.foreach_set(pixels.ravel())


def show_image(image: bpy.types.Image) -> None:
    """In every Image Editor that is open; opens a window with one where none is, as Blender does
    for renders."""
    windows = bpy.context.window_manager.windows
    editors = [
        area for window in windows for area in window.screen.areas if area.type == "IMAGE_EDITOR"
    ]
    if not editors and not bpy.app.background:
        with bpy.context.temp_override(window=windows[0]):
            bpy.ops.wm.window_new()
        editors = [windows[-1].screen.areas[0]]
        editors[0].type = "IMAGE_EDITOR"
    for area in editors:
        area.spaces.active.image = image
        _fit(area)


def _fit(area: bpy.types.Area) -> None:
    """Zooms so that the whole picture fills the editor."""
    region = next(region for region in area.regions if region.type == "WINDOW")
    for window in bpy.context.window_manager.windows:
        if area in list(window.screen.areas) and not bpy.app.background:
            with bpy.context.temp_override(window=window, area=area, region=region):
                bpy.ops.image.view_all(fit_view=True)
    area.tag_redraw()
