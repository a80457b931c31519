"""The newest frame before the artist's eyes while the rest is being made, and what a run teaches
about the next."""

from __future__ import annotations

import contextlib
from pathlib import Path

import bpy

from .. import preferences
from ..job import timing
from ..job.generation import FINISHED, Generation

NAME = "T2VZ Newest Frame"
OURS = "T2VZ"  # with it begin the names of all pictures that we show


def show_newest(generation: Generation) -> None:
    """Loads the frame that was finished last, and shows it in Image Editors that show nothing or a
    picture of ours."""
    if generation.newest is None or not generation.newest.is_file():
        return
    image = load(generation.newest, NAME)
    for area in _editors():
        shown = area.spaces.active.image
        if shown is None or shown.name.startswith(OURS):
            area.spaces.active.image = image
            area.tag_redraw()


def load(path: Path, name: str) -> bpy.types.Image:
    """The picture of a file as the image of this name."""
    image = bpy.data.images.get(name)
    if image is None:
        image = bpy.data.images.load(str(path), check_existing=False)
        image.name = name
    else:
        image.filepath = str(path)
        image.reload()
    return image


def past_file() -> Path:
    """Where runs are remembered."""
    return preferences.own_folder("timing") / "runs.json"


def remember_time(generation: Generation) -> None:
    """Keeps how long a finished run has painted, for the next estimate."""
    if generation.end == FINISHED and generation.painted and not generation.is_preview:
        work = timing.work_of(generation.spec, generation.painted)
        run = timing.Past(generation.spec.model.base, work, round(generation.painting_s, 3))
        with contextlib.suppress(OSError):
            timing.remember(past_file(), run)
        forget_estimates()


def forget_estimates() -> None:
    """What was estimated is no longer so."""
    _past.clear()


def past() -> list[timing.Past]:
    """The runs remembered; read once, for panels are drawn often."""
    if not _past:
        _past.append(timing.read_past(past_file()))
    return _past[0]


_past: list[list[timing.Past]] = []


def _editors() -> list[bpy.types.Area]:
    windows = bpy.context.window_manager.windows
    return [area for w in windows for area in w.screen.areas if area.type == "IMAGE_EDITOR"]
