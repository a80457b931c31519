"""When a log gets another line about a job that goes on, on both sides alike."""

from __future__ import annotations

LONGEST_S = 30.0  # without a line; who reads a log wants to know that something still happens


class Pace:
    """At every new stage, at every tenth of it, and at least every 30 s."""

    def __init__(self) -> None:
        self._told: tuple[str, int] = ("", 0)
        self._told_at = 0.0

    def is_due(self, stage: str, done: int, total: int, now_s: float) -> bool:
        """Whether a line is due for `done` of `total` of a stage; it counts as written then."""
        here = (stage, 10 * done // max(total, 1))
        if here == self._told and now_s - self._told_at < LONGEST_S:
            return False
        self._told, self._told_at = here, now_s
        return True
