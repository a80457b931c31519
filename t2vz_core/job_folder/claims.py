"""Who makes which frame, where several processes on one or more machines work in one job folder.

A claim is a file `claims/<name>.<turn>` which one process alone can create and which its owner
touches every few seconds. It is stale when its owner is a dead process of this machine, or when it
was not touched for `STALE_S` by the onlooker's own clock: clocks of two machines are never
compared. It is taken over by creating the next turn, so that of several onlookers one succeeds and
no living claim can be taken by mistake. A claim prevents double work and nothing else: a frame is
written whole under its name by whoever makes it, and would be the same.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

FOLDER = "claims"
BEAT_S = 5.0
STALE_S = 90.0  # NFS clients may show a file's time up to a minute late
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EACCES)


@dataclass(frozen=True)
class Owner:
    """A process: `machine` tells this boot of this computer (or container) from all others."""

    token: str
    machine: str
    host: str
    pid: int
    started: str


class Claims:
    """The claims of one run in a job folder; used in a `with`, which gives back what is left."""

    def __init__(self, job: Path, beat_s: float = 0.0, stale_s: float = 0.0) -> None:
        self._folder = job / FOLDER
        self._beat_s, self._stale_s = beat_s or BEAT_S, stale_s or STALE_S
        self._me = _this_process()
        self._mine: dict[str, Path] = {}
        self._seen: dict[Path, tuple[int, float]] = {}  # when touched, and since when known so
        self._left = threading.Event()

    def __enter__(self) -> Claims:
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        for name in list(self._mine):
            self.release(name)
        with contextlib.suppress(OSError):  # others are still in there
            self._folder.rmdir()

    def take(self, names: Sequence[str]) -> list[str]:
        """Those of `names` that are this run's from now on; the others are being worked on.

        What a name stands for may have been finished just before: look for it afterwards.

        Raises:
            OSError: the folder cannot be written.
        """
        turns = self._turns()
        return [name for name in names if self._took(name, turns.get(name, 0))]

    def free(self, names: Sequence[str]) -> list[str]:
        """Those of `names` that nobody works on."""
        turns = self._turns()
        return [
            name
            for name in names
            if name not in turns or not self._lives(self._path(name, turns[name]))
        ]

    def release(self, name: str) -> None:
        """Gives a name back, done or not."""
        self._mine.pop(name, None)
        for turn in range(self._turns().get(name, 0), 0, -1):
            with contextlib.suppress(OSError):
                self._path(name, turn).unlink()

    def owners(self) -> dict[str, Owner]:
        """Who works on what: names, and the processes that live."""
        found = {name: self._path(name, turn) for name, turn in self._turns().items()}
        living = {name: _read(path) for name, path in found.items() if self._lives(path)}
        return {name: owner for name, owner in living.items() if owner is not None}

    def _took(self, name: str, turn: int) -> bool:
        if name in self._mine:
            return True
        if turn and self._lives(self._path(name, turn)):
            return False
        path = self._path(name, turn + 1)
        if not self._created(path):
            return False
        self._mine[name] = path
        return True

    def _created(self, path: Path) -> bool:
        """Makes the claim with its owner in it, unless somebody else was faster."""
        self._folder.mkdir(exist_ok=True)
        body = json.dumps(asdict(self._me)).encode()
        part = self._folder / f".{uuid.uuid4().hex}.part"
        try:
            part.write_bytes(body)
            os.link(part, path)
        except FileExistsError:
            return self._is_mine(path)  # a network file system may have lost its first answer
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return _created_alone(path, body)
        finally:
            part.unlink(missing_ok=True)
        return True

    def _is_mine(self, path: Path) -> bool:
        owner = _read(path)
        return owner is not None and owner.token == self._me.token

    def _lives(self, path: Path) -> bool:
        owner = _read(path)
        if owner is not None and owner.token == self._me.token:
            return True
        if owner is not None and owner.machine == self._me.machine and not _runs(owner):
            return False
        return self._was_touched(path)

    def _was_touched(self, path: Path) -> bool:
        """Whether a claim was touched within the last `stale_s` that this process has watched."""
        try:
            touched = path.stat().st_mtime_ns
        except OSError:
            return False
        now = time.monotonic()
        if path not in self._seen or self._seen[path][0] != touched:
            self._seen[path] = (touched, now)
        return now - self._seen[path][1] < self._stale_s

    def _turns(self) -> dict[str, int]:
        """Every claimed name and its last turn."""
        turns: dict[str, int] = {}
        for name, turn in _claims(self._folder):
            turns[name] = max(turn, turns.get(name, 0))
        return turns

    def _path(self, name: str, turn: int) -> Path:
        return self._folder / f"{name}.{turn}"

    def _beat(self) -> None:
        while not self._left.wait(self._beat_s):
            for path in list(self._mine.values()):
                with contextlib.suppress(OSError):
                    os.utime(path)


def _claims(folder: Path) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(FileNotFoundError):
        for file in os.listdir(folder):
            name, _, turn = file.rpartition(".")
            if turn.isdecimal():
                yield name, int(turn)


def _created_alone(path: Path, body: bytes) -> bool:
    """As `Claims._created`, on a disk without hard links; killed in between, it leaves an empty
    claim, which goes stale."""
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(file, "wb") as out:
        out.write(body)
    return True


def _read(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _this_process() -> Owner:
    pid = os.getpid()
    return Owner(uuid.uuid4().hex, _machine(), platform.node(), pid, _started(pid) or "")


def _runs(owner: Owner) -> bool:
    return _started(owner.pid) == owner.started


def _machine() -> str:
    """Two containers of one name have process numbers of their own, and so do two boots."""
    if sys.platform != "linux":
        return f"{platform.node()} {uuid.getnode():x}"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"


def _started(pid: int) -> str | None:
    """When a process began, in a clock that nobody can set; None where it does not run."""
    if sys.platform == "linux":
        return _started_on_linux(pid)
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _started_on_linux(pid: int) -> str | None:
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = said.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]  # field 22: ticks since the computer was started
