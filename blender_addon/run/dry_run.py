"""What a generation would be, and what it lacks, without a frame captured."""

from __future__ import annotations

import shutil
from typing import Any

import bpy

from t2vz_core.wire.job import DEMO_MODEL

from .. import preferences
from ..job.generation import sentence
from . import live, scene_job


def look(scene: bpy.types.Scene) -> dict[str, Any]:
    """Frames, size, time and disk as far as they are known, and `missing`: a sentence for each
    thing without which it would fail."""
    missing = list(_missing(scene))
    try:
        expected = scene_job.estimate_of(scene, live.past())
        width, height = scene_job.size_of(scene)
    except ValueError as error:
        return {"missing": [*missing, sentence(error)]}
    if expected is None:
        return {"missing": [*missing, "The settings do not make a job: look at the frame range."]}
    home = preferences.jobs_home(scene.t2vz.output)
    near = next((place for place in (home, *home.parents) if place.exists()), home)
    if shutil.disk_usage(near).free < expected.disk_bytes:
        need = expected.disk_bytes // 1_000_000
        missing.append(f"The disk of {home} lacks the {need} MB that this takes: free some.")
    return {
        "scene": scene.name,
        "frames": expected.frames,
        "width_px": width,
        "height_px": height,
        "steps": expected.steps,
        "seconds": expected.seconds,
        "disk_bytes": expected.disk_bytes,
        "output": str(home),
        "missing": missing,
    }


def _missing(scene: bpy.types.Scene) -> list[str]:
    settings, found = scene.t2vz, []
    if scene.camera is None:
        found.append(f"The scene {scene.name} has no camera: add one.")
    if preferences.engine_python() is None:
        found.append(preferences.NO_ENGINE)
    base = settings.model.base
    is_named = base.partition("/")[0] == DEMO_MODEL or settings.model.allow_network
    if not is_named and preferences.path_of_model(base) is None:
        where = preferences.models_home()
        found.append(f"There is no model {base}: put it into {where}, or choose another.")
    return found
