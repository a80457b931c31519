"""An independent witness: the passes that Cycles renders with one sample in the middle of each
pixel."""

from __future__ import annotations

import struct
from pathlib import Path

import bpy
import numpy as np

PASSES = ("use_pass_z", "use_pass_position", "use_pass_normal", "use_pass_object_index")
NAMES = {
    "Depth": "depth",
    "Position": "position",
    "Normal": "normal",
    "IndexOB": "ids",
    "Object Index": "ids",
}


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
    image.file_format, image.color_depth, image.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
    for name in PASSES:
        for layer in scene.view_layers:
            setattr(layer, name, True)


def rendered(scene: bpy.types.Scene, number: int, folder: Path) -> dict[str, np.ndarray]:
    """Arrays of one frame: color (h, w, 3), depth (h, w), position and normal (h, w, 3) in the
    world, ids (h, w)."""
    scene.frame_set(number)
    scene.render.filepath = str(folder / "witness.exr")
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(write_still=True, scene=scene.name)
    return _read(folder / "witness.exr")


def _read(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, pixels in _channels(path.read_bytes()).items():
        _layer, part, channel = name.rsplit(".", 2)
        found.setdefault(part, {})[channel] = pixels
    arrays = {name: _stacked(found[part]) for part, name in NAMES.items() if part in found}
    combined = found["Combined"]
    arrays["color"] = np.stack([combined[c] for c in "RGB"], axis=-1).astype(np.float64)
    return arrays


def _channels(data: bytes) -> dict[str, np.ndarray]:
    """The channels (h, w) float32 of an EXR file of one part, uncompressed, as `prepare` has it
    written.

    Blender's own Python has no library that reads EXR. Layout:
    openexr.com/en/latest/OpenEXRFileLayout.html
    """
    header, at = {}, 8
    while data[at]:
        name, kind = data[at : at + 512].split(b"\0", 2)[:2]
        at += len(name) + len(kind) + 2
        (size,) = struct.unpack_from("<i", data, at)
        header[name], at = data[at + 4 : at + 4 + size], at + 4 + size
    x0, y0, x1, y1 = struct.unpack("<4i", header[b"dataWindow"])
    width, height, names = x1 - x0 + 1, y1 - y0 + 1, []
    left = header[b"channels"]
    while left[0]:
        name, _, left = left.partition(b"\0")
        assert struct.unpack_from("<i", left) == (2,), "not 32 bit float"
        names.append(name.decode())
        left = left[16:]
    lines = np.frombuffer(data, np.uint8, offset=at + 1 + 8 * height).reshape(height, -1)
    pixels = np.ascontiguousarray(lines[:, 8:]).view("<f4").reshape(height, len(names), width)
    return {name: pixels[:, index] for index, name in enumerate(names)}


def _stacked(channels: dict[str, np.ndarray]) -> np.ndarray:
    if len(channels) == 1:
        return next(iter(channels.values())).astype(np.float64)
    return np.stack([channels[c] for c in "XYZ"], axis=-1).astype(np.float64)
