"""The uv that rides in the extension's zip, of the platform that the zip is for: with it an artist
sets the engine up from inside Blender."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import uv
from .console import Stop, say
from .process import last_line, run
from .wheel import BUILD

VERSION = "0.13.9"
# Blender's names of platforms, in uv's words
PLATFORMS = {
    "linux-x64": "x86_64-unknown-linux-gnu",
    "linux-arm64": "aarch64-unknown-linux-gnu",
    "windows-x64": "x86_64-pc-windows-msvc",
    "windows-arm64": "aarch64-pc-windows-msvc",
    "macos-arm64": "aarch64-apple-darwin",
}


def fetched(platform: str) -> Path:
    """The program for this platform, under build/; fetched from the package index once.

    Raises:
        Stop: it cannot be fetched.
    """
    program = BUILD / f"uv-{VERSION}-{platform}" / _name(platform)
    if program.is_file():
        return program
    say(f"Fetching uv for {platform}")
    made = BUILD / "uv-made"
    shutil.rmtree(made, ignore_errors=True)
    asked = ["--python-platform", PLATFORMS[platform], "--only-binary", ":all:", "--no-deps"]
    command = [uv.provided(), "pip", "install", "--quiet", "--target", made, *asked]
    done = run([*command, f"uv=={VERSION}"], uv.settings(), limit_s=300)
    found = next((path for path in made.rglob(_name(platform)) if path.is_file()), None)
    if done.returncode or found is None:
        raise Stop(f"uv for {platform} could not be fetched: {last_line(done)}")
    program.parent.mkdir(parents=True, exist_ok=True)
    return found.replace(program)


def _name(platform: str) -> str:
    return "uv.exe" if platform.startswith("windows") else "uv"
