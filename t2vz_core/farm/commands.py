"""What the command line has for jobs that travel: `farm`, `daemon`, `finish`, `pack`, `unpack`."""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..wire import events

ENGINES = ("openjd", "flamenco")
CODES = {events.Finished: 0, events.Failed: 1, events.Cancelled: 130}

MOST = 1_000_000  # of what is counted
Add = Callable[[str, Any, str], argparse.ArgumentParser]


def add(command: Add) -> None:
    """Adds the commands; `command(name, act, meaning)` makes the parser of one."""
    _add_farm(command("farm", _farm, "write what a render farm needs to make a job's frames"))
    _add_daemon(command("daemon", _daemon, "keep the engine warm between a farm's tasks"))
    finish = command("finish", _finish, "check that a job's frames are whole, and make a movie")
    _job(finish)
    _fps(finish)
    pack = command("pack", _pack, "make one zip of a job folder, for another machine")
    _job(pack)
    pack.add_argument("--to", type=Path, metavar="FILE", help="the zip (default: beside the job)")
    pack.add_argument("--frames", action="store_true", help="with the frames that are done")
    unpack = command("unpack", _unpack, "make the job folder of a zip; a hostile one is refused")
    unpack.add_argument("zip", type=Path, metavar="FILE")
    unpack.add_argument("--to", type=Path, metavar="DIR", help="a new folder (default: its name)")


def _add_farm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job", type=Path, metavar="JOB", help="a job folder; with --blend, one that is not there"
    )
    option = parser.add_argument
    option("--engine", choices=ENGINES, required=True, help="whose language")
    option("--out", type=Path, required=True, metavar="DIR", help="a new folder for its files")
    option("--blend", type=Path, metavar="FILE", help="have this scene captured there first")
    option(
        "--frames", type=ranges, default="", metavar="A-B", help="the scene's frames, with --blend"
    )
    option("--python", metavar="PROGRAM", help="the engine's Python there (default: this one)")
    option("--blender", default="blender", metavar="PROGRAM", help="Blender there")
    option("--models", type=Path, metavar="DIR", help="the models folder, as seen from here")
    option("--parts", type=count, default=1, metavar="N", help="parts of 8 frames in one task")
    option("--hours", type=count, default=12, metavar="N", help="after which a task has hung")
    option("--cpu", action="store_true", help="machines without a GPU will do")
    _fps(parser)


def _add_daemon(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("act_on", choices=("start", "run", "stop", "serve"), metavar="WHAT")
    parser.add_argument("job", type=Path, nargs="?", metavar="JOB")
    option = parser.add_argument
    option("--at", type=Path, required=True, metavar="FILE", help="where its address is kept")
    option("--anchors", action="store_true", help="only anchor and key frames")
    add_parts(parser)


def ranges(text: str) -> str:
    """Frames of a command line, as in wire/ranges.py; what is none is wrong usage."""
    from ..wire.parse import WireError
    from ..wire.ranges import numbers_in

    try:
        numbers_in(text or "1")
    except WireError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def count(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number within 1..{MOST}")
    return int(text)


def rate(text: str) -> float:
    """Frames in a second."""
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 0.1 <= fps <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no frame rate within 0.1..1000")
    return fps


def add_parts(parser: argparse.ArgumentParser) -> None:
    """The options that name parts of a job."""
    option = parser.add_argument
    option(
        "--parts",
        type=ranges,
        default="",
        metavar="N,N",
        help="only these parts, by their first frames",
    )
    option("--of", type=ranges, default="", metavar="N,N", help="of all these")


def _job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=Path, metavar="JOB", help="a folder that holds job.json")


def _fps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fps", type=rate, default=24.0, metavar="N", help="of the movie")


def _farm(asked: argparse.Namespace) -> int:
    from .submission import submit

    return said(lambda: submit(asked, _tell))


def _daemon(asked: argparse.Namespace) -> int:
    from . import daemon

    at = asked.at.absolute()
    if asked.act_on != "run":
        return said(lambda: getattr(daemon, asked.act_on)(at))
    if asked.job is None:
        _tell("daemon run: name the job's folder.")
        return 2
    codes: list[int] = []
    return said(lambda: codes.append(_run(asked, at))) or codes[0]


def _run(asked: argparse.Namespace, at: Path) -> int:
    from . import daemon
    from .openjd import Lines

    frames = frames_asked(asked.job, "", asked.parts, asked.of)
    event = events.Run(
        uuid.uuid4().hex, str(asked.job.absolute()), frames=frames, anchors_only=asked.anchors
    )
    lines = Lines(sys.stdout)
    daemon.perform(at, event, lines.show)
    return CODES[type(lines.end)]


def frames_asked(job: Path, frames: str, parts: str, of: str) -> str:
    """The frames that `--frames`, or `--parts` and `--of`, name; "" for all.

    Raises:
        Fault: a part is none, or the job has no frame in it.
        WireError: what was said is no range, or the folder holds no job.
    """
    from ..fault import Fault
    from ..wire.job import read_job
    from ..wire.ranges import numbers_in
    from .parts import frames_of

    if not parts:
        return frames
    found = frames_of(read_job(job), numbers_in(parts), numbers_in(of or parts))
    if not found:
        raise Fault(f"The job has no frames in part {parts}.")
    return found


def _finish(asked: argparse.Namespace) -> int:
    from .finish import finish

    return said(lambda: _tell(finish(asked.job, asked.fps)))


def _pack(asked: argparse.Namespace) -> int:
    from .pack import pack
    from .submission import note_models

    def act() -> None:
        job = asked.job.absolute()
        to = asked.to or job.with_name(f"{job.name}.zip")
        note_models(job, _tell)
        _tell(f"{to}: {pack(job, to, asked.frames) / 1e6:.1f} MB")

    return said(act)


def _unpack(asked: argparse.Namespace) -> int:
    from .pack import unpack

    def act() -> None:
        to = asked.to or Path(asked.zip.stem)
        spec = unpack(asked.zip, to)
        _tell(f"{to}: {len(spec.frames)} frames; make them with `python -m t2vz_core run {to}`")

    return said(act)


def said(act: Callable[[], object]) -> int:
    """Acts, and says in a sentence what went wrong."""
    from ..worker import sentence

    try:
        act()
    except KeyboardInterrupt:
        return CODES[events.Cancelled]
    except Exception as error:
        _tell(sentence(error))
        return CODES[events.Failed]
    return CODES[events.Finished]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
