"""The engine's command line: `python -m t2vz_core worker | run JOB | conditions JOB | evaluate JOB
| doctor`, and what farm/commands.py adds."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from . import __version__
from .farm.commands import CODES, add_parts, frames_asked, ranges, said
from .farm.commands import add as add_farm_commands
from .wire import events
from .wire.pace import Pace
from .wire.ranges import with_negatives

BAR_CELLS = 30
VIDEOS = ("wan", "ltx")  # of conditions/video.py, which takes longer to read


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; 0 done, 1 failed, 2 wrong usage, 130 cancelled."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console of Windows may have no ′, ᾱ or █
    words = sys.argv[1:] if arguments is None else arguments
    asked = _parser().parse_args(with_negatives(words, "--frames"))
    return asked.act(asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "t2vz_core", description="Turns a job folder into styled frames."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "worker", _worker, "serve a host on stdin and stdout")
    run = _with_job(
        _add(
            commands, "run", _run, "make the frames of a job folder; frames already there are kept"
        )
    )
    run.add_argument(
        "--frames", type=ranges, metavar="A-B", help="only these, as in 1-8,12,20-40:2"
    )
    add_parts(run)
    run.add_argument("--anchors", action="store_true", help="only anchor and key frames")
    run.add_argument(
        "--watch", action="store_true", help="make nothing; tell what all that work there do"
    )
    run.add_argument(
        "--chunk",
        type=_count,
        default=0,
        metavar="N",
        help="frames denoised at a time (default: by memory)",
    )
    conditions = _with_job(
        _add(commands, "conditions", _conditions, "draw what the ControlNets of a job will see")
    )
    conditions.add_argument(
        "--video", choices=VIDEOS, help="also as control videos for this kind of video model"
    )
    conditions.add_argument(
        "--fps", type=float, default=0.0, help="of the videos (default: the model's own)"
    )
    _with_job(_add(commands, "evaluate", _evaluate, "measure how steady a job's frames are"))
    doctor = _add(commands, "doctor", _doctor, "say what is installed, found and missing")
    doctor.add_argument(
        "--models", type=Path, metavar="DIR", help="the folder where your models lie"
    )
    add_farm_commands(partial(_add, commands))
    return parser


def _add(commands: Any, name: str, act: Any, meaning: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=meaning, description=meaning)
    parser.set_defaults(act=act)
    return parser


def _with_job(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("job", type=Path, metavar="JOB", help="a folder that holds job.json")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames")
    return int(text)


def _worker(_: argparse.Namespace) -> int:
    from .worker import serve

    serve()
    return 0


def _run(asked: argparse.Namespace) -> int:
    if asked.watch:
        return _watch(asked.job)
    event = events.Run("run", str(asked.job), chunk=asked.chunk, anchors_only=asked.anchors)
    frames: list[str] = []
    find = partial(frames_asked, asked.job, asked.frames or "", asked.parts, asked.of)
    return said(lambda: frames.append(find())) or _perform(replace(event, frames=frames[0]))


def _watch(job: Path) -> int:
    from .farm.watch import watch

    return said(lambda: watch(job, lambda line: print(line, file=sys.stderr, flush=True)))


def _conditions(asked: argparse.Namespace) -> int:
    code = _perform(events.Preview("conditions", str(asked.job)))
    return code if code or not asked.video else _videos(asked)


def _videos(asked: argparse.Namespace) -> int:
    from .conditions.video import write_videos
    from .fault import Fault
    from .wire.job import read_job

    try:
        for sentence in write_videos(asked.job, read_job(asked.job), asked.video, asked.fps):
            print(sentence)
    except (Fault, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _perform(event: events.Run | events.Preview) -> int:
    from .worker import Worker

    terminal = Terminal(Path(event.folder))
    worker = Worker(terminal.show)
    signal.signal(signal.SIGINT, lambda *_: worker.cancel(event.job))
    worker.perform(event)
    return CODES[type(terminal.end)]


class Terminal:
    """Shows the events of one job on stderr: a progress bar and sentences; in a log, a line at
    every tenth, or after half a minute."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._out = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        self._pace = Pace()
        self.end: Any = None

    def show(self, event: Any) -> None:
        match event:
            case events.Progress():
                self._bar(event)
            case events.Note():
                self._line(event.text)
            case events.Finished():
                self._line(f"{event.frames} frames, {event.seconds:.1f} s: {self._folder}")
            case events.Failed():
                self._line(event.reason)
            case events.Cancelled():
                self._line("Cancelled; frames already done are kept.")
        if isinstance(event, events.ENDS):
            self.end = event

    def _bar(self, event: events.Progress) -> None:
        part = event.done / max(event.total, 1)
        figures = f"{event.done}/{event.total}" + (
            "" if event.left_s is None else f", {event.left_s:.0f} s left"
        )
        if self._out.isatty():
            full = int(part * BAR_CELLS)
            self._write(f"{event.stage} {'█' * full}{'·' * (BAR_CELLS - full)} {figures}")
        elif self._pace.is_due(event.stage, event.done, event.total, time.monotonic()):
            self._line(f"{event.stage} {figures}")

    def _line(self, text: str) -> None:
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        self._out.write(f"\r\033[K{text}" if self._out.isatty() else text)
        self._out.flush()


def _evaluate(asked: argparse.Namespace) -> int:
    from .evaluation.evaluate import evaluate

    return said(lambda: print(json.dumps(evaluate(asked.job), indent=1)))


def _doctor(asked: argparse.Namespace) -> int:
    from .doctor import report

    print(report(asked.models))
    return 0


if __name__ == "__main__":
    sys.exit(main())
