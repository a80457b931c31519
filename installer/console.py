"""What the installer says: steps, bars and the one sentence it stops with."""

from __future__ import annotations

import shutil
import sys
import time


class Stop(Exception):
    """The command cannot go on; the text is one sentence: what was wrong and what to do."""


def say(text: str) -> None:
    """One line, shown at once."""
    print(text, flush=True)


class Bar:
    """A progress bar on a terminal; a line at every quarter where there is none."""

    def __init__(self, title: str) -> None:
        self._title, self._is_terminal = title, sys.stdout.isatty()
        self._drawn_at, self._quarter = 0.0, 0

    def show(self, done: float, total: float, unit: str = "") -> None:
        """`done` of `total`, in `unit`."""
        part = min(done / total, 1.0) if total else 1.0
        figures = f"{done:.0f}/{total:.0f} {unit}".rstrip()
        if self._is_terminal:
            self._draw(part, figures)
        elif int(part * 4) > self._quarter:
            self._quarter = int(part * 4)
            say(f"  {self._title}: {part:4.0%} ({figures})")

    def _draw(self, part: float, figures: str) -> None:
        now = time.monotonic()
        if part < 1.0 and now - self._drawn_at < 0.1:
            return
        self._drawn_at = now
        width = shutil.get_terminal_size().columns
        blocks = "█" * round(part * 24)
        print(
            f"\r  {self._title[: width - 50]} {blocks:░<24} {part:4.0%} {figures}"[:width],
            end="\033[K",
            flush=True,
        )

    def end(self) -> None:
        """Leaves the line free for the next."""
        if self._is_terminal and self._drawn_at:
            print(end="\r\033[K", flush=True)
