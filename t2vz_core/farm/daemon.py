"""A worker that stays warm between the commands of a farm's session: `daemon start`, `run`, `stop`.

It listens on the loopback alone, at a port that it writes with a secret token into a file which its
owner alone may read. A connection begins with the token; then come the wire's lines. It leaves when
told to, when its file is gone with the session's folder, or after a while without work.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..fault import Fault
from ..wire import events
from ..wire.lines import Lines
from ..wire.parse import WireError

HOST = "127.0.0.1"
START_S = 120.0
IDLE_S = 900.0
LOOK_S = 1.0
TOKEN_S = 5.0
LEAVE = b"leave"


@dataclass(frozen=True)
class Address:
    """Where a daemon listens, and what it wants to hear first."""

    port: int
    token: str
    pid: int
    version: str = __version__


def start(at: Path) -> None:
    """Starts a daemon that writes its address to the file `at`, and returns when it listens; none
    where one does already.

    Raises:
        Fault: it does not start.
    """
    if _reached(at):
        return
    at.unlink(missing_ok=True)
    command = [sys.executable, "-m", "t2vz_core", "daemon", "serve", "--at", str(at)]
    with _log(at).open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a farm ends a command's group, which this must outlive
        )
    until = time.monotonic() + START_S
    while not _reached(at):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise Fault(f"The warm engine did not start: see {_log(at)}.")
        time.sleep(0.05)


def stop(at: Path) -> None:
    """Ends a daemon and what it does; where none is, that is well."""
    with contextlib.suppress(OSError, Fault), _connected(at, LEAVE, TOKEN_S) as stream:
        stream.read(1)  # until it has left
    at.unlink(missing_ok=True)


def perform(at: Path, event: events.Run, show: Any) -> None:
    """Has the daemon make frames, starting one where none is, and shows every event of the job up
    to its end. SIGTERM and SIGINT cancel it within a step.

    Raises:
        Fault: the daemon ended at work.
    """
    start(at)
    with _connected(at) as stream:
        lines = Lines(stream, stream)
        with _cancelled_by_signals(lambda: lines.send(events.Cancel(event.job))):
            lines.send(event)
            for heard in _heard(lines):
                show(heard)
                if isinstance(heard, events.ENDS):
                    return
    raise Fault(f"The engine ended while it was at work: see {_log(at)}.")


def serve(at: Path) -> None:
    """Listens and works until it is told to leave, its file is gone, or nothing came for long."""
    from ..worker import Worker

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = socket.create_server((HOST, 0))
    address = Address(server.getsockname()[1], secrets.token_hex(32), os.getpid())
    desk = Desk(address)
    worker = desk.worker = Worker(desk.say, keeps_tokens=True)
    threading.Thread(target=_listen, args=(server, desk), daemon=True).start()
    _write(at, address)
    since = time.monotonic()
    while _is_ours(at, address) and time.monotonic() - since < IDLE_S:
        with contextlib.suppress(queue.Empty):
            event = desk.jobs.get(timeout=LOOK_S)
            worker.perform(event)
            since = time.monotonic()
    if _is_ours(at, address):
        at.unlink(missing_ok=True)


class Desk:
    """Takes jobs from connections, and sends what happens back to the one that it belongs to."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.jobs: queue.SimpleQueue[events.Run | events.Preview] = queue.SimpleQueue()
        self.worker: Any = None
        self._askers: dict[str, Lines] = {}

    def say(self, event: Any) -> None:
        """Sends an event of a job to whoever asked for it, unless they are gone."""
        lines = self._askers.get(getattr(event, "job", ""))
        if lines is not None:
            with contextlib.suppress(OSError):
                lines.send(event)

    def attend(self, connection: socket.socket) -> None:
        """One connection from its token to its end; jobs of one that breaks off are cancelled."""
        mine: list[str] = []
        with contextlib.suppress(OSError, WireError), connection, connection.makefile("rwb") as io:
            if not self._is_welcome(connection, io.readline(256)):
                return
            lines = Lines(io, io)
            for event in lines.receive():
                if isinstance(event, events.Cancel):
                    self._cancel(event.job)
                elif isinstance(event, (events.Run, events.Preview)):
                    self._askers[event.job] = lines
                    mine.append(event.job)
                    self.jobs.put(event)
        for job in mine:
            self._cancel(job)
            self._askers.pop(job, None)

    def _is_welcome(self, connection: socket.socket, line: bytes) -> bool:
        token, _, word = line.strip().partition(b" ")
        if not hmac.compare_digest(token, self.address.token.encode()):
            return False
        if word == LEAVE:
            os._exit(0)
        connection.settimeout(None)
        return True

    def _cancel(self, job: str) -> None:
        self.worker.cancel(job)


def _listen(server: socket.socket, desk: Desk) -> None:
    while True:
        connection, _ = server.accept()
        connection.settimeout(TOKEN_S)
        threading.Thread(target=desk.attend, args=(connection,), daemon=True).start()


def _reached(at: Path) -> bool:
    try:
        with _connected(at):
            return True
    except (OSError, Fault):
        return False


@contextlib.contextmanager
def _connected(at: Path, word: bytes = b"", patience_s: float | None = None) -> Iterator[Any]:
    """A stream to the daemon whose address is in `at`, its token said."""
    address = _read(at)
    with (
        socket.create_connection((HOST, address.port), TOKEN_S) as connection,
        connection.makefile("rwb") as stream,
    ):
        connection.settimeout(patience_s)
        stream.write(address.token.encode() + b" " + word + b"\n")
        stream.flush()
        yield stream


def _heard(lines: Lines) -> Iterator[Any]:
    with contextlib.suppress(OSError):
        yield from lines.receive()


@contextlib.contextmanager
def _cancelled_by_signals(cancel: Any) -> Iterator[None]:
    names = ("SIGINT", "SIGTERM", "SIGBREAK")  # the last is Windows'
    kinds = [getattr(signal, name) for name in names if hasattr(signal, name)]

    def ask(*_: object) -> None:
        with contextlib.suppress(OSError):
            cancel()

    before = {kind: signal.signal(kind, ask) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _write(at: Path, address: Address) -> None:
    """Whole, and for its owner alone."""
    part = at.with_name(f".{at.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
        json.dump(vars(address), out)
    os.replace(part, at)


def _read(at: Path) -> Address:
    try:
        address = Address(**json.loads(at.read_text("utf-8")))
    except (ValueError, TypeError):
        raise Fault(f"{at} holds no engine's address: stop it and start it again.") from None
    if address.version != __version__:
        raise Fault(f"The warm engine is of version {address.version}, this one {__version__}.")
    return address


def _is_ours(at: Path, address: Address) -> bool:
    try:
        return _read(at) == address
    except (OSError, Fault):
        return False


def _log(at: Path) -> Path:
    return at.with_suffix(".log")
