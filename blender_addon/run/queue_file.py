"""The queue on disk, so that a Blender that was closed or has crashed can go on where it
stopped."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import bpy

from .. import preferences
from ..job import left_over as remembered


def write(session: Any) -> None:
    """Keeps what is under way or waits, and what earlier Blenders left; previews are not worth
    it."""
    if bpy.app.background:
        return
    tasks = [*([session.task] if session.is_busy else []), *session.waiting]
    jobs = [_said(task) for task in tasks if not task.generation.is_preview]
    with contextlib.suppress(OSError):
        remembered.write(_home() / f"{os.getpid()}.json", [*session.left_over, *jobs])


def left_over() -> list[remembered.LeftOver]:
    """What Blenders have left that are not there any more; from now on it is this one's to
    remember."""
    found = []
    for file in sorted(_home().glob("*.json")):
        if file.stem.isdecimal() and not _is_alive(int(file.stem)):
            found += remembered.read(file)
            file.unlink(missing_ok=True)
    return found


def _home() -> Path:
    return preferences.own_folder("queue")


def _said(task: Any) -> remembered.LeftOver:
    scene = next((s for s in bpy.data.scenes if s.session_uid == task.target_uid), None)
    folder = str(task.generation.folder)
    name = scene.name if scene else ""
    return remembered.LeftOver(folder, task.title, bpy.data.filepath, name)


def _is_alive(pid: int) -> bool:
    """A process of this number runs."""
    if pid == os.getpid():
        return False  # a number used again: what it wrote is of an earlier one
    if sys.platform == "win32":  # there os.kill would end it
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)
        ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
