"""An independent witness: the passes that Cycles renders with one sample in the middle of each pixel."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

PASSES = ("use_pass_z", "use_pass_position", "use_pass_normal", "use_pass_object_index")
NAMES = {"Depth": "depth", "Position": "position", "Normal": "normal", "IndexOB": "ids", "Object Index": "ids"}


def prepare(scene: bpy.types.Scene, width_px: int, height_px: int) -> None:
    """Sets the scene up to be rendered as a witness; what it shows stays."""
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_adaptive_sampling = scene.cycles.use_denoising = False
    scene.cycles.max_bounces = 0
    scene.cycles.transparent_max_bounces = 8
    scene.cycles.pixel_filter_type = "GAUSSIAN"
    scene.cycles.filter_width = 0.01
    scene.render.resolution_x, scene.render.resolution_y = width_px, height_px
    scene.render.resolution_percentage = 100
    scene.render.use_compositing = scene.render.use_sequencer = False
    image = scene.render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "MULTI_LAYER_IMAGE"
        image.use_exr_interleave = True
    image.file_format, image.color_depth, image.exr_codec = "OPEN_EXR_MULTILAYER", "32", "ZIP"
    for name in PASSES:
        for layer in scene.view_layers:
            setattr(layer, name, True)


def rendered(scene: bpy.types.Scene, number: int, folder: Path) -> dict[str, np.ndarray]:
    """Arrays of one frame: color (h, w, 3), depth (h, w), position and normal (h, w, 3) in the world, ids (h, w)."""
    scene.frame_set(number)
    scene.render.filepath = str(folder / "witness.exr")
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(write_still=True, scene=scene.name)
    return _read(folder / "witness.exr")


def _read(path: Path) -> dict[str, np.ndarray]:
    import OpenEXR

    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {name: channel.pixels for part in file.parts for name, channel in part.channels.items()}
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, pixels in channels.items():
        _layer, part, channel = name.rsplit(".", 2)
        found.setdefault(part, {})[channel] = pixels
    arrays = {name: _stacked(found[part]) for part, name in NAMES.items() if part in found}
    combined = found["Combined"]
    arrays["color"] = np.stack([combined[c] for c in "RGB"], axis=-1).astype(np.float64)
    return arrays


def _stacked(channels: dict[str, np.ndarray]) -> np.ndarray:
    if len(channels) == 1:
        return next(iter(channels.values())).astype(np.float64)
    return np.stack([channels[c] for c in "XYZ"], axis=-1).astype(np.float64)
