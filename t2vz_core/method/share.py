"""What a run has in common with other runs, before it, after it or beside it, of the same job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..job_folder.anchors import Painted
from ..wire.job import Frame
from .keyframes import Way


class Session:
    """What stays in memory from range to range of one process: the way down of the last anchor and
    of the key frames that are attended to, and how many bytes a frame's work takes."""

    def __init__(self) -> None:
        self.anchor: Way | None = None
        self.keyframes: list[Way] = []
        self.frame_bytes = 0

    def forget(self) -> None:
        """Gives the memory back before another anchor's way is walked."""
        self.anchor = None
        self.keyframes = []


class Share(Protocol):
    """Whom a run asks before it paints anything."""

    session: Session

    def has(self, number: int, /) -> bool:
        """Whether an anchor or key frame is stored."""
        ...

    def anchor(self, number: int, /, make: Callable[[], Painted]) -> Painted:
        """An anchor or key frame as it is stored; made, and stored, where it is not."""
        ...

    def take(self, frames: Sequence[Frame]) -> list[Frame]:
        """Those of the frames that nobody else makes: they are this run's."""
        ...


class Alone:
    """A run that has nothing in common with any other."""

    def __init__(self) -> None:
        self.session = Session()

    def has(self, _number: int) -> bool:
        """Nothing is stored."""
        return False

    def anchor(self, _number: int, make: Callable[[], Painted]) -> Painted:
        """Made here."""
        return make()

    def take(self, frames: Sequence[Frame]) -> list[Frame]:
        """All of them."""
        return list(frames)
