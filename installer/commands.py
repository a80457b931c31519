"""The commands of install.py, as they are typed."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from pathlib import Path

from . import lock
from .carried_uv import PLATFORMS
from .console import Stop, say
from .demo import run_demo
from .engine import provide_engine
from .extension import build_extension
from .wheel import ROOT

_ABOUT = """\
t2vz turns a blocked-out Blender animation into a styled video, on this machine.

All is made in this folder: the engine's Python environment in .venv, built packages in build,
and, where no Blender is installed, Blender as a Python module in .bpy-<version>. A second run finds
it all there. Interrupt it when you like: what is half made is noticed and made again."""


def main(arguments: list[str]) -> int:
    """Runs one command; 0 done, 1 failed with one sentence, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console of Windows may have no █
    asked = _parser().parse_args(arguments)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # whoever ends us so ends our children too
    try:
        return asked.act(asked)
    except Stop as reason:
        print(f"\n{reason}", file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"\n{where}{error.strerror or error}. Nothing of yours was changed.",
            file=sys.stderr,
            flush=True,
        )
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to go on.", file=sys.stderr, flush=True)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "install.py", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = _command(
        commands,
        "demo",
        _demo,
        "make a short film, from an empty scene to the .mp4, with the embedded model",
    )
    test = _command(
        commands,
        "test",
        _test,
        "install all that the tests need and run every test that can run here",
    )
    engine = _command(
        commands, "engine", _engine, "make the engine's Python environment and nothing else"
    )
    extension = _command(commands, "extension", _extension, "build the zip that Blender installs")
    _command(commands, "lock", _lock, "for developers: solve pyproject.toml's requirements anew")
    for command in (demo, test, engine, extension):
        command.add_argument(
            "--env",
            type=Path,
            default=ROOT / ".venv",
            metavar="DIR",
            help="the engine's environment (default: .venv)",
        )
    for command in (demo, test, engine):
        command.add_argument(
            "--torch-backend",
            metavar="BUILD",
            default=os.environ.get("UV_TORCH_BACKEND"),
            help="the build of torch: cpu, cu130, cu126, rocm7.2, xpu… (default: what fits this "
            "machine)",
        )
    for command in (demo, test):
        command.add_argument(
            "--blender",
            type=Path,
            metavar="PATH",
            help="the Blender to use, 4.2 or newer (default: T2VZ_BLENDER, then `blender` on PATH)",
        )
    demo.add_argument(
        "--out",
        type=Path,
        default=ROOT / "demo",
        metavar="DIR",
        help="where all that it makes goes (default: demo); an earlier demo in there is replaced",
    )
    extension.add_argument(
        "--out",
        type=Path,
        default=ROOT / "dist",
        metavar="DIR",
        help="where the zip goes (default: dist)",
    )
    extension.add_argument(
        "--platform",
        action="append",
        choices=list(PLATFORMS),
        help="a zip for artists: it carries uv for this system and sets its engine up itself; may "
        "be said more than once",
    )
    return parser


def _command(
    commands: argparse._SubParsersAction, name: str, act: object, meaning: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=meaning, description=f"{meaning[0].upper()}{meaning[1:]}."
    )
    parser.set_defaults(act=act)
    return parser


def _demo(asked: argparse.Namespace) -> int:
    run_demo(asked.out, asked.env, asked.blender, asked.torch_backend)
    return 0


def _test(asked: argparse.Namespace) -> int:
    from tests.suites.plan import run_suites  # who only installs needs no tests

    return 1 if run_suites(asked.env, asked.blender, asked.torch_backend) else 0


def _engine(asked: argparse.Namespace) -> int:
    environment = provide_engine(asked.env, backend=asked.torch_backend)
    say(f"The engine is ready: {environment.python}")
    return 0


def _lock(_: argparse.Namespace) -> int:
    lock.write()
    return 0


def _extension(asked: argparse.Namespace) -> int:
    for platform in asked.platform or []:
        build_extension(asked.out, platform=platform)
    if not asked.platform:
        made = provide_engine(asked.env).python if asked.env.exists() else None
        build_extension(asked.out, made)
    say("In Blender: Edit > Preferences > Get Extensions > Install from Disk, and choose this zip.")
    return 0
