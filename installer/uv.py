"""uv, which makes the environments and fills them: found, or fetched into this folder; told what
pip is told."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import TextIO

from .console import Stop, say
from .process import child, clean_environment, last_line, output_of, run

FOLDER = Path(__file__).parents[1] / ".uv"  # its own program, and Pythons that it fetches
OLDEST, TOO_NEW = (0, 9), (0, 14)  # the tests ran with 0.9.30 and 0.13.9
_WANTED = "uv>=0.13.9,<0.14"

# pip's settings that say whence packages come and how to reach it, in uv's words.
# https://docs.astral.sh/uv/reference/environment/ and https://pip.pypa.io/en/stable/cli/pip/
_IN_UVS_WORDS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}


def make_environment(folder: Path, maker: str) -> None:
    """A virtual environment by the Python `maker`; what lies in the folder already stays.

    Raises:
        Stop: it cannot be made.
    """
    arguments = ["venv", "--quiet", "--allow-existing", "--no-project", "--python", maker]
    _run([*arguments, folder], folder / "install.log")


def install(python: Path, arguments: Sequence[str], log: Path) -> None:
    """Installs for this Python, several downloads at a time; all that uv says goes to `log`, or to
    the terminal where there is one.

    Raises:
        Stop: uv failed; the sentence holds its reason, or says where it stands.
    """
    _run(["pip", "install", "--python", python, *arguments], log)


def fetched_python(version: str) -> str | None:
    """A Python of this version that uv knows of or can fetch; None where it cannot."""
    try:
        program = provided()
    except Stop:
        return None
    asked = [program, "python", "find", "--no-project", version]
    found = run(asked, settings(), limit_s=60)
    if found.returncode:
        say(f"Fetching Python {version}")
        run([program, "python", "install", "--no-bin", version], settings(), limit_s=600)
        found = run(asked, settings(), limit_s=60)
    return found.stdout.strip() if not found.returncode else None


def python_in(environment: Path, system: str = os.name) -> Path:
    """The Python of an environment; `system` as in os.name."""
    return environment / ("Scripts/python.exe" if system == "nt" else "bin/python")


def provided() -> Path:
    """The uv on PATH if the tests know it, else the one in `FOLDER`; fetched where there is none.

    Raises:
        Stop: it cannot be fetched.
    """
    for program in (shutil.which("uv"), _own()):
        if program and is_known(output_of([program, "--version"]) or ""):
            return Path(program)
    _fetch()
    return _own()


def is_known(said: str) -> bool:
    """Whether this is what a uv of a tested range says of its version."""
    found = re.match(r"uv (\d+)\.(\d+)\.", said)
    return bool(found) and OLDEST <= (int(found[1]), int(found[2])) < TOO_NEW


def settings() -> dict[str, str]:
    """The environment variables that uv runs with besides the user's: what pip is told, and that
    Pythons go into this folder."""
    listed = output_of([sys.executable, "-m", "pip", "config", "list"]) or ""
    told = {**pip_settings(listed), **pip_variables(os.environ)}
    mine = translated(told) | {
        "UV_PYTHON_INSTALL_DIR": str(FOLDER / "python"),
        "UV_NO_PROGRESS": "" if sys.stderr.isatty() else "1",
    }
    return {name: value for name, value in mine.items() if value and name not in os.environ}


def pip_settings(listed: str) -> dict[str, str]:
    """The settings in what `pip config list` prints, as `global.find-links='/wheels'`; those of
    `pip install` go before the global ones."""
    found = re.findall(r"^(global|install)\.([a-z-]+)=(.+)$", listed, re.MULTILINE)
    ordered = sorted(found, key=lambda one: one[0] == "install")
    return {name: str(ast.literal_eval(value)) for _, name, value in ordered}


def pip_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The settings in pip's environment variables: PIP_FIND_LINKS is `find-links`."""
    named = {name: value for name, value in variables.items() if name.startswith("PIP_")}
    return {name[4:].lower().replace("_", "-"): value for name, value in named.items()}


def translated(told: Mapping[str, str]) -> dict[str, str]:
    """pip's settings as uv's environment variables.

    pip takes the best version of all indexes, uv that of the first which has the package: it is
    told to do as pip does.
    """
    known = {variable: told[name] for name, variable in _IN_UVS_WORDS.items() if told.get(name)}
    if "UV_FIND_LINKS" in known:
        known["UV_FIND_LINKS"] = ",".join(known["UV_FIND_LINKS"].split())
    if "UV_INDEX" in known:
        known["UV_INDEX"] = " ".join(known["UV_INDEX"].split())
        known["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return known


def _own() -> Path:
    return FOLDER / "bin" / ("uv.exe" if os.name == "nt" else "uv")  # pip's --target has one scheme


def _fetch() -> None:
    """Puts uv into `FOLDER`, by whichever of pip and venv this Python has."""
    say("Fetching uv, which installs the rest")
    fetch = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if output_of([sys.executable, "-m", "pip", "--version"]) is None:
        if output_of([sys.executable, "-c", "import ensurepip"]) is None:
            raise Stop(
                f"{sys.executable} has neither pip nor venv to fetch uv with; on Debian and "
                "Ubuntu: apt install python3-venv. Or install uv."
            )
        run([sys.executable, "-m", "venv", FOLDER / "pip"], limit_s=300)
        fetch[0] = str(python_in(FOLDER / "pip"))
    done = run([*fetch, "--upgrade", "--target", FOLDER, _WANTED], limit_s=600)
    if done.returncode:
        raise Stop(f"uv could not be fetched: {last_line(done)}. Check the network.")


def _run(arguments: Sequence[str | Path], log: Path) -> None:
    """One command of uv; its bars are left to the terminal where there is one."""
    command, variables = [provided(), *arguments], clean_environment(settings())
    if sys.stderr.isatty():
        with child(command, env=variables) as process:
            if process.wait():
                raise Stop("Installing failed; uv's reason stands above.")
        return
    with (
        log.open("a", encoding="utf-8") as file,
        child(command, env=variables, stdout=PIPE, stderr=STDOUT) as process,
    ):
        reason = _follow(process.stdout or (), file)
        if process.wait():
            raise Stop(
                f"Installing failed: {reason or f'uv ended with {process.returncode}'}. "
                f"Check the network and the free disk; the log is {log}."
            )


def _follow(lines: Iterable[str], log: TextIO) -> str:
    """Shows what is being downloaded; returns uv's reason if it gives one, on one line."""
    reason: list[str] = []
    for line in lines:
        log.write(line)
        if re.match(r"Downloading \S+ \(", line):
            say(f"  d{line.strip()[1:]}")
        if reason or re.match(r"error:|\s+×", line):
            reason.append(line.strip(" \n╰─▶│×").removeprefix("error: "))
    return " ".join(part for part in reason if part).rstrip(".")
