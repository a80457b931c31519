"""The core's wheel, built once for both sides and stamped with what it was built of."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from .console import Stop, say
from .environment import Environment
from .lock import requirements
from .process import last_line, output_of, run

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
SOURCES = ("t2vz_core", "blender_addon", "pyproject.toml", "README.md", "LICENSE")
_SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.part", "candidate")


def stamped_version() -> str:
    """The version with the last commit that touched the sources, and a hash of what is not
    committed.

    Blender does not unpack a wheel again whose name and version it has: new code must have a new
    version.
    """
    release = re.search(
        r'__version__ = "([^"]+)"', (ROOT / "t2vz_core/__init__.py").read_text(encoding="utf-8")
    )
    assert release
    commit = (
        output_of(["git", "-C", ROOT, "log", "-1", "--format=%h", "--", *SOURCES]) or ""
    ).strip()
    changes = output_of(["git", "-C", ROOT, "status", "--porcelain", "--", *SOURCES])
    if commit and not changes:
        return f"{release[1]}+g{commit}"
    return f"{release[1]}+g{commit}.d{_digest()}" if commit else f"{release[1]}+d{_digest()}"


def _digest() -> str:
    """Eight hex digits of the names and bytes of all sources."""
    digest = hashlib.sha256()
    for top in SOURCES:
        for path in sorted((ROOT / top).rglob("*")) if (ROOT / top).is_dir() else [ROOT / top]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(
                    path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes()
                )
    return digest.hexdigest()[:8]


def built_wheel() -> Path:
    """The wheel of the core as it stands in this checkout, under build/; built where it is not
    there yet."""
    version = stamped_version()
    wheel = BUILD / f"t2vz_core-{version}-py3-none-any.whl"
    if not wheel.exists():
        say(f"Building t2vz {version}")
        _build(version, wheel)
    return wheel


def _build(version: str, wheel: Path) -> None:
    builder, staged, made = Environment(BUILD / "builder"), BUILD / "staged", BUILD / "made"
    builder.provide(*requirements("build"))
    for folder in (staged, made):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "t2vz_core", staged / "t2vz_core", ignore=_SKIPPED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, staged)
    code = staged / "t2vz_core/__init__.py"
    text = re.sub(
        r'__version__ = "[^"]+"', f'__version__ = "{version}"', code.read_text(encoding="utf-8")
    )
    code.write_text(text, encoding="utf-8")
    command = [builder.python, "-m", "hatchling", "build", "-t", "wheel", "-d", made]
    done = run(command, cwd=staged, limit_s=300)
    if done.returncode:
        raise Stop(f"The wheel could not be built in {staged}: {last_line(done)}")
    for older in BUILD.glob("t2vz_core-*.whl"):
        older.unlink()
    (made / wheel.name).replace(wheel)
