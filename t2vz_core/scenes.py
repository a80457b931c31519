"""A shot cut into scenes: an anchor frame each, and the frames that belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .wire.job import Frame


@dataclass(frozen=True)
class Scene:
    """An anchor and the frames to be made of its scene."""

    anchor: Frame
    is_anchor_wanted: bool
    frames: tuple[Frame, ...]  # without the anchor
    since: dict[int, int]  # frame number -> how many frames of the shot after the anchor


def scenes(frames: tuple[Frame, ...], numbers: list[int]) -> Iterator[Scene]:
    """The scenes that hold any of the frames `numbers`; the first frame of a shot is an anchor, marked or not."""
    wanted = set(numbers)
    starts = [i for i, frame in enumerate(frames) if frame.is_anchor or i == 0]
    for start, end in zip(starts, [*starts[1:], len(frames)]):
        anchor, *others = frames[start:end]
        made = tuple(frame for frame in others if frame.number in wanted)
        if made or anchor.number in wanted:
            since = {frame.number: i for i, frame in enumerate(frames[start:end])}
            yield Scene(anchor, anchor.number in wanted, made, since)
