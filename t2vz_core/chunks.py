"""How many frames go through the networks at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .wire.job import Frame

ON_CPU = 4  # larger chunks are no faster there


def chunks(frames: Sequence[Frame], chunk: int, networks: Any) -> Iterator[list[Frame]]:
    """The frames, `chunk` at a time; 0: as many as memory allows."""
    size = chunk or ON_CPU
    for i in range(0, len(frames), size):
        yield list(frames[i : i + size])
