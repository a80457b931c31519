"""Jobs that were begun and not brought to their end, so that the file that asked for one offers it
again, whether it was saved since or not."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import bpy

from .. import preferences
from ..job.folders import is_job

MOST = 100  # files; older ones are forgotten


def remember(scene: bpy.types.Scene, folder: Path) -> None:
    """Notes that this scene's job is under way; of a file that was never saved nothing is noted."""
    if bpy.data.filepath:
        known = _known()
        known.pop(_key(scene), None)
        _write({**known, _key(scene): str(folder)})


def forget(folder: Path) -> None:
    """The job needs nobody any more: it is done, or the artist has ended it."""
    known = _known()
    if str(folder) in known.values():
        _write({key: value for key, value in known.items() if value != str(folder)})


def job_of(scene: bpy.types.Scene) -> Path | None:
    """The folder of the scene's unfinished job, if it is still there."""
    folder = _known().get(_key(scene))
    return Path(folder) if folder and is_job(Path(folder)) else None


def _key(scene: bpy.types.Scene) -> str:
    return f"{bpy.data.filepath}\n{scene.name}"


def _file() -> Path:
    return preferences.own_folder("logs") / "unfinished.json"


def _known() -> dict[str, str]:
    try:
        known = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(known: dict[str, str]) -> None:
    """A disk that refuses costs the offer, and not the generation."""
    part = _file().with_suffix(".part")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(dict(list(known.items())[-MOST:])), encoding="utf-8")
        part.replace(_file())
