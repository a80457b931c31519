"""One JSON object per line, over any pair of byte streams."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from .events import event_from_json, event_to_json
from .parse import WireError

LONGEST_LINE_BYTES = 1 << 20


class Reader(Protocol):
    """A stream of bytes to read lines from: a pipe's or a socket's end."""

    def readline(self, limit: int, /) -> bytes: ...


class Writer(Protocol):
    """A stream to write bytes to."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


class Lines:
    """Events in, events out; `send` may be called from several threads."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer
        self._lock = threading.Lock()

    def send(self, event: Any) -> None:
        """Writes one event.

        Raises:
            OSError: the other side is gone.
        """
        line = json.dumps(event_to_json(event), ensure_ascii=True, allow_nan=False).encode() + b"\n"
        with self._lock:
            self._writer.write(line)
            self._writer.flush()

    def receive(self) -> Iterator[Any]:
        """The events that come in, until the stream ends.

        Raises:
            WireError: a line that is no event.
        """
        while line := self._reader.readline(LONGEST_LINE_BYTES):
            yield parse_line(line)


def parse_line(line: bytes) -> Any:
    """The event of one line.

    Raises:
        WireError: the line is no JSON, or no event.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not a JSON line: {line[:80]!r}") from error
    return event_from_json(value)
