"""Which picture of its file or files a strip of the sequencer shows at a frame of the scene."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import bpy

from .cameras import CaptureError


def all_strips(scene: bpy.types.Scene) -> Iterable[Any]:
    """The strips of a scene's sequencer, with those in meta strips."""
    editor = scene.sequence_editor
    if editor is None:
        return ()
    return editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


@dataclass(frozen=True)
class Content:
    """What a strip shows of its file or files.

    start: the scene's frame of the first picture shown; first: that picture, counted from 0; count:
    how many are shown; rate: pictures a scene's frame; every: above 1, each is held for so many
    pictures
    """

    start: float
    first: int
    count: int
    rate: float = 1.0
    every: float = 0.0
    is_reversed: bool = False


def picture_index(content: Content, number: int) -> int:
    """The picture, counted from 0 in the file, that Blender's sequencer shows at a scene's frame.

    As in its strip_time.cc (`give_frame_index`), rounded as the movie reader rounds; what lies
    beyond the content is its first or last picture, held. The sequencers of 4.2 to 5.2 agree.
    """
    end = content.start + int(content.count / content.rate)
    passed = end - 1 - number if content.is_reversed else number - content.start
    position = max(passed, 0.0) * content.rate
    if content.every > 1:
        position -= position % content.every
    return content.first + int(min(position, content.count - 1) + 0.5)


def fps_of(scene: bpy.types.Scene) -> float:
    """Frames of the scene that make a second."""
    return scene.render.fps / scene.render.fps_base


def movie_of(path: Path) -> tuple[int, float]:
    """How many pictures a movie has, and how many a second.

    Raises:
        CaptureError: it is no movie.
    """
    return _movie_of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)  # every frame asks
def _movie_of(path: Path, _changed_ns: int) -> tuple[int, float]:
    try:
        clip = bpy.data.movieclips.load(str(path))
    except RuntimeError as error:
        raise CaptureError(f"{path} is no movie that can be read.") from error
    try:
        return clip.frame_duration, clip.fps
    finally:
        bpy.data.movieclips.remove(clip)


def content_of(strip: Any, count: int, rate: float) -> Content:
    """What a strip shows of its `count` pictures, of which it plays `rate` in a frame."""
    if hasattr(strip, "content_start"):  # 5.2; there the older names warn
        start, trims = strip.content_start, (strip.content_trim_start, strip.content_trim_end)
    else:
        start, trims = (
            strip.frame_start,
            (strip.animation_offset_start, strip.animation_offset_end),
        )
    left = max(count - sum(trims), 1)
    return Content(start, trims[0], left, rate, strip.strobe, strip.use_reverse_frames)


def rate_of(scene: bpy.types.Scene, strip: Any, count: int, fps: float) -> float:
    """Pictures that a movie's strip shows in a frame of the scene, of a movie of so many pictures.

    1 where the strip plays picture by picture. Where it plays at the movie's own speed, which
    Blender calls Adjust Playback Rate and tells nobody but by the strip's length, their ratio.

    Raises:
        CaptureError: the strip's length tells neither.
    """
    shown = content_of(strip, count, 1.0).count
    first, end = span_of(strip)
    if hasattr(strip, "left_handle_offset"):
        length = end - first + strip.left_handle_offset + strip.right_handle_offset
    else:
        length = end - first + strip.frame_offset_start + strip.frame_offset_end
    rates = (fps / fps_of(scene), 1.0)
    off = [abs(length - int(shown / rate)) for rate in rates]
    if min(off) > 1:
        raise CaptureError(
            f"The strip {strip.name} is not as long as its movie, as if the file or the scene's "
            f"frame rate had changed since: add the strip anew."
        )
    return rates[off.index(min(off))]


def retiming_of(scene: bpy.types.Scene, strip: Any) -> str:
    """What of a strip, or of a meta strip around it, Blender does not tell the pictures' order of;
    "" where it tells all."""
    if len(getattr(strip, "retiming_keys", ())):
        return f"The strip {strip.name} is retimed"
    for effect in all_strips(scene):
        if effect.type == "SPEED" and effect.input_1 == strip:
            return f"The speed of the strip {strip.name} is changed by the strip {effect.name}"
    meta = strip.parent_meta()
    if meta is None:
        return ""
    if meta.use_reverse_frames or meta.strobe > 1:
        return f"The meta strip {meta.name}, in which {strip.name} lies, is reversed or strobes"
    return retiming_of(scene, meta)


def span_of(strip: Any) -> tuple[int, int]:
    """First frame of a strip and the frame after its last."""
    if hasattr(strip, "left_handle"):  # 5.2; there the older names warn
        return int(strip.left_handle), int(strip.right_handle)
    return int(strip.frame_final_start), int(strip.frame_final_end)
