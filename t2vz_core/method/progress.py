"""How far a whole job is, in frame-steps."""

from __future__ import annotations

from typing import Any

from .shots import Scene

DECODING = 2  # a decoded frame costs about as much as this many of its steps


class Tally:
    """Counts steps of frames and decoded frames, and reports after each."""

    def __init__(self, watch: Any, todo: list[Scene], anchor_steps: int, frame_steps: int) -> None:
        self._watch, self._done = watch, 0
        frames = sum(len(scene.frames) for scene in todo)
        shown = sum(len(scene.wanted) for scene in todo)
        self._total = len(todo) * anchor_steps + frames * frame_steps + shown * DECODING
        self.steps(0)

    def steps(self, frames: int) -> None:
        """As many frames took one step down.

        Raises:
            Cancelled: the job must stop here.
        """
        self._done = min(
            self._done + frames, self._total
        )  # steps made again for want of memory would exceed it
        self._watch.progress("painting frames", self._done, self._total)

    def decoded(self) -> None:
        """One frame was decoded."""
        self.steps(DECODING)
