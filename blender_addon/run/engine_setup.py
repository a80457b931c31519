"""Setting up the engine beside the artist's work, driven by a timer."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import bpy

from .. import preferences
from ..job.engine_setup import DONE, Plan, SetUp, check_place, find_uv
from . import session

TICK_S = 0.2
ADDON = Path(__file__).parents[1]
NO_UV = (
    "This zip came without uv, which makes the engine: install uv (docs.astral.sh/uv), or take the "
    "zip made for this system."
)
OFFLINE = (
    "Blender may not use the network: allow it in Preferences > System > Network, or choose a "
    "folder of wheels."
)

now: SetUp | None = None


def plan() -> Plan:
    """What the preferences ask for.

    Raises:
        ValueError: there is no uv, no wheel, or neither network nor a folder of wheels; one
            sentence.
    """
    wheels, index = preferences.wheels_folder(), preferences.package_index()
    if wheels is None and not bpy.app.online_access:
        raise ValueError(OFFLINE)
    check_place(preferences.engine_home())
    uv = find_uv(ADDON / "bin", preferences.engine_home())
    if uv is None:
        raise ValueError(NO_UV)
    lock = ADDON / "lock.txt"
    return Plan(
        preferences.engine_home(),
        own_wheel(),
        uv,
        lock if lock.is_file() else None,
        wheels,
        index,
        preferences.torch_build(),
    )


def own_wheel() -> Path:
    """The engine's wheel that came with the add-on.

    Raises:
        ValueError: there is none, as in a checkout.
    """
    found = sorted((ADDON / "wheels").glob("t2vz_core-*.whl"))
    if not found:
        raise ValueError("This add-on came without the engine's wheel: install it from its zip.")
    return found[-1]


def begin() -> None:
    """Begins.

    Raises:
        ValueError: it cannot; one sentence.
    """
    global now
    now = SetUp(plan(), datetime.now())
    bpy.app.timers.register(tick, persistent=True)


def tick() -> float | None:
    """Goes on a little."""
    if now is None:
        return None
    before = now.caption
    now.step()
    if now.caption != before or now.end is not None:
        redraw()
    if now.end is None:
        return TICK_S
    session.now.refusal = now.error
    if now.end == DONE:
        session.stop_engine()
        preferences.answer[:] = now.answer.splitlines()
    return None


def is_busy() -> bool:
    """It is under way."""
    return now is not None and now.end is None


def cancel() -> None:
    """Stops; the engine that worked still does."""
    if now is not None:
        now.cancel()
    redraw()


def redraw() -> None:
    """The panel and the preferences."""
    session.redraw()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()


def report() -> str:
    """What a bug report needs: versions, system, the engine's answer, the end of the log."""
    log = preferences.engine_home() / "install.log"
    tail = log.read_text(encoding="utf-8", errors="replace")[-4000:] if log.is_file() else ""
    lines = (f"Blender {bpy.app.version_string}", f"System {os.name}", *preferences.answer, tail)
    return "\n".join(lines)


def register() -> None:
    """Nothing is begun by itself."""


def unregister() -> None:
    if is_busy():
        cancel()
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
