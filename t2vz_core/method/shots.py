"""A job cut into shots: an anchor frame each, and the frames that belong to it, in the order they
are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..wire.job import Frame


@dataclass(frozen=True)
class Span:
    """A key frame, made first, and the wanted frames before it."""

    keyframe: Frame | None
    between: tuple[Frame, ...]


@dataclass(frozen=True)
class ShotPlan:
    """What is made of one shot, one take of the camera.

    Attributes:
        wanted: the numbers of the frames that were asked for.
        since: frame number -> how many frames of the job after the anchor.
    """

    anchor: Frame
    spans: tuple[Span, ...]
    wanted: frozenset[int]
    since: dict[int, int]

    def first_span(self, is_stored: Callable[[int], bool], looked_at: int) -> int:
        """The span to begin with. A key frame is made of so many before it (`looked_at`): where
        these are stored, those before them are of no concern."""
        wanted = [i for i, span in enumerate(self.spans) if self._is_wanted(span)]
        stored = 0
        for i in range(wanted[0] - 1 if wanted else -1, -1, -1):
            keyframe = self.spans[i].keyframe
            stored = stored + 1 if keyframe and is_stored(keyframe.number) else 0
            if stored == looked_at:
                return i
        return 0

    def _is_wanted(self, span: Span) -> bool:
        keyframe = span.keyframe
        return bool(span.between or (keyframe and keyframe.number in self.wanted))

    @property
    def frames(self) -> list[Frame]:
        """All that are made beside the anchor, wanted or needed for others."""
        made = [(*span.between, span.keyframe) for span in self.spans]
        return [frame for frames in made for frame in frames if frame]


def shots(frames: Sequence[Frame], numbers: Sequence[int], every: int = 0) -> Iterator[ShotPlan]:
    """The shots that hold any of the frames `numbers`; the first frame of a job is an anchor,
    marked or not.

    Args:
        every: a key frame every so many frames of a shot; 0: none.
    """
    starts = [i for i, frame in enumerate(frames) if frame.is_anchor or i == 0]
    for start, end in zip(starts, [*starts[1:], len(frames)]):
        shot = frames[start:end]
        wanted = frozenset(numbers) & {frame.number for frame in shot}
        if wanted:
            since = {frame.number: i for i, frame in enumerate(shot)}
            yield ShotPlan(shot[0], tuple(_spans(shot, wanted, every)), wanted, since)


def _spans(shot: Sequence[Frame], wanted: frozenset[int], every: int) -> Iterator[Span]:
    last = max(i for i, frame in enumerate(shot) if frame.number in wanted)
    step = every or len(shot)
    for start in range(0, last, step):
        end = start + step
        between = [frame for frame in shot[start + 1 : end] if frame.number in wanted]
        yield Span(shot[end] if end < len(shot) else None, tuple(between))
