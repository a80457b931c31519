"""The only door of a job's arrays into the engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..fault import Fault
from ..wire.job import Frame
from ..wire.passes import PASSES
from ..wire.rendered import SUFFIX as RENDERED


@dataclass(frozen=True, eq=False)
class Source:
    """The passes of one job folder, for one job: what is remembered of them is forgotten with it,
    as the files may be written anew between two."""

    folder: Path

    def read(self, frame: Frame, name: str) -> np.ndarray:
        """The pass `name` of a frame, as `wire.passes.PASSES` describes it.

        Raises:
            Fault: the frame has no such pass, or its file cannot be read or holds something else.
        """
        path = getattr(frame.passes, name)
        if path is None:
            raise Fault(
                f"Frame {frame.number} has no {name} pass: capture the shot again with it, "
                "or switch off what needs it."
            )
        file = self.folder / path
        array = _load(file, name)
        wanted = PASSES[name]
        if not wanted.fits(array.shape):
            raise Fault(
                f"{file} has the shape {array.shape}, which no {name} pass has: "
                "capture the shot again."
            )
        if array.dtype.kind != np.dtype(wanted.dtype).kind:
            raise Fault(
                f"{file} holds {array.dtype}, a {name} pass holds {wanted.dtype}: "
                "capture the shot again."
            )
        return array.astype(wanted.dtype, copy=False)


def pictures_to_tensor(pictures: list[np.ndarray]) -> Tensor:
    """Pictures (H, W, 3) uint8 -> (n, 3, H, W) float32 within 0..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def _load(path: Path, name: str) -> np.ndarray:
    try:
        if path.suffix == RENDERED:
            return _load_rendered(path, name)
        return np.load(path, allow_pickle=False) if path.suffix == ".npy" else load_picture(path)
    except FileNotFoundError:
        raise Fault(f"{path} is missing: capture the shot again.") from None
    except (OSError, ValueError, EOFError) as error:
        raise Fault(f"{path} cannot be read ({error}): capture the shot again.") from error


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
