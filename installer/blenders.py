"""The Blender to work with: an installed one, or the bpy wheel in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from . import uv
from .console import Stop, say
from .environment import Environment
from .process import last_line, output_of, run
from .wheel import ROOT

OLDEST = (4, 2)
BPY_VERSIONS = ("4.2.23", "4.5.15", "5.0.1")
DEMO_BPY = "5.0.1"
BPY_PYTHON = (3, 11)
# What bpy links to and a bare Debian or Ubuntu lacks: library -> package.
_PACKAGES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgomp.so.1": "libgomp1",
}


@dataclass(frozen=True)
class Blender:
    """How scripts are run with bpy: in a Blender, or in a Python that has the bpy wheel."""

    program: Path
    version: str
    is_wheel: bool = False

    def command(
        self, script: Path, *arguments: str | Path, scene: Path | None = None
    ) -> list[str | Path]:
        """The command that runs a script on a scene; the script finds its arguments behind `--`."""
        opened = [scene] if scene else []
        start = (
            [self.program, Path(__file__).with_name("in_bpy.py")]
            if self.is_wheel
            else [self.program]
        )
        return [*start, "-b", *opened, "--python-exit-code", "1", "-P", script, "--", *arguments]


def installed_blender(named: Path | None) -> Blender | None:
    """The Blender of --blender, T2VZ_BLENDER or PATH, in this order; None where there is none.

    Raises:
        Stop: the one that was named cannot be used.
    """
    asked = named or os.environ.get("T2VZ_BLENDER")
    if asked:
        program = Path(asked).absolute()
        done = run([program, "--version"])
        version = _version(done)
        if version is None:
            raise Stop(
                f"{program} does not start as a Blender ({last_line(done)}); "
                "give the path of one that does."
            )
        if _pair(version) < OLDEST:
            raise Stop(f"{program} is Blender {version}; t2vz needs 4.2 or newer.")
        return Blender(program, version)
    program = shutil.which("blender")
    version = _version(run([program, "--version"])) if program else None
    if not program or version is None:
        return None
    if _pair(version) < OLDEST:
        say(f"{program} is Blender {version}, older than 4.2; it is passed over")
        return None
    return Blender(Path(program), version)


def _version(done: CompletedProcess[str]) -> str | None:
    found = re.search(r"^Blender (\d+\.\d+\S*)", done.stdout, re.MULTILINE)
    return found[1] if found and not done.returncode else None


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def bpy_maker() -> str | None:
    """A Python that the bpy wheels are made for: this one, one on PATH, or one that uv fetches."""
    if sys.version_info[:2] == BPY_PYTHON:
        return sys.executable
    found = shutil.which("python3.11")
    if found and output_of([found, "-c", ""]) is not None:
        return found
    return uv.fetched_python("3.11")


def bpy_wheel(version: str, *requirements: str) -> Blender:
    """An environment with this bpy, in .bpy-<version>/ of the checkout.

    Raises:
        Stop: no Python 3.11, no such wheel, or libraries of the system are missing.
    """
    maker = bpy_maker()
    if maker is None:
        raise Stop(
            "There is no Blender here, and Blender's own Python module needs Python 3.11: "
            "install Blender 4.2 or newer and name it with --blender, or install Python 3.11, "
            "which could not be fetched."
        )
    environment = Environment(ROOT / f".bpy-{version}", maker)
    wanted = (f"bpy=={version}", *requirements)
    if not environment.holds(wanted):
        say(f"Installing Blender {version} as a Python module")
        environment.provide(*wanted)
    missing = missing_libraries(environment)
    if missing:
        raise Stop(
            "Blender lacks libraries of the system; on Debian and Ubuntu: "
            f"apt install {' '.join(missing)}"
        )
    return Blender(environment.python, version, is_wheel=True)


def missing_libraries(environment: Environment) -> list[str]:
    """The packages (or, where unknown, libraries) of the system that this bpy links to and does not
    find."""
    modules = sorted(environment.folder.glob("lib/python3*/site-packages/bpy/__init__*.so"))
    said = (output_of(["ldd", modules[0]]) if modules and shutil.which("ldd") else None) or ""
    lacking: list[str] = re.findall(r"^\s*(\S+) => not found", said, re.MULTILINE)
    return sorted({_PACKAGES.get(library, library) for library in lacking})
