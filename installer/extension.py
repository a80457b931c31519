"""The extension zip that Blender installs: the add-on, the core's wheel, a manifest that names
both."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

from . import carried_uv, lock
from .blenders import Blender
from .console import Stop, say
from .process import last_line, run
from .wheel import BUILD, ROOT, built_wheel

OWN = BUILD / "extension"  # where the demo and the tests have theirs; one is kept
ADDON = ROOT / "blender_addon"
_WHEN = (1980, 1, 1, 0, 0, 0)  # the same sources make the same zip


def build_extension(folder: Path, engine: Path | None = None, platform: str | None = None) -> Path:
    """Writes t2vz-<version>.zip into `folder` and returns its path; the add-on will look for its
    engine's Python there.

    With a `platform`, one of Blender's names, the zip is for that one and carries uv, with which
    the add-on sets its engine up itself.

    The checkout's manifest names neither wheel nor built version: both are written into the copy
    alone.
    """
    wheel = built_wheel()
    version = wheel.name.split("-")[1]
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join(filter(None, ("t2vz", version, platform)))
    target = folder.absolute() / f"{name}.zip"
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as archive:
        for path in sorted(ADDON.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content = _content(path, wheel.name, platform)
                _add(archive, path.relative_to(ADDON).as_posix(), content)
        if engine:
            _add(archive, "engine.json", json.dumps({"python": str(engine)}).encode())
        _add(archive, "LICENSE", (ROOT / "LICENSE").read_bytes())
        _add(archive, f"wheels/{wheel.name}", wheel.read_bytes())
        _add(archive, "lock.txt", lock.FILE.read_bytes())
        if platform:
            program = carried_uv.fetched(platform)
            _add(archive, f"bin/{program.name}", program.read_bytes())
    part.replace(target)
    if folder == OWN:
        for older in set(folder.glob("*.zip")) - {target}:
            older.unlink()
    say(f"Built {target} ({target.stat().st_size / 1e6:.1f} MB)")
    return target


def _content(path: Path, wheel: str, platform: str | None) -> bytes:
    if path.name == "blender_manifest.toml":
        return stamped_manifest(path.read_text(encoding="utf-8"), wheel, platform).encode()
    return path.read_bytes()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _WHEN), content, zipfile.ZIP_DEFLATED)


def stamped_manifest(text: str, wheel: str, platform: str | None = None) -> str:
    """The manifest with the wheel's version and the line that names the wheel, and the platform's
    if it is for one; the checkout's has none of them."""
    version = wheel.split("-")[1]
    lines = f'version = "{version}"\nwheels = ["./wheels/{wheel}"]'
    if platform:
        lines += f'\nplatforms = ["{platform}"]'
    stamped, count = re.subn(r'^version = ".*"$', lines, text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError("blender_manifest.toml: must have one version line")
    return stamped


def install_extension(blender: Blender, extension: Path, profile: Path) -> str:
    """Has Blender check the zip and install it into `profile`, a folder of its own; returns the
    module's name.

    Raises:
        Stop: Blender does not take it.
    """
    for words in (["validate"], ["install-file", "-r", "user_default", "--enable"]):
        command = [blender.program, "--command", "extension", *words, extension]
        done = run(command, {"BLENDER_USER_RESOURCES": profile}, limit_s=120)
        if done.returncode:
            raise Stop(
                f"Blender {blender.version} does not take {extension.name}: {last_line(done)}"
            )
    return "bl_ext.user_default.t2vz"
