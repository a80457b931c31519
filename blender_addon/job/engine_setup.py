"""The engine's environment, made from inside Blender: a new one beside the one that works, which
takes its place once it has answered.

Environments lie in a folder of their own, each named by the time it was begun; which of them is the
engine stands in `engine.json`. uv does the work: https://docs.astral.sh/uv/.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from .engine import OPTIONS

MARK, POINTER, LOG = "t2vz-engine", "engine.json", "install.log"
PYTHONS = ((3, 11), (3, 13))  # oldest and newest that the engine's libraries have wheels for
NEEDED_BYTES = 8_000_000_000  # the build for CUDA while it is unpacked
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
MAKING, FETCHING, ASKING = "making the environment", "installing", "asking the engine"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"


@dataclass(frozen=True)
class Plan:
    """What is to be installed, and whence.

    home: the folder of all environments; wheel: the engine's own; uv: the program; lock: versions
    for all, or None; wheels: a folder of wheels that replaces the network, or None; index: a mirror
    of the package index, or "".
    """

    home: Path
    wheel: Path
    uv: Path
    lock: Path | None = None
    wheels: Path | None = None
    index: str = ""
    torch: str = "auto"

    def commands(self, folder: Path) -> Iterator[tuple[str, list[str]]]:
        """Each stage and its command, for an environment in `folder`."""
        python = str(python_in(folder))
        offline = ["--offline"] if self.wheels else []
        make = [str(self.uv), "venv", "--no-project", *offline, *_python_asked()]
        yield MAKING, [*make, str(folder)]
        install = [str(self.uv), "pip", "install", "--python", python]
        install += [f"t2vz_core[engine] @ {self.wheel.as_uri()}"]
        if self.lock:
            install += ["--constraint", str(self.lock)]
        if self.wheels:
            install += ["--offline", "--no-index", "--find-links", str(self.wheels)]
        elif self.index:
            install += ["--default-index", self.index]
        else:
            install += ["--torch-backend", self.torch]
        yield FETCHING, install
        yield ASKING, [python, *OPTIONS, "doctor"]


def _python_asked() -> list[str]:
    """Blender's own Python if the libraries know it, else one that uv finds or fetches."""
    oldest, newest = PYTHONS
    if oldest <= sys.version_info[:2] <= newest:
        return ["--python", sys.executable]
    return ["--python", f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"]


class SetUp:
    """Makes an environment a step at a time; `step` is called a few times a second.

    `end` is None while it goes on, then DONE, FAILED or CANCELLED; after the latter two nothing has
    changed.
    """

    def __init__(self, plan: Plan, now: datetime) -> None:
        """Raises:
        ValueError: the folder cannot take it; one sentence.
        """
        check_place(plan.home)
        self.folder = plan.home / now.strftime("%y%m%d-%H%M%S")
        self.stage, self.detail, self.end, self.error = MAKING, "", None, ""
        self.done_bytes, self.total_bytes = 0, 0
        self.answer = ""
        self.log = plan.home / LOG
        self._plan, self._began = plan, time.monotonic()
        self._commands = plan.commands(self.folder)
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._sizes: dict[str, int] = {}
        self._said: list[str] = []

    def step(self) -> None:
        """Goes on a little; what goes wrong becomes `error`, a sentence."""
        if self.end is not None:
            return
        try:
            if self._process is None:
                self._next()
            self._read()
            if self._process is not None and self._process.poll() is not None:
                self._ended(self._process.returncode)
        except OSError as error:
            self._fail(f"{error.filename or 'It'}: {error.strerror}")

    def cancel(self) -> None:
        """Stops; what was downloaded stays in uv's cache, so that it goes on from there."""
        if self.end is None:
            self.end = CANCELLED
            self._clean()

    @property
    def factor(self) -> float:
        """How far it is, 0..1."""
        share = self.done_bytes / self.total_bytes if self.total_bytes else 0.0
        return {MAKING: 0.02, FETCHING: 0.05 + 0.85 * share, ASKING: 0.95}[self.stage]

    @property
    def caption(self) -> str:
        """`Downloading 310 of 812 MB: torch, 40 s left`."""
        if self.stage != FETCHING or not self.total_bytes:
            return self.stage.capitalize() + (f": {self.detail}" if self.detail else "")
        done, total = self.done_bytes // 1_000_000, self.total_bytes // 1_000_000
        return f"Downloading {done} of {total} MB: {self.detail}{self._left()}"

    def _left(self) -> str:
        if not self.done_bytes:
            return ""
        spent_s = time.monotonic() - self._began
        left_s = spent_s / self.done_bytes * (self.total_bytes - self.done_bytes)
        return f", about {max(round(left_s), 1)} s left"

    def _next(self) -> None:
        stage = next(self._commands, None)
        if stage is None:
            self._finish()
            return
        self.stage, command = stage
        self._said.clear()
        self._tell(f"$ {' '.join(command)}")
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            env=_environment(self._plan.home),
        )
        assert self._process.stdout
        self._reader = threading.Thread(
            target=_pump, args=(self._process.stdout, self._lines), daemon=True
        )
        self._reader.start()

    def _read(self) -> None:
        while not self._lines.empty():
            line = self._lines.get().rstrip()
            self._tell(line)
            self._said.append(line)
            self._follow(line)

    def _follow(self, line: str) -> None:
        """uv says `Downloading torch (700.1MiB)` and, when it is there, ` Downloaded torch`."""
        if found := re.match(r"\s*Downloading (\S+) \(([\d.]+)(\w+)\)", line):
            size = round(float(found[2]) * UNITS.get(found[3], 1))
            self._sizes[found[1]] = size
            self.total_bytes += size
            self.detail = found[1]
        elif found := re.match(r"\s*Downloaded (\S+)", line):
            self.done_bytes += self._sizes.pop(found[1], 0)
            self.detail = max(self._sizes, key=lambda name: self._sizes[name], default="unpacking")

    def _ended(self, code: int) -> None:
        self._reader.join(2.0)
        self._read()
        self._process = None
        if code:
            self._fail(reason_of(self._said) or f"it ended with {code}")
        elif self.stage == ASKING:
            self.answer = "\n".join(self._said)
            if "MISSING" in self.answer:
                self._fail("the engine lacks libraries")

    def _finish(self) -> None:
        (self.folder / MARK).touch()
        part = self._plan.home / f"{POINTER}.part"
        told = {"python": str(python_in(self.folder)), "wheel": self._plan.wheel.name}
        part.write_text(json.dumps(told), encoding="utf-8")
        part.replace(self._plan.home / POINTER)
        self.end = DONE
        for other in environments(self._plan.home):
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def _fail(self, reason: str) -> None:
        self.end = FAILED
        self.error = (
            f"Setting up the engine failed: {reason.rstrip('.')}. Check the network and the free "
            f"disk, and try again; what was downloaded is kept. Log: {self.log}"
        )
        self._clean()

    def _clean(self) -> None:
        """The half-made environment goes; the engine that worked still does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _tell(self, line: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            print(line, file=log)


def check_place(home: Path) -> None:
    """Makes the folder; refuses one that cannot be used.

    Raises:
        ValueError: it cannot be written, is somebody else's, or the disk is too full.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / LOG).touch()
    except OSError as error:
        raise ValueError(f"{home} cannot be used ({error.strerror}): choose another.") from error
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        need, have = NEEDED_BYTES // 10**9, free / 10**9
        raise ValueError(f"The engine needs {need} GB of disk, {home} has {have:.1f}: free some.")


