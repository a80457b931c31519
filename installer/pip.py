"""pip, run in an environment, its downloads shown as bars."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import TextIO

from .console import Bar, Stop, say
from .process import child

# From 24.1 on a download's progress can be read by a program.
_PIP = "pip>=24.1,<27"
_BIG_MB = 20
_QUIET = ("--no-input", "--disable-pip-version-check")


def renew(python: Path, log: Path) -> None:
    """Replaces the pip that came with Python by one whose downloads can be followed."""
    _run([python, "-m", "pip", "install", *_QUIET, _PIP], log)


def install(python: Path, arguments: Sequence[str], log: Path) -> None:
    """Installs; all that pip says goes to `log`.

    Raises:
        Stop: pip failed; the sentence holds its reason.
    """
    _run([python, "-m", "pip", "install", *_QUIET, "--progress-bar", "raw", *arguments], log)


def _run(command: Sequence[str | Path], log: Path) -> None:
    with (
        log.open("a", encoding="utf-8") as file,
        child(command, stdout=PIPE, stderr=STDOUT) as process,
    ):
        assert process.stdout
        errors = _follow(process.stdout, file)
        if process.wait():
            reason = errors[-1] if errors else f"pip ended with {process.returncode}"
            raise Stop(
                f"Installing failed: {reason}. Check the network and the free disk; "
                f"the log is {log}."
            )


def _follow(lines: Iterable[str], log: TextIO) -> list[str]:
    """Shows the downloads; returns the errors."""
    bar, name, errors = None, "", []
    for line in lines:
        if progress := re.match(r"Progress (\d+) of (\d+)", line):
            done, total = (int(figure) / 1e6 for figure in progress.groups())
            if total > _BIG_MB:
                bar = bar or Bar(name)
                bar.show(done, total, "MB")
            continue
        if bar:
            bar.end()
            bar = None
        log.write(line)
        if fetched := re.match(r"\s*(?:Downloading|Processing) (\S+)", line):
            name = fetched[1].rpartition("/")[2].split("-")[0]
        elif line.startswith("Installing collected packages: "):
            if "," in line:
                say(f"  unpacking {line.count(',') + 1} packages")
        elif line.startswith("ERROR: "):
            errors.append(line[7:].strip().rstrip("."))
    return errors
