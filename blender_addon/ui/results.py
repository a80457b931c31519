"""Panels of what is made and what was made: the queue, and the takes with their pictures."""

from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews

from .. import preferences
from ..job import history
from ..run import session, takes
from .drawing import SPACES, in_space

MOST_TAKES = 6
PICTURE_SCALE = 5.0  # of an icon
LETTERS = 34
ACTIONS = (
    ("t2vz.load_settings", "COPYDOWN"),
    ("t2vz.regenerate", "FILE_REFRESH"),
    ("t2vz.reseed", "MOD_NOISE"),
    ("t2vz.extend", "TRACKING_FORWARDS"),
    ("t2vz.replace_frames", "UV_SYNC_SELECT"),
    ("t2vz.compare", "MOD_MIRROR"),
    ("t2vz.to_edit_scene", "SCENE_DATA"),
    ("t2vz.delete_take", "TRASH"),
)
_pictures: list[Any] = []


class Queue:
    """What waits for its turn, and what was left unfinished."""

    bl_label = "Queue"

    def draw(self, context: bpy.types.Context) -> None:
        """A line for each."""
        layout, now = self.layout, session.now
        if now.left_over:
            layout.label(text=f"Not finished when Blender was closed: {len(now.left_over)}")
            row = layout.row(align=True)
            row.operator("t2vz.go_on", icon="PLAY")
            row.operator("t2vz.go_on", text="Forget", icon="X").is_forgotten = True
        for index, task in enumerate(now.waiting):
            row = layout.row(align=True)
            row.label(text=task.title[:LETTERS], icon="SORTTIME")
            for action, icon in (("UP", "TRIA_UP"), ("DOWN", "TRIA_DOWN"), ("CANCEL", "X")):
                button = row.operator("t2vz.queue", text="", icon=icon)
                button.index, button.action = index, action
        if not now.waiting and not now.left_over:
            layout.label(text="Empty. Generate queues here.")
        text = "Go On with Queue" if now.is_paused else "Pause Queue"
        layout.operator("t2vz.pause", text=text, icon="PLAY" if now.is_paused else "PAUSE")


class Takes:
    """Films made of this scene, the newest first."""

    bl_label = "Takes"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own convention

    def draw(self, context: bpy.types.Context) -> None:
        """Actions on the one that is meant, and all with their pictures."""
        shown = takes.take_shown(context)
        if shown is not None:
            column = self.layout.box().column(align=True)
            column.label(text=shown.title[:LETTERS], icon="RESTRICT_SELECT_OFF")
            for name, icon in ACTIONS:
                column.operator(name, icon=icon).directory = str(shown.folder)
        home = preferences.jobs_home(context.scene.t2vz.output)
        for take in history.takes(home, MOST_TAKES):
            _draw_take(self.layout, take)


def _draw_take(layout: Any, take: history.Take) -> None:
    row = layout.box().row()
    if take.frames:
        row.template_icon(icon_value=_picture(take.frames[0][1]), scale=PICTURE_SCALE)
    column = row.column(align=True)
    column.label(text=take.title[:LETTERS])
    column.label(text=take.details)
    buttons = column.row(align=True)
    buttons.operator("t2vz.add_take", icon="HIDE_OFF").directory = str(take.folder)
    settings = buttons.operator("t2vz.load_settings", text="", icon="COPYDOWN")
    settings.directory = str(take.folder)
    if not take.is_whole:
        buttons.operator("t2vz.resume", text="", icon="PLAY").directory = str(take.folder)
    gone = buttons.operator("t2vz.delete_take", text="", icon="TRASH")
    gone.directory = str(take.folder)


def _picture(path: Path) -> int:
    """The icon of a picture file, loaded once."""
    pictures = _pictures[0]
    key = str(path)
    if key not in pictures:
        pictures.load(key, key, "IMAGE")
    return pictures[key].icon_id


SECTIONS = (Queue, Takes)
CLASSES = tuple(in_space(section, space, "") for space in SPACES for section in SECTIONS)


def register() -> None:
    _pictures.append(bpy.utils.previews.new())
    for kind in CLASSES:
        bpy.utils.register_class(kind)


def unregister() -> None:
    for kind in reversed(CLASSES):
        bpy.utils.unregister_class(kind)
    bpy.utils.previews.remove(_pictures.pop())
