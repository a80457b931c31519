"""Renders the sequencer of a .blend to film.mp4, and the scene above its frames to sheet.png.

blender -b film.blend --python-exit-code 1 -P film.py -- DIR
"""

import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np

SIDE_PX = 128
SAMPLES = 4


def strips_of(scene: bpy.types.Scene) -> list:
    editor = scene.sequence_editor or scene.sequence_editor_create()
    return list(editor.strips if hasattr(editor, "strips") else editor.sequences)


def scene_with_strip() -> bpy.types.Scene:
    """The scene whose Sequencer has the film."""
    return next(scene for scene in bpy.data.scenes if strips_of(scene))


def render_film(scene: bpy.types.Scene, target: Path) -> None:
    """What the sequencer shows, as an H.264 film."""
    scene.render.use_sequencer = True
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # from 5.0 on
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    scene.render.ffmpeg.codec = "H264"
    scene.render.ffmpeg.constant_rate_factor = "HIGH"
    scene.render.filepath = str(target)
    scene.render.use_file_extension = False
    bpy.ops.render.render(animation=True, scene=scene.name)


def render_scene(scene: bpy.types.Scene, folder: Path) -> list[Path]:
    """Each frame of the scene itself, small and quick."""
    scene.render.use_sequencer = False
    scene.render.engine, scene.cycles.samples = "CYCLES", SAMPLES
    scene.render.resolution_x = scene.render.resolution_y = SIDE_PX
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"
    scene.render.use_file_extension = True
    scene.render.filepath = str(folder / "####")
    bpy.ops.render.render(animation=True)
    return sorted(folder.glob("*.png"))


def picture(path: Path) -> np.ndarray:
    """A file's pixels (side, side, 4), bottom row first."""
    image = bpy.data.images.load(str(path))
    image.scale(SIDE_PX, SIDE_PX)
    pixels = np.empty(SIDE_PX * SIDE_PX * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(SIDE_PX, SIDE_PX, 4)


def save(pixels: np.ndarray, target: Path) -> None:
    """Writes (height, width, 4) pixels, bottom row first, as a PNG."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("sheet", width, height)
    image.pixels.foreach_set(np.ascontiguousarray(pixels).ravel())
    image.filepath_raw, image.file_format = str(target), "PNG"
    image.save()


def tell(*_: object) -> None:
    print("rendered", flush=True)


def main(folder: Path) -> None:
    scene, edit = bpy.context.scene, scene_with_strip()
    bpy.app.handlers.render_write.append(tell)
    (strip,) = strips_of(edit)
    frames = [
        Path(bpy.path.abspath(strip.directory)) / element.filename for element in strip.elements
    ]
    render_film(edit, folder / "film.mp4")
    with tempfile.TemporaryDirectory() as rendered:
        above = [picture(path) for path in render_scene(scene, Path(rendered))]
    below = [picture(path) for path in frames]
    save(
        np.concatenate([np.concatenate(below, 1), np.concatenate(above, 1)], 0),
        folder / "sheet.png",
    )


if __name__ == "__main__":
    main(Path(sys.argv[sys.argv.index("--") + 1]).absolute())
