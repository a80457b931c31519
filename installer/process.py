"""Child processes that end with the installer."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# These would make a child take modules or settings from elsewhere than the folder it is meant to
# use.
_FOREIGN = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_TARGET",
    "PIP_USER",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "VIRTUAL_ENV",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
)

HAS_GROUPS = os.name == "posix"  # of processes, which are ended together
PATIENCE_S = 5.0


def clean_environment(more: Mapping[str, str | Path] | None = None) -> dict[str, str]:
    """This process's environment variables without those that redirect Python, and with `more`."""
    kept = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    return (
        kept | {key: str(value) for key, value in (more or {}).items()} | {"PYTHONUNBUFFERED": "1"}
    )


@contextmanager
def child(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A started process; it and all it has started are ended when the block is left, however it is
    left."""
    options = {
        "env": clean_environment(),
        "stdin": subprocess.DEVNULL,
        "encoding": "utf-8",
        "errors": "replace",
    } | options
    if HAS_GROUPS:
        options["process_group"] = 0
    process: subprocess.Popen[str] = subprocess.Popen([str(part) for part in command], **options)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Asks what still runs to end, and kills what does not heed it."""
    if process.poll() is None:
        _signal(process, "SIGTERM")
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
    _signal(process, "SIGKILL")
    process.wait()
    if process.stdout:
        process.stdout.close()


def _signal(process: subprocess.Popen[str], name: str) -> None:
    with suppress(ProcessLookupError):
        if HAS_GROUPS:
            os.killpg(process.pid, getattr(signal, name))
        elif name == "SIGKILL":
            process.kill()


def run(
    command: Sequence[str | Path],
    more: Mapping[str, str | Path] | None = None,
    cwd: Path | None = None,
    limit_s: float = 60,
) -> subprocess.CompletedProcess[str]:
    """A short command that has ended, with what it said; one that cannot start or takes too long
    counts as failed."""
    words = [str(part) for part in command]
    try:
        return subprocess.run(
            words,
            env=clean_environment(more),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 127, "", str(error))


def output_of(command: Sequence[str | Path]) -> str | None:
    """What a short command prints; None where it cannot run or fails."""
    done = run(command)
    return done.stdout if done.returncode == 0 else None


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last thing an ended command said, which is where the reason of a failure stands."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1].strip() if lines else f"it ended with {done.returncode}"
