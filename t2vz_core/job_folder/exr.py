"""Rendered multilayer EXR files become passes.

Blender's layouts differ: one part (up to 4.5, and interleaved), or a part for each pass (from 5.0
on); the object index is called IndexOB or Object Index. Blender's world z is up and its vectors' y
too; passes have y down on screen.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import OpenEXR

from ..fault import Fault
from ..wire.rendered import Rendered, read_rendered

NOTHING = 1e9  # depths from here on are where Blender saw no surface: it writes 1e10
PASSES = {
    "image": (("Combined.R", "Combined.G", "Combined.B"), ("R", "G", "B")),
    "depth": (("Depth.Z",), ("Depth.V",), ("Z.V",)),
    "normal": (("Normal.X", "Normal.Y", "Normal.Z"),),
    "vector": (("Vector.X", "Vector.Y", "Vector.Z", "Vector.W"),),
    "index": (("IndexOB.X",), ("Object Index.X",), ("IndexOB.V",), ("Object Index.V",)),
    "matte": (("CryptoObject00.r",), ("CryptoObject00.R",)),
}
TITLES = {
    "image": "Combined",
    "depth": "Z",
    "normal": "Normal",
    "vector": "Vector",
    "index": "Object Index",
    "matte": "Cryptomatte Object",
}


def read_exr(path: Path, name: str) -> np.ndarray:
    """The pass `name` of a rendered file at picture size, as `wire.job.Passes` describes it; not
    map and visible.

    Raises:
        Fault: the file cannot be read or was rendered without what is asked for.
        WireError: what must lie beside it does not.
    """
    return READERS[name](path, read_rendered(path))


def depth(path: Path, said: Rendered) -> np.ndarray:
    """(H, W) float32, planar; inf where there is nothing."""
    values = layer(path, said, "depth")[..., 0]
    end = (
        min(NOTHING, said.far * (1 - 1e-6)) if said.far else NOTHING
    )  # EEVEE up to 5.0 writes the clip end
    return np.where(values >= end, np.float32(np.inf), values)


def normal(path: Path, said: Rendered) -> np.ndarray:
    """(H, W, 3) float32 in camera space; Blender writes world space."""
    turn = np.array(said.to_camera, np.float32).reshape(3, 4)[:, :3]
    values = layer(path, said, "normal") @ turn.T
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.where(length > 0.5, values / np.maximum(length, 0.5), 0).astype(np.float32)


def ids(path: Path, said: Rendered) -> np.ndarray:
    """(H, W) int32: the artist's pass indices, or where there are none the objects' cryptomatte
    numbers."""
    if has_layer(path, said, "index"):
        indices = np.round(layer(path, said, "index")[..., 0]).astype(np.int32)
        if indices.any() or not has_layer(path, said, "matte"):
            return indices
    return _matte(path, said)


def mask(path: Path, said: Rendered) -> np.ndarray:
    """(H, W) uint8, 255 on the subject, or on every surface where there is none."""
    if not (said.subject or said.subject_indices):
        return np.where(np.isfinite(depth(path, said)), 255, 0).astype(np.uint8)
    if has_layer(path, said, "matte"):
        names = _names(path)
        return np.where(
            np.isin(_matte(path, said), [names[n] for n in said.subject if n in names]), 255, 0
        ).astype("u1")
    indices = np.round(layer(path, said, "index")[..., 0])
    return np.where(np.isin(indices, said.subject_indices), 255, 0).astype(np.uint8)


def image(path: Path, said: Rendered) -> np.ndarray:
    """(H, W, 3) uint8: the scene's light as plain sRGB, without the artist's view transform."""
    light = np.clip(layer(path, said, "image").astype(np.float32), 0, 1)
    return np.round(
        255 * np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    ).astype(np.uint8)


READERS = {"image": image, "depth": depth, "normal": normal, "ids": ids, "mask": mask}


def layer(path: Path, said: Rendered, name: str) -> np.ndarray:
    """(H, W, n) float32 as the file has it, taken at the picture's pixels' centres.

    Raises:
        Fault: the file has no such pass.
    """
    channels = _channels(path, said.layer, name)
    if channels is None:
        raise Fault(
            f"{path.name} was rendered without the {TITLES[name]} pass: "
            "switch it on in the view layer's properties "
            f"and render again, or capture it from the scene."
        )
    values = np.stack([_file(path)[channel] for channel in channels], axis=-1)
    height, width = values.shape[:2]
    rows = ((np.arange(said.height_px) + 0.5) * height / said.height_px).astype(int)
    columns = ((np.arange(said.width_px) + 0.5) * width / said.width_px).astype(int)
    return values[rows[:, None], columns].astype(np.float32, copy=False)


def has_layer(path: Path, said: Rendered, name: str) -> bool:
    """Whether the file was rendered with this pass."""
    return _channels(path, said.layer, name) is not None


def size(path: Path) -> tuple[int, int]:
    """Height and width of the file's own pixels."""
    return next(iter(_file(path).values())).shape[:2]


def _channels(path: Path, view_layer: str, name: str) -> tuple[str, ...] | None:
    found = _file(path)
    layers = (
        [view_layer + "."]
        if view_layer
        else [*dict.fromkeys(key.partition(".")[0] + "." for key in found)]
    )
    for prefix in (*layers, ""):  # File Output nodes write no view layer
        for endings in PASSES[name]:
            names = tuple(prefix + ending for ending in endings)
            if all(channel in found for channel in names):
                return names
    return None


def _matte(path: Path, said: Rendered) -> np.ndarray:
    """(H, W) int32: the number of the object that covers most of the pixel; a float's bits are that
    number."""
    return np.ascontiguousarray(layer(path, said, "matte")[..., 0]).view(np.int32)


def _names(path: Path) -> dict[str, int]:
    """Object's name -> its cryptomatte number."""
    for key, value in _parts(path)[0].header.items():
        if key.startswith("cryptomatte/") and key.endswith("/manifest"):
            prefix = key.removesuffix("manifest")
            if _parts(path)[0].header.get(prefix + "name", "").endswith("CryptoObject"):
                numbers = {name: int(number, 16) for name, number in json.loads(value).items()}
                return {
                    name: number - (1 << 32) * (number >> 31) for name, number in numbers.items()
                }
    raise Fault(
        f"{path.name} has no list of its cryptomatte's objects: render it again from Blender."
    )


def _file(path: Path) -> dict[str, np.ndarray]:
    return {
        name: channel.pixels for part in _parts(path) for name, channel in part.channels.items()
    }


@lru_cache(
    maxsize=2
)  # the passes of a frame are asked for one after the other; decompressing takes long
def _parts(path: Path) -> list:
    try:
        parts = OpenEXR.File(str(path), separate_channels=True).parts
    except Exception as error:  # the library raises plain RuntimeErrors and others of its own
        raise Fault(f"{path} cannot be read ({error}): render it again.") from error
    if not parts or not all(part.channels for part in parts):  # all it does about a file cut short
        raise Fault(f"{path} cannot be read (it is cut short): render it again.")
    return parts