def environments(home: Path) -> list[Path]:
    """Whole environments that were made here."""
    return [path.parent for path in home.glob(f"*/{MARK}")] if home.is_dir() else []


def remove(home: Path) -> None:
    """Takes away the engines that were made here, and uv's downloads; other files stay."""
    for name in (POINTER, LOG, "uv", "uv.exe"):
        (home / name).unlink(missing_ok=True)
    for folder in (*environments(home), home / "cache", home / "python"):
        shutil.rmtree(folder, ignore_errors=True)


def python_in(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def find_uv(bundled: Path, home: Path) -> Path | None:
    """The uv that came with the add-on, else one on the machine; None where there is none.

    Blender unpacks programs as files that cannot be run: it gets a copy in `home` that can.
    """
    name = "uv.exe" if os.name == "nt" else "uv"
    if (bundled / name).is_file():
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundled / name, home / name)
        (home / name).chmod(0o755)
        return home / name
    found = shutil.which("uv")
    return Path(found) if found else None


def reason_of(said: Sequence[str]) -> str:
    """uv's own reason in what it has said, on one line."""
    starts = [i for i, line in enumerate(said) if re.match(r"error:|\s+×", line)]
    lines = said[starts[0] :] if starts else said[-1:]
    words = (line.strip(" \n╰─▶│×├").removeprefix("error: ") for line in lines)
    return " ".join(filter(None, words))


def _environment(home: Path) -> dict[str, str]:
    """The variables uv runs with: the user's own, proxies and mirrors among them, without
    Blender's Python."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    own = {
        "UV_CACHE_DIR": str(home / "cache"),
        "UV_PYTHON_INSTALL_DIR": str(home / "python"),
        "UV_NO_PROGRESS": "1",
        "UV_NO_CONFIG": "1",
    }
    return {**kept, **own}


def _pump(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    for line in stream:
        lines.put(line)
