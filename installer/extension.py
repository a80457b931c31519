"""The extension zip that Blender installs: the add-on, the core's wheel, a manifest that names both."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from .console import say
from .wheel import ROOT, built_wheel

ADDON = ROOT / "blender_addon"
_WHEN = (1980, 1, 1, 0, 0, 0)  # the same sources make the same zip


def build_extension(folder: Path) -> Path:
    """Writes t2vz-<version>.zip into `folder` and returns its path."""
    wheel = built_wheel()
    version = wheel.name.split("-")[1]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder.absolute() / f"t2vz-{version}.zip"
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as archive:
        for path in sorted(ADDON.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                _add(archive, path.relative_to(ADDON).as_posix(), _content(path, wheel.name))
        _add(archive, "LICENSE", (ROOT / "LICENSE").read_bytes())
        _add(archive, f"wheels/{wheel.name}", wheel.read_bytes())
    part.replace(target)
    say(f"Built {target} ({target.stat().st_size / 1e6:.1f} MB)")
    return target


def _content(path: Path, wheel: str) -> bytes:
    if path.name == "blender_manifest.toml":
        return stamped_manifest(path.read_text(encoding="utf-8"), wheel).encode()
    return path.read_bytes()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _WHEN), content, zipfile.ZIP_DEFLATED)


def stamped_manifest(text: str, wheel: str) -> str:
    """The manifest with the wheel's version and the line that names the wheel; the checkout's has neither."""
    version = wheel.split("-")[1]
    lines = f'version = "{version}"\nwheels = ["./wheels/{wheel}"]'
    stamped, count = re.subn(r'^version = ".*"$', lines, text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError("blender_manifest.toml: must have one version line")
    return stamped
