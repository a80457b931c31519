"""Jobs in, events out: one process that keeps its model loaded from job to job."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import __version__
from .doctor import versions
from .fault import Cancelled, Fault
from .job_folder.frames import Frames
from .wire import events
from .wire.disk import disk_sentence
from .wire.job import JobSpec, read_job
from .wire.lines import Lines
from .wire.parse import WireError

BEAT_EVERY_S = 1.0
LOADING_S = 120.0

Say = Callable[[Any], None]


class Watch:
    """What a running job tells: progress with the time left, notes; and whether it was
    cancelled."""

    def __init__(self, job: str, say: Say, is_cancelled: Callable[[], bool]) -> None:
        self._job, self._say, self._is_cancelled = job, say, is_cancelled
        self._stage, self._began = "", 0.0

    def progress(self, stage: str, done: int, total: int) -> None:
        """Reports `done` of `total`.

        Raises:
            Cancelled: the job must stop here.
        """
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._first = stage, now, done
        fresh = done - self._first
        left_s = (now - self._began) / fresh * (total - done) if fresh > 0 else None
        self._say(events.Progress(self._job, stage, done, total, left_s))
        if self._is_cancelled():
            raise Cancelled

    def note(self, text: str, rank: str = events.ARTIST) -> None:
        """Tells something though the job goes on; all of it is in the log."""
        self._say(events.Note(self._job, text, rank))
        _tell(text)


class Worker:
    """Carries out `Run` and `Preview`; every job ends in exactly one of Finished, Failed,
    Cancelled."""

    def __init__(self, say: Say, keeps_tokens: bool = False) -> None:
        """`keeps_tokens`: from range to range of one job; they fill much of a device's memory."""
        self._say, self._keeps_tokens = say, keeps_tokens
        self._cancelled: set[str] = set()
        self._networks: tuple[Any, Any] | None = None
        self._session: tuple[Any, Any] | None = None
        self._silence_s = 0.0

    def beat(self) -> None:
        """Tells that the worker lives."""
        self._say(events.Beat(self._silence_s))

    def cancel(self, job: str) -> None:
        """Marks a job to stop at its next step; may be called from any thread."""
        self._cancelled.add(job)

    def perform(self, event: events.Run | events.Preview) -> None:
        """Does one job to its end, whatever happens in it."""
        began = time.monotonic()
        watch = Watch(event.job, self._say, lambda: event.job in self._cancelled)
        folder = Path(event.folder)
        log = folder / "engine.log"
        try:
            spec = read_job(folder)
            with _stderr_to(log):
                count = self._do(event, spec, folder, watch)
            end = events.Finished(event.job, count, round(time.monotonic() - began, 3))
        except Cancelled:
            end = events.Cancelled(event.job)
        except Exception as error:
            _record(error, log)
            end = events.Failed(event.job, sentence(error), str(log))
        self._cancelled.discard(event.job)
        self._say(end)

    def _do(
        self, event: events.Run | events.Preview, spec: JobSpec, folder: Path, watch: Watch
    ) -> int:
        _tell(time.strftime("%Y-%m-%d %H:%M:%S"), event, *versions())
        if isinstance(event, events.Preview):
            return self._preview(spec, folder, watch)
        return self._run(event, spec, folder, watch)

    def _run(self, event: events.Run, spec: JobSpec, folder: Path, watch: Watch) -> int:
        frames = Frames(folder, spec)
        wanted = frames.numbers(event.first, event.last, event.frames)
        told: set[int] = set()

        def tell() -> list[int]:
            """Names the frames that have come, whoever made them; returns those missing."""
            missing = frames.missing(wanted)
            for number in sorted(set(wanted) - set(missing) - told):
                told.add(number)
                self._say(events.FrameDone(event.job, number, frames.path(number)))
            return missing

        if tell() or event.anchors_only:
            self.make(event, spec, frames, tell, watch)
        return len(told)

    def make(
        self,
        event: events.Run,
        spec: JobSpec,
        frames: Frames,
        tell: Callable[[], list[int]],
        watch: Watch,
    ) -> None:
        """Makes the frames that `tell` says are missing."""
        with self._may_be_silent():
            from .conditions.controlnet import notes
            from .farm.hashes import differences
            from .job_folder.passes import Source
            from .method.regions import unseen
            from .models.advice import advice
            from .painting import Painting

            networks = self._load(spec, watch)
        source = Source(frames.job, _size(spec))
        found = [*advice(spec, networks.facts), *notes(spec, source), *unseen(spec, source)]
        for sentence in (*found, *differences(frames.job, spec)):
            watch.note(sentence)
        session = self._session_of(frames)
        Painting(event, spec, source, frames, networks, session, watch, tell).carry_out()

    def _session_of(self, frames: Frames) -> Any:
        """What this process remembers of the job, if it is the last one's."""
        from .method.share import Session

        key = (frames.job, frames.made_from)
        if not self._keeps_tokens:
            return Session()
        if self._session is None or self._session[0] != key:
            self._session = (key, Session())
        return self._session[1]

    def _load(self, spec: JobSpec, watch: Watch) -> Any:
        loras = (*spec.model.loras, *spec.prompt.loras())
        model = dataclasses.replace(spec.model, loras=loras)
        controls = tuple((control.kind, control.model) for control in spec.controls)
        adapters = tuple((one.adapter, one.encoder) for one in spec.references)
        key = (model, controls, adapters)
        if self._networks is None or self._networks[0] != key:
            watch.progress("loading the model", 0, 1)
            from .models.networks import load

            self._networks = self._session = None
            self._networks = (key, load(model, spec.controls, references=spec.references))
            watch.progress("loading the model", 1, 1)
        _tell(f"{spec.model.base} on {self._networks[1].device} as {self._networks[1].dtype}")
        for note in self._networks[1].notes:
            watch.note(note)
        return self._networks[1]

    @contextlib.contextmanager
    def _may_be_silent(self) -> Iterator[None]:
        """Asks the host for patience while libraries are loaded, which holds Python's lock and with
        it the beats."""
        self._silence_s = LOADING_S
        self.beat()
        try:
            yield
        finally:
            self._silence_s = 0.0
            self.beat()

    def _preview(self, spec: JobSpec, folder: Path, watch: Watch) -> int:
        from .conditions.controlnet import conditions, notes
        from .job_folder.frames import write_png
        from .job_folder.passes import Source

        source = Source(folder, _size(spec))
        for note in notes(spec, source):
            watch.note(note)
        for done, frame in enumerate(spec.frames):
            watch.progress("drawing conditions", done, len(spec.frames))
            for control, picture in zip(spec.controls, conditions(spec, source, frame)):
                write_png(folder / "conditions" / control.kind / f"{frame.number:04d}.png", picture)
        return len(spec.frames)


