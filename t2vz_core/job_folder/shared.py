"""A job folder in which other runs work too: before this one, after it or beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..wire.job import Frame
from .anchors import Anchors, Painted
from .claims import Claims
from .frames import Frames, claim_name


class SharedJob:
    """What is stored there, and who makes what.

    Args:
        wait: called again and again while another process makes what is needed here.
        session: what this process remembers from range to range.
    """

    def __init__(
        self, frames: Frames, claims: Claims, wait: Callable[[], None], session: Any
    ) -> None:
        self.session = session
        self._frames, self._claims, self._wait = frames, claims, wait
        self._anchors = Anchors(frames.job, frames.made_from, claims)

    def has(self, number: int) -> bool:
        """Whether an anchor or key frame is stored."""
        return self._anchors.read(number) is not None

    def anchor(self, number: int, make: Callable[[], Painted]) -> Painted:
        """An anchor or key frame as it is stored; made, and stored, where it is not."""
        return self._anchors.made(number, make, self._wait)

    def take(self, frames: Sequence[Frame]) -> list[Frame]:
        """Those of the frames that are missing and that nobody else makes: they are this run's."""
        mine = set(self._frames.take([frame.number for frame in frames], self._claims))
        return [frame for frame in frames if frame.number in mine]

    def is_free(self, numbers: Sequence[int]) -> bool:
        """Whether one of the frames is made by nobody."""
        return bool(self._claims.free([claim_name(number) for number in numbers]))

    def write(self, number: int, picture: Any) -> None:
        """Writes a finished frame (H, W, 3) uint8, unless it is there, and gives its claim back."""
        if self._frames.missing([number]):
            self._frames.write(number, picture)
        self._claims.release(claim_name(number))
