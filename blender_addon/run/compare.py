"""Two takes at once in the Sequencer: the upper one's left half over the lower one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from . import strips

COMPARED = "t2vz_compared"  # a strip's property: the crop that it had before
HIDDEN = "t2vz_hidden"  # a strip's property: muted for as long, as it would lie over both


def toggle(scene: bpy.types.Scene, folder: Path) -> None:
    """Cuts this take's strip in the middle, so that what lies below is seen beside it; or gives
    back what it showed. What lies above both is muted for as long.

    Raises:
        ValueError: it has no strip in this scene, or nothing lies below it.
    """
    strip = strips.strip_of_job(scene, folder)
    if strip is None:
        raise ValueError(f"This film has no strip in {scene.name}: Show puts one there.")
    others = list(strips.strips_of(scene))
    if COMPARED in strip:
        _end(strip, others)
        return
    if not any(_is_below(other, strip) for other in others):
        raise ValueError("Nothing lies below this film: show the other take first.")
    strip[COMPARED] = strip.crop.max_x
    strip.crop.max_x = strip.elements[0].orig_width // 2
    for other in others:
        if _is_below(strip, other) and not other.mute:
            other[HIDDEN] = other.mute = True


def _end(strip: Any, others: list[Any]) -> None:
    strip.crop.max_x = strip[COMPARED]
    del strip[COMPARED]
    for other in others:
        if HIDDEN in other:
            other.mute = False
            del other[HIDDEN]


def _is_below(other: Any, strip: Any) -> bool:
    first, end = strips.span_of(strip)
    one, two = strips.span_of(other)
    return other.channel < strip.channel and one < end and first < two