def _size(spec: JobSpec) -> tuple[int, int]:
    return spec.shot.height_px, spec.shot.width_px


def serve() -> None:
    """Serves the host on stdin and stdout until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines = Lines(sys.stdin.buffer, _own_stdout())
    say = _or_leave(lines.send)
    worker = Worker(say)
    threading.Thread(target=_beat, args=(worker,), daemon=True).start()
    jobs: queue.SimpleQueue[events.Run | events.Preview] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines, worker, jobs), daemon=True).start()
    say(events.Ready(__version__, os.getpid()))
    while True:
        worker.perform(jobs.get())


def _own_stdout() -> Any:
    """The wire's private copy of stdout; whatever else prints goes to stderr from here on."""
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return wire


def _or_leave(send: Say) -> Say:
    def say(event: Any) -> None:
        try:
            send(event)
        except OSError:
            os._exit(0)

    return say


def _beat(worker: Worker) -> None:
    while True:
        worker.beat()
        time.sleep(BEAT_EVERY_S)


def _listen(lines: Lines, worker: Worker, jobs: queue.SimpleQueue[Any]) -> None:
    try:
        for event in lines.receive():
            if isinstance(event, events.Cancel):
                worker.cancel(event.job)
            else:
                jobs.put(event)
    except WireError as error:
        print(f"the host sent a bad line: {error}", file=sys.stderr)
    os._exit(0)


@contextlib.contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """Sends everything printed, by Python or by native code, to the job's log."""
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(target, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)
        os.close(target)


def _tell(*lines: object) -> None:
    """Writes to the log of the job under way."""
    print(*lines, sep="\n", file=sys.stderr)


def _record(error: Exception, log: Path) -> None:
    with (
        contextlib.suppress(OSError, ValueError),  # a path with a null byte is no value
        log.open("a", encoding="utf-8") as out,
    ):
        if isinstance(error, (Fault, WireError)):
            print(error, file=out)
        else:
            traceback.print_exception(error, file=out)


def sentence(error: Exception) -> str:
    """What went wrong and what to do, for the artist."""
    if isinstance(error, (Fault, WireError)):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            "There was not enough memory: lower the picture size, "
            "or close other programs and generate again."
        )
    if isinstance(error, ImportError):
        return (
            f"The engine's environment is not whole ({error}): "
            "set it up again (Update or Repair in the add-on's preferences, or "
            "`python3 install.py engine`)."
        )
    if isinstance(error, OSError):
        return disk_sentence(error)
    return f"The engine failed ({type(error).__name__}: {error}); its log has the details."
