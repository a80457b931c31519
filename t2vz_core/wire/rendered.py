"""What a rendered multilayer EXR does not say itself: `0001.json` beside `0001.exr`, where a pass
is such a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .parse import WireError, from_json, numeric, to_json, words

SUFFIX = ".exr"


@dataclass(frozen=True)
class Rendered:
    """One frame's camera and what belongs to it. Matrices are rows of four, one after the other.

    to_pixel:  world (x, y, z, 1) -> (x_px·w, y_px·w, w), pixels of the picture; w is 1 if
        orthographic
    to_camera: world (x, y, z, 1) -> x right, y up, z towards the viewer
    """

    width_px: int = numeric(512, 64, 4096, "picture width; the file may be of any size")
    height_px: int = numeric(512, 64, 4096, "picture height")
    to_pixel: tuple[float, ...] = (0.0,) * 12
    to_camera: tuple[float, ...] = (0.0,) * 12
    far: float = numeric(
        0.0,
        0.0,
        1e12,
        "the camera's clip end, which some renderers put where nothing is; 0: unknown",
    )
    layer: str = words("", "the view layer; empty: the first of the file")
    subject: tuple[str, ...] = ()  # names of the objects that the mask shows; none: every surface
    subject_indices: tuple[int, ...] = ()  # their pass indices
    previous: str | None = (
        None  # name of the frame's file before this one, beside it; null at an anchor
    )


def read_rendered(exr: Path) -> Rendered:
    """What is said about a file.

    Raises:
        WireError: nothing, or something else.
    """
    path = exr.with_suffix(".json")
    try:
        said = from_json(Rendered, json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise WireError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise WireError(f"{path}: {error}") from error
    if {len(said.to_pixel), len(said.to_camera)} != {12}:
        raise WireError(f"{path}: to_pixel and to_camera must have 12 numbers each")
    if said.previous is not None and not _is_beside(said.previous):
        raise WireError(f"{path}: previous must be a file beside it, not {said.previous!r}")
    return said


def _is_beside(name: str) -> bool:
    return Path(name).name == name and "\0" not in name


def write_rendered(exr: Path, said: Rendered) -> None:
    """Says it beside the file."""
    exr.with_suffix(".json").write_text(json.dumps(to_json(said)) + "\n", encoding="utf-8")
