"""The only door of a job's arrays into the engine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..fault import Fault
from ..wire.job import Frame
from ..wire.passes import PASSES
from ..wire.rendered import SUFFIX as RENDERED

AGAIN = "capture the shot again"
_HEADERS = {  # by the version of the .npy format; a third is for fields, which no pass has
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True, eq=False)
class Source:
    """The passes of one job folder; where `size`, the picture's (height, width) in px, is known,
    all must have it.

    It is for one job: what is remembered of them is forgotten with it, as the files may be written
    anew between two. `arrays` of (frame number, pass) stand in for files."""

    folder: Path
    size: tuple[int, int] | None = None
    arrays: Mapping[tuple[int, str], np.ndarray] = field(default_factory=dict)

    def read(self, frame: Frame, name: str) -> np.ndarray:
        """The pass `name` of a frame, as `wire.passes.PASSES` describes it.

        Raises:
            Fault: the frame has no such pass, or its file cannot be read or holds something else.
        """
        if (frame.number, name) in self.arrays:
            return self.arrays[frame.number, name]
        path = getattr(frame.passes, name)
        if path is None:
            raise Fault(
                f"Frame {frame.number} has no {name} pass: {AGAIN} with it, or switch off what "
                "needs "
                "it."
            )
        file = self.folder / path
        array = _load(file, name)
        wanted = PASSES[name]
        if not wanted.fits(array.shape):
            raise Fault(f"{file} has the shape {array.shape}, which no {name} pass has: {AGAIN}.")
        if wanted.is_picture and self.size not in (None, array.shape[:2]):
            high, wide = array.shape[:2]
            raise Fault(
                f"{file} has {wide} × {high} px, the picture "
                f"{self.size[1]} × {self.size[0]}: {AGAIN}."
            )
        if array.dtype.kind != np.dtype(wanted.dtype).kind:
            raise Fault(f"{file} holds {array.dtype}, a {name} pass holds {wanted.dtype}: {AGAIN}.")
        if array.dtype.kind == "f" and not _is_sound(array, name):
            raise Fault(f"{file} holds values that are no numbers or not finite: {AGAIN}.")
        return array.astype(wanted.dtype, copy=False)


def _is_sound(array: np.ndarray, name: str) -> bool:
    """All are finite numbers that a float32 holds; the background of depth is infinitely far."""
    bound = np.finfo(np.float32).max
    if name == "depth":
        return bool(((array >= -bound) & ((array <= bound) | np.isposinf(array))).all())
    return bool((abs(array) <= bound).all())


def pictures_to_tensor(pictures: list[np.ndarray]) -> Tensor:
    """Pictures (H, W, 3) uint8 -> (n, 3, H, W) float32 within 0..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def _load(path: Path, name: str) -> np.ndarray:
    try:
        if path.suffix == RENDERED:
            return _load_rendered(path, name)
        return _load_array(path) if path.suffix == ".npy" else load_picture(path)
    except FileNotFoundError:
        raise Fault(f"{path} is missing: {AGAIN}.") from None
    except (OSError, ValueError, EOFError) as error:
        raise Fault(f"{path} cannot be read ({error}): {AGAIN}.") from error


def _load_array(path: Path) -> np.ndarray:
    """The array of a .npy file.

    Raises:
        Fault: it is none, is cut short, or holds Python objects.
    """
    with path.open("rb") as file:
        try:
            shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
        except Exception:  # numpy's reader lets through what Python's tokenizer raises
            raise Fault(
                f"{path} is no array that numpy has saved, or is cut short: {AGAIN}."
            ) from None
        there = path.stat().st_size - file.tell()
    if dtype.hasobject:
        raise Fault(f"{path} holds Python objects, which could run code, and no numbers: {AGAIN}.")
    if min(shape, default=0) < 0 or there != math.prod(shape) * dtype.itemsize:
        raise Fault(f"{path} says that it holds {shape} {dtype}, but has {there:,} bytes: {AGAIN}.")
    return np.load(path, allow_pickle=False)


def _load_rendered(path: Path, name: str) -> np.ndarray:
    from . import exr, vector_passes

    if name in ("map", "visible"):
        return vector_passes.backward(path)[name == "visible"]
    return exr.read_exr(path, name)


def load_picture(path: Path) -> np.ndarray:
    """A picture file as (H, W, 3) uint8 RGB.

    Raises:
        ValueError: it holds no picture.
        OSError: it cannot be read.
    """
    import cv2

    body = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(body, cv2.IMREAD_COLOR) if body.size else None
    if picture is None:
        raise ValueError("no picture")
    return np.ascontiguousarray(picture[..., ::-1])  # cv2 reads BGR
