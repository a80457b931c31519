"""How far a generation is, told by the command line: to people, or as JSON lines to programs."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

from t2vz_core.wire.pace import Pace

from ..job.generation import Generation, caption


def say(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


class Meter:
    """A line that moves in a terminal; elsewhere a line for every stage, at every tenth of it, and
    after half a minute."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._said: Counter[int] = Counter()  # how many of each list
        self._shown = ""
        self._moves = sys.stderr.isatty()

    def __call__(self, generation: Generation) -> None:
        for said in (generation.notes, generation.details):
            for note in said[self._said[id(said)] :]:
                self._line(note)
            self._said[id(said)] = len(said)
        text = caption(generation)
        if self._moves and text != self._shown:
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()
        elif not self._moves and self._is_due(generation):
            say(text)
        self._shown = text

    def _is_due(self, generation: Generation) -> bool:
        stage, done, total = generation.stage, generation.done, generation.total
        return self._pace.is_due(stage, done, total, time.monotonic())

    def _line(self, text: str) -> None:
        say(f"\r\033[K{text}" if self._moves else text)


class JsonMeter:
    """A JSON object on stdout for whatever happens: `progress`, `note`, `frame`."""

    def __init__(self) -> None:
        self._notes = 0
        self._told: tuple[Any, ...] = ()
        self._frames = 0

    def __call__(self, generation: Generation) -> None:
        for note in generation.notes[self._notes :]:
            tell("note", text=note)
        self._notes = len(generation.notes)
        now = (generation.stage, generation.done, generation.total)
        if now != self._told:
            self._told, (stage, done, total) = now, now
            tell("progress", stage=stage, done=done, total=total, left_s=generation.left_s)
        if generation.frames_done != self._frames:
            self._frames = generation.frames_done
            tell("frame", done=self._frames, path=str(generation.newest))


def tell(event: str, **fields: Any) -> None:
    """One JSON line on stdout."""
    print(json.dumps({"event": event, **fields}), flush=True)
