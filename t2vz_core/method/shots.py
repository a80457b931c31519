"""A shot cut into scenes: an anchor frame each, and the frames that belong to it, in the order they
are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..wire.job import Frame


@dataclass(frozen=True)
class Span:
    """A further anchor, made first, and the wanted frames before it."""

    further: Frame | None
    between: tuple[Frame, ...]


@dataclass(frozen=True)
class Scene:
    """An anchor and the frames to be made of its scene."""

    anchor: Frame
    spans: tuple[Span, ...]
    wanted: frozenset[int]  # frame numbers
    since: dict[int, int]  # frame number -> how many frames of the shot after the anchor

    @property
    def frames(self) -> list[Frame]:
        """All that are made beside the anchor, wanted or needed for others."""
        return [frame for span in self.spans for frame in (*span.between, span.further) if frame]


def scenes(frames: Sequence[Frame], numbers: Sequence[int], every: int = 0) -> Iterator[Scene]:
    """The scenes that hold any of the frames `numbers`; the first frame of a shot is an anchor,
    marked or not.

    Args:
        every: a further anchor every so many frames of a scene; 0: none.
    """
    starts = [i for i, frame in enumerate(frames) if frame.is_anchor or i == 0]
    for start, end in zip(starts, [*starts[1:], len(frames)]):
        scene = frames[start:end]
        wanted = frozenset(numbers) & {frame.number for frame in scene}
        if wanted:
            since = {frame.number: i for i, frame in enumerate(scene)}
            yield Scene(scene[0], tuple(_spans(scene, wanted, every)), wanted, since)


def _spans(scene: Sequence[Frame], wanted: frozenset[int], every: int) -> Iterator[Span]:
    last = max(i for i, frame in enumerate(scene) if frame.number in wanted)
    step = every or len(scene)
    for start in range(0, last, step):
        between = tuple(
            frame for frame in scene[start + 1 : start + step] if frame.number in wanted
        )
        yield Span(scene[start + step] if start + step < len(scene) else None, between)
