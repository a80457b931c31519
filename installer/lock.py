"""The lock: the version and the hashes, for every platform, of each library that the engine, its
training, the tests and the build need.

torch is not in it, nor what comes with its builds: which of them is installed is the machine's
matter, and they have the same version but other hashes.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

from . import uv
from .console import Stop, say
from .process import last_line, run

ROOT = Path(__file__).parents[1]
FILE = ROOT / "installer/lock.txt"
_LEFT_OUT = re.compile(r"(torch|triton|cuda-|nvidia-)")
_HEAD = "# Made by `python3 install.py lock` from pyproject.toml; not by hand.\n"


def requirements(extra: str) -> list[str]:
    """What pyproject.toml asks for under this extra; `build`: to build the wheel."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if extra == "build":
        return read["build-system"]["requires"]
    return read["project"]["optional-dependencies"][extra]


def name() -> str:
    """What an environment that was made by this lock holds."""
    return f"lock {hashlib.sha256(FILE.read_bytes()).hexdigest()[:8]}"


def write() -> None:
    """Solves pyproject.toml anew, for every platform and from the package index alone.

    Raises:
        Stop: it cannot be solved, or the index cannot be reached.
    """
    asked = ROOT / "build/requirements.in"
    asked.parent.mkdir(exist_ok=True)
    extras = ("engine", "train", "farm", "test", "build")
    asked.write_text("\n".join(item for extra in extras for item in requirements(extra)))
    command = [uv.provided(), "pip", "compile", "--quiet", "--universal", "--python-version=3.11"]
    written = ["--generate-hashes", "--no-annotate", "--no-header", asked]
    done = run([*command, *written], _from_the_index_alone(), limit_s=300)
    if done.returncode:
        raise Stop(f"The lock could not be made: {last_line(done)}")
    FILE.write_text(_HEAD + "".join(_kept(done.stdout)), encoding="utf-8")
    say(f"Wrote {FILE}")


def _from_the_index_alone() -> dict[str, str]:
    """Settings without folders and further indexes of this machine, whose files have hashes that
    others would not find."""
    local = ("UV_FIND_LINKS", "UV_INDEX", "UV_INDEX_STRATEGY", "UV_CONSTRAINT")
    return {name: value for name, value in uv.settings().items() if name not in local}


def _kept(solved: str) -> list[str]:
    """The entries, each a line with its hashes on further ones, without torch's."""
    entries = re.findall(r"^\S.*\n(?:^\s.*\n)*", solved, re.MULTILINE)
    return [entry for entry in entries if not _LEFT_OUT.match(entry)]
