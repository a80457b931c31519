"""The worker process as Blender sees it: start, send, poll, cancel, stop."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from t2vz_core.wire import events
from t2vz_core.wire.lines import Lines
from t2vz_core.wire.parse import WireError

SILENCE_S = 12.0
PATIENCE_S = 10.0


class Engine:
    """One worker that is started when needed and polled from Blender's main thread.

    A job that was sent ends in exactly one of Finished, Failed, Cancelled, whatever becomes of the
    worker.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        silence_s: float = SILENCE_S,
        patience_s: float = PATIENCE_S,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """`command` starts a worker, with these environment `variables` on top; `log` takes its
        stderr.

        A worker silent for `silence_s`, or for longer where it asked for that, has hung; one that
        has not cancelled a job after `patience_s` is ended.
        """
        self._command, self._log = [str(part) for part in command], log
        self._silence_s, self._patience_s = silence_s, patience_s
        self._variables = dict(variables or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._job: str | None = None
        self._cancel_by: float | None = None

    @property
    def is_busy(self) -> bool:
        """A job was sent and has not ended."""
        return self._job is not None

    @property
    def is_running(self) -> bool:
        """The worker process is there."""
        return self._process is not None and self._process.poll() is None

    def run(self, folder: Path, first: int | None = None, last: int | None = None) -> str:
        """Sends the job of a folder; returns the name its events carry.

        Raises:
            OSError: the log cannot be written.
            RuntimeError: the worker cannot be started, or a job is still under way.
        """
        return self._send(folder, lambda job: events.Run(job, str(folder), first, last))

    def preview(self, folder: Path) -> str:
        """Asks for the conditions of a folder's job to be drawn; otherwise like `run`."""
        return self._send(folder, lambda job: events.Preview(job, str(folder)))

    def cancel(self) -> None:
        """Asks the job under way to stop; its end comes by `poll`."""
        if self._job is not None and self._cancel_by is None:
            self._cancel_by = time.monotonic() + self._patience_s
            self._say(events.Cancel(self._job))

    def poll(self) -> list[Any]:
        """What happened since the last poll; call it a few times a second."""
        if self._process is None:
            return []
        is_over = self._process.poll() is not None
        if is_over:
            self._reader.join(1.0)
        heard = self._of_the_job(self._drain())
        if not _has_ended(heard) and (end := self._trouble(is_over)):
            heard += [end] if self.is_busy else []
            self.stop()
        if _has_ended(heard):
            self._job = self._cancel_by = None
        return heard

    def stop(self) -> None:
        """Ends the worker at once; frames already done stay."""
        if self._process is None:
            return
        process, self._process = self._process, None
        self._job = self._cancel_by = None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _send(self, folder: Path, make: Any) -> str:
        if self._job is not None:
            raise RuntimeError("A job is still under way: cancel it or wait for its end.")
        if not self.is_running:
            self._start()
        job = f"job-{next(self._numbers)}"
        self._job, self._folder = job, folder
        self._say(make(job))
        return job

    def _start(self) -> None:
        self.stop()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._log_from = os.fstat(log.fileno()).st_size
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=_clean_environment() | self._variables,
                )
            except OSError as error:
                raise RuntimeError(no_engine(self._command[0], str(error.strerror))) from error
        assert self._process.stdin and self._process.stdout
        self._lines = Lines(self._process.stdout, self._process.stdin)
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._silent_until, self._rubbish = time.monotonic() + self._silence_s, ""
        self._has_spoken = False
        self._reader = threading.Thread(
            target=self._read, args=(self._process, self._lines, self._queue), daemon=True
        )
        self._reader.start()

    def _read(
        self, process: subprocess.Popen[bytes], lines: Lines, events_in: queue.SimpleQueue[Any]
    ) -> None:
        try:
            for event in lines.receive():
                promised_s = event.silence_s if isinstance(event, events.Beat) else 0.0
                self._silent_until = time.monotonic() + max(self._silence_s, promised_s)
                self._has_spoken = True
                events_in.put(event)
        except WireError as error:
            self._rubbish = str(error)
            process.kill()
        except (OSError, ValueError):
            pass

    def _drain(self) -> list[Any]:
        found = []
        while True:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                return found

    def _of_the_job(self, drained: list[Any]) -> list[Any]:
        ours = [
            event for event in drained if self._job and getattr(event, "job", None) == self._job
        ]
        ends = [i for i, event in enumerate(ours) if isinstance(event, events.ENDS)]
        return ours[: ends[0] + 1] if ends else ours

    def _say(self, event: Any) -> None:
        with contextlib.suppress(OSError):  # the worker is gone; poll tells
            self._lines.send(event)

    def _trouble(self, is_over: bool) -> Any:
        """The end that the host must declare itself, or None while all is well."""
        now, job = time.monotonic(), self._job or ""
        if self._cancel_by is not None and (is_over or now > self._cancel_by):
            return events.Cancelled(job)
        if is_over:
            return events.Failed(job, self._obituary(), self._log_of_job())
        if now > self._silent_until:
            reason = "The engine does not answer any more and was ended; generate again."
            return events.Failed(job, reason, self._log_of_job())
        return None

    def _obituary(self) -> str:
        if self._rubbish:
            return (
                "The engine said something that is not of the protocol and was ended "
                f"({self._rubbish})."
            )
        code = self._process.returncode if self._process else 0
        if code in (-9, 137):
            return (
                "The engine was killed, probably because memory ran out: "
                "lower the picture size and generate again."
            )
        if not self._has_spoken:
            return no_engine(self._command[0], self._last_words() or f"exit code {code}")
        return (
            f"The engine stopped by itself (exit code {code}); "
            "its log says why. Generate again to start it anew."
        )

    def _log_of_job(self) -> str:
        """In a job the worker writes into the job's own log."""
        log = self._folder / "engine.log"
        return str(log if log.exists() else self._log)

    def _last_words(self) -> str:
        """The last line that this worker has written to the log."""
        lines = self._log.read_bytes()[self._log_from :].decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def no_engine(program: str | Path, reason: str) -> str:
    """The sentence about a program that was chosen as the engine's Python and is not."""
    return (
        f"{program} is not the Python of an engine ({reason}): "
        "choose another in the add-on's preferences, or run `python3 install.py engine`."
    )


# Of its own environment alone, in UTF-8 whatever the system speaks, as paths may have any letters.
OPTIONS = ("-I", "-X", "utf8", "-m", "t2vz_core")


def worker_command(python: Path) -> list[str]:
    """The command that starts a worker with the engine environment's Python."""
    return [str(python), *OPTIONS, "worker"]


def _has_ended(heard: list[Any]) -> bool:
    return bool(heard) and isinstance(heard[-1], events.ENDS)


def _clean_environment() -> dict[str, str]:
    return {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")
    }
