"""How far a whole job is, in frame-steps."""

from __future__ import annotations

from typing import Protocol

from ..wire.events import ARTIST
from .shots import ShotPlan

DECODING = 2  # a decoded frame costs about as much as this many of its steps


class Watch(Protocol):
    """Who is told how a job goes on, and may end it by raising Cancelled."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """So much of a stage is done."""

    def note(self, text: str, rank: str = ARTIST) -> None:
        """What the artist should know, or what only the log needs."""


class Progress:
    """Counts steps of frames and decoded frames, and reports after each."""

    def __init__(
        self, watch: Watch, todo: list[ShotPlan], anchor_steps: int, frame_steps: int
    ) -> None:
        self._watch = watch
        self._done = 0
        frames = sum(len(shot.frames) for shot in todo)
        shown = sum(len(shot.wanted) for shot in todo)
        self._total = len(todo) * anchor_steps + frames * frame_steps + shown * DECODING
        self.steps(0)

    def steps(self, frames: int) -> None:
        """As many frames took one step down.

        Raises:
            Cancelled: the job must stop here.
        """
        # steps made again for want of memory would exceed it
        self._done = min(self._done + frames, self._total)
        self._watch.progress("painting frames", self._done, self._total)

    def spare(self, steps: int) -> None:
        """So many steps of frames need not be done: others do them, or did."""
        self._total = max(self._total - steps, self._done)

    def decoded(self) -> None:
        """One frame was decoded."""
        self.steps(DECODING)
