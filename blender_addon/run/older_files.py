"""Settings of .blend files that an earlier version has saved keep the meaning they had there.

Blender does not save a setting that has its default, so a new default would change an old file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import settings_file

VERSION = 2
DEFAULTS_OF_1 = {"mode": "text", "motion_source": "camera", "destination": "SCENE"}
INNER = ("prompt", "model", "shot", "sampling", "motion", "coherence", "control")


def pin(scene: bpy.types.Scene) -> None:
    """Gives the settings of a file of version 1 the defaults of then, where it has not said
    otherwise."""
    settings = scene.t2vz
    if settings.version == 0 and any(_said(settings)):
        for name, value in DEFAULTS_OF_1.items():
            if not settings.is_property_set(name):
                setattr(settings, name, value)
        settings.version = VERSION


def _said(settings: Any) -> Iterator[bool]:
    for group in (settings, *(getattr(settings, name) for name in INNER)):
        for each in group.bl_rna.properties:
            if each.type in settings_file.PLAIN and each.identifier not in settings_file.LEFT_OUT:
                yield group.is_property_set(each.identifier)


@persistent
def _after_load(*_: object) -> None:
    for scene in bpy.data.scenes:
        pin(scene)


@persistent
def _before_save(*_: object) -> None:
    for scene in bpy.data.scenes:
        if scene.t2vz.version == 0 and scene.library is None:
            scene.t2vz.version = VERSION


def register() -> None:
    bpy.app.handlers.load_post.append(_after_load)
    bpy.app.handlers.save_pre.append(_before_save)
    if hasattr(bpy.data, "scenes"):  # not while Blender starts, which loads a file afterwards
        _after_load()


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_after_load)
    bpy.app.handlers.save_pre.remove(_before_save)
