"""What the panel says: one thing at a time, the most urgent first."""

from __future__ import annotations

import bpy

from .. import preferences
from ..job.generation import CANCELLED, FINISHED, caption, count, duration
from . import engine_setup, live, scene_job, session, unfinished

ERROR, INFO, WORKING, READY = "ERROR", "INFO", "TIME", "CHECKMARK"
MEGABYTE = 1_000_000


def now(scene: bpy.types.Scene) -> tuple[str, str]:
    """An icon and the text: what went wrong, what goes on, or how it ended."""
    generation = session.now.generation
    if engine_setup.is_busy():
        return WORKING, engine_setup.now.caption
    is_outdated = session.is_outdated(scene)
    if session.now.error and not is_outdated:
        return ERROR, session.now.error
    if session.now.waits_for:
        return WORKING, f"Waiting for {session.now.waits_for} to end"
    if session.now.is_busy:
        return WORKING, " ".join([f"{caption(generation)}.", *reversed(generation.notes)])
    if generation is None and (folder := unfinished.job_of(scene)) is not None:
        return INFO, f"Not finished when Blender was closed: {folder.name}"
    if generation is None:
        return (INFO, FIRST_STEP) if preferences.engine_python() else (ERROR, NO_ENGINE)
    if session.now.refusal:
        return INFO, FIRST_STEP
    if generation.error:
        return INFO, f"The last run: {generation.error}"
    if generation.end == CANCELLED:
        kept = f"; finished frames kept: {generation.frames_done}" if generation.frames_done else ""
        return INFO, f"Cancelled{kept}"
    icon = READY if generation.end == FINISHED else INFO
    return icon, " ".join(reversed(generation.notes)) or "Done."


def progress() -> tuple[float, str]:
    """How far what goes on is, 0..1, and in words; nothing where nothing goes on."""
    generation = session.now.generation
    if engine_setup.is_busy():
        return engine_setup.now.factor, engine_setup.now.stage.capitalize()
    if not session.now.is_busy:
        return 0.0, ""
    return min(generation.done / max(generation.total, 1), 1.0), count(generation)


def estimate(scene: bpy.types.Scene) -> str:
    """`16 frames, 512×288, about 2 min`; "" where the settings make no job."""
    try:
        width, height = scene_job.size_of(scene)
    except ValueError:
        return ""
    expected = scene_job.estimate_of(scene, live.past())
    if expected is None:
        return ""
    time = "" if expected.seconds is None else f", about {duration(max(expected.seconds, 1))}"
    return f"{expected.frames} frames, {width}×{height}{time}"


def warning(scene: bpy.types.Scene) -> str:
    """What an artist should know before a long run; "" before a short one."""
    expected = scene_job.estimate_of(scene, live.past())
    if expected is None or not expected.is_long:
        return ""
    time = "unknown, as this model has not run here yet"
    if expected.seconds is not None:
        time = f"about {duration(expected.seconds)}"
    disk = f"{max(expected.disk_bytes // MEGABYTE, 1)} MB"
    return f"{expected.frames} frames × {expected.steps} steps. Time: {time}. Disk: about {disk}."


FIRST_STEP = "Write a prompt and press One Frame."
NO_ENGINE = "The engine, which paints the frames, is not set up yet: press Set Up Engine."
