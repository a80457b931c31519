"""The engine's command line: `python -m t2vz_core worker | run JOB | conditions JOB | evaluate JOB
| doctor`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from . import __version__
from .wire import events

EXIT = {events.Finished: 0, events.Failed: 1, events.Cancelled: 130}
BAR_CELLS = 30


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; 0 done, 1 failed, 2 wrong usage, 130 cancelled."""
    asked = _parser().parse_args(arguments)
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
        "--frames", type=_frame_range, default=(None, None), metavar="A-B", help="only these frames"
    )
    run.add_argument(
        "--chunk",
        type=_count,
        default=0,
        metavar="N",
        help="frames denoised at a time (default: by memory)",
    )
    _with_job(
        _add(commands, "conditions", _conditions, "draw what the ControlNets of a job will see")
    )
    _with_job(_add(commands, "evaluate", _evaluate, "measure how steady a job's frames are"))
    doctor = _add(commands, "doctor", _doctor, "say what is installed, found and missing")
    doctor.add_argument(
        "--models", type=Path, metavar="DIR", help="the folder where your models lie"
    )
    return parser


def _add(commands: Any, name: str, act: Any, meaning: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=meaning, description=meaning)
    parser.set_defaults(act=act)
    return parser


def _with_job(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("job", type=Path, metavar="JOB", help="a folder that holds job.json")
    return parser


def _frame_range(text: str) -> tuple[int, int]:
    first, _, last = text.rpartition("-") if "-" in text.lstrip("-") else (text, "", text)
    try:
        low, high = int(first), int(last)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range such as 1-16") from None
    if high < low:
        raise argparse.ArgumentTypeError(f"{text!r} ends before it begins")
    return low, high


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames")
    return int(text)


def _worker(_: argparse.Namespace) -> int:
    from .worker import serve

    serve()
    return 0


def _run(asked: argparse.Namespace) -> int:
    first, last = asked.frames
    return _perform(events.Run("run", str(asked.job), first, last, asked.chunk))


def _conditions(asked: argparse.Namespace) -> int:
    return _perform(events.Preview("conditions", str(asked.job)))


def _perform(event: events.Run | events.Preview) -> int:
    from .worker import Worker

    terminal = Terminal(Path(event.folder))
    worker = Worker(terminal.show)
    signal.signal(signal.SIGINT, lambda *_: worker.cancel(event.job))
    worker.perform(event)
    return EXIT[type(terminal.end)]


class Terminal:
    """Shows the events of one job on stderr: a progress bar and sentences; in a log, a line at
    every tenth."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._out = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        self._told = ("", 0)
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
        elif self._told != (now := (event.stage, int(part * 10))):
            self._told = now
            self._line(f"{event.stage} {figures}")

    def _line(self, text: str) -> None:
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        self._out.write(f"\r\033[K{text}" if self._out.isatty() else text)
        self._out.flush()


def _evaluate(asked: argparse.Namespace) -> int:
    from .evaluation.evaluate import evaluate
    from .fault import Fault
    from .wire.parse import WireError

    try:
        print(json.dumps(evaluate(asked.job), indent=1))
    except (Fault, WireError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _doctor(asked: argparse.Namespace) -> int:
    from .doctor import report

    print(report(asked.models))
    return 0


if __name__ == "__main__":
    sys.exit(main())
