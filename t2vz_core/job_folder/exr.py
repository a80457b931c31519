"""Rendered EXR files become passes; `wire/exr_layout.py` tells which of them a file holds.

Blender's world z is up and its vectors' y too; passes have y down on screen.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import OpenEXR

from ..fault import Fault
from ..wire.exr_layout import TITLES, channels_of, view_layers
from ..wire.rendered import Rendered, read_rendered

NOTHING = 1e9  # depths from here on are where Blender saw no surface: it writes 1e10


def read_exr(path: Path, name: str) -> np.ndarray:
    """The pass `name` of a rendered file at picture size, as `wire.passes.PASSES` describes it; not
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
    return np.where((values >= end) | np.isnan(values), np.float32(np.inf), values)


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
        names = _names(path, said)
        return np.where(
            np.isin(_matte(path, said), [names[n] for n in said.subject if n in names]), 255, 0
        ).astype("u1")
    indices = np.round(layer(path, said, "index")[..., 0])
    return np.where(np.isin(indices, said.subject_indices), 255, 0).astype(np.uint8)


def image(path: Path, said: Rendered) -> np.ndarray:
    """(H, W, 3) uint8: the scene's light as plain sRGB, without the artist's view transform."""
    light = np.clip(np.nan_to_num(layer(path, said, "image").astype(np.float32)), 0, 1)
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
        _check_view_layer(path, said.layer)
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
    return channels_of(_file(path).keys(), view_layer, name)


def _check_view_layer(path: Path, view_layer: str) -> None:
    known = view_layers(_file(path).keys())
    if view_layer and view_layer not in known and len(known) > 1:
        raise Fault(
            f"{path.name} does not hold the view layer {view_layer} but {', '.join(known)}: "
            f"capture one of these, or render again."
        )


def _matte(path: Path, said: Rendered) -> np.ndarray:
    """(H, W) int32: the number of the object that covers most of the pixel; a float's bits are that
    number."""
    return np.ascontiguousarray(layer(path, said, "matte")[..., 0]).view(np.int32)


def _names(path: Path, said: Rendered) -> dict[str, int]:
    """Object's name -> its cryptomatte number, of the view layer whose matte is read."""
    channel = (_channels(path, said.layer, "matte") or ("CryptoObject00.r",))[0]
    manifests = _manifests(path)
    wanted = channel.rpartition("00.")[0]
    others = [name for name in manifests if name.endswith("CryptoObject")]
    if wanted not in manifests and len(others) == 1:
        wanted = others[0]
    if wanted not in manifests:
        raise Fault(
            f"{path.name} has no list of its cryptomatte's objects: render it again from Blender."
        )
    numbers = {name: int(number, 16) for name, number in json.loads(manifests[wanted]).items()}
    return {name: number - (1 << 32) * (number >> 31) for name, number in numbers.items()}


def _manifests(path: Path) -> dict[str, str]:
    """Name of each cryptomatte (`ViewLayer.CryptoObject`) -> its manifest, JSON, of all parts."""
    found = {}
    for part in _parts(path):
        for key, value in part.header.items():
            if key.startswith("cryptomatte/") and key.endswith("/manifest"):
                found[part.header.get(key.removesuffix("manifest") + "name", "")] = value
    return found


def _file(path: Path) -> dict[str, np.ndarray]:
    return {
        name: channel.pixels for part in _parts(path) for name, channel in part.channels.items()
    }


def _parts(path: Path) -> list:
    return _parts_of(path, *stamp(path))


def stamp(path: Path) -> tuple[int, int]:
    """What of a file changes when it is written anew."""
    try:
        said = path.stat()
    except OSError as error:
        raise Fault(f"{path} cannot be read ({error.strerror}): render it again.") from error
    return said.st_mtime_ns, said.st_size


# the passes of a frame are asked for one after the other; decompressing takes long
@lru_cache(maxsize=2)
def _parts_of(path: Path, _changed_ns: int, _size: int) -> list:
    try:
        parts = OpenEXR.File(str(path), separate_channels=True).parts
    except Exception as error:  # the library raises plain RuntimeErrors and others of its own
        raise Fault(f"{path} cannot be read ({error}): render it again.") from error
    if not parts or not all(part.channels for part in parts):  # all it does about a file cut short
        raise Fault(f"{path} cannot be read (it is cut short): render it again.")
    return parts
