"""Buttons that set up, mend, ask and remove the engine."""

from __future__ import annotations

import textwrap
from typing import Any

import bpy

from .. import preferences
from ..job import engine_setup as plain
from ..run import engine_report, engine_setup, session

LETTERS = 90  # in a line of the preferences
MOST_LINES = 24


class T2VZ_OT_set_up_engine(bpy.types.Operator):
    """Install the engine that paints the frames into a folder of its own: some 2 to 6 GB, once"""

    bl_idname = "t2vz.set_up_engine"
    bl_label = "Set Up Engine"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """One at a time, and not while it paints."""
        return not engine_setup.is_busy() and not session.now.is_busy

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Asks before it downloads."""
        if preferences.wheels_folder() is not None or not bpy.app.online_access:
            return self.execute(context)
        where = preferences.engine_home()
        words = f"torch and other libraries come from the package index into {where}."
        return context.window_manager.invoke_confirm(
            self, event, title="Download the Engine?", message=words, confirm_text="Download"
        )

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Begins; the timer does the rest."""
        session.now.refusal = ""
        try:
            engine_setup.begin()
        except ValueError as error:
            return session.refuse(self, error)
        return {"FINISHED"}


class T2VZ_OT_cancel_set_up(bpy.types.Operator):
    """Stop; what was downloaded is kept, and the engine that worked still does"""

    bl_idname = "t2vz.cancel_set_up"
    bl_label = "Cancel Set-Up"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ends what runs."""
        engine_setup.cancel()
        return {"FINISHED"}


class T2VZ_OT_remove_engine(bpy.types.Operator):
    """Delete the engine that was set up here, and its downloads; models and films stay"""

    bl_idname = "t2vz.remove_engine"
    bl_label = "Remove Engine"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Asks."""
        return context.window_manager.invoke_confirm(self, event, title="Remove the Engine?")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Stops it first."""
        session.stop_engine()
        plain.remove(preferences.engine_home())
        preferences.answer.clear()
        return {"FINISHED"}


class T2VZ_OT_open_log(bpy.types.Operator):
    """Open the log of the set-up in the Text Editor"""

    bl_idname = "t2vz.open_log"
    bl_label = "Open Log"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Loads it as a text."""
        log = preferences.engine_home() / plain.LOG
        words = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else "No log."
        engine_report.show_text(words)
        self.report({"INFO"}, f"Read the text “{engine_report.TEXT}” in the Text Editor")
        return {"FINISHED"}


class T2VZ_OT_copy_report(bpy.types.Operator):
    """Copy what a bug report needs: versions, the engine's answer and the end of its log"""

    bl_idname = "t2vz.copy_report"
    bl_label = "Copy Report"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """To the clipboard."""
        context.window_manager.clipboard = engine_setup.report()
        self.report({"INFO"}, "Copied")
        return {"FINISHED"}


CLASSES = (
    T2VZ_OT_set_up_engine,
    T2VZ_OT_cancel_set_up,
    T2VZ_OT_remove_engine,
    T2VZ_OT_open_log,
    T2VZ_OT_copy_report,
)


def draw_page(layout: Any, own: Any) -> None:
    """The engine's part of the preferences: what is there, what goes on, and the buttons."""
    python, box = preferences.engine_python(), layout.box()
    row = box.row()
    row.alert = python is None
    words = str(python or preferences.NO_ENGINE)
    row.label(text=words, icon="CHECKMARK" if python else "ERROR")
    _draw_progress(box)
    is_ours = bool(preferences.set_up_engine())
    row = box.row(align=True)
    row.operator("t2vz.set_up_engine", text="Update or Repair" if is_ours else "Set Up Engine")
    for name in ("t2vz.test_engine", "t2vz.open_log", "t2vz.copy_report"):
        row.operator(name)
    if is_ours:
        row.operator("t2vz.remove_engine", text="", icon="TRASH")
    column = box.column(align=True)
    column.scale_y = 0.7
    for line in preferences.answer[:MOST_LINES]:
        column.label(text=line)
    box.prop(own, "engine_home", placeholder=str(preferences.engine_home()))
    box.prop(own, "torch")
    box.prop(own, "wheels")
    box.prop(own, "index", placeholder="https://pypi.org/simple")
    box.prop(own, "engine", text="Other Engine")


def _draw_progress(box: Any) -> None:
    now = engine_setup.now
    if engine_setup.is_busy():
        row = box.row(align=True)
        row.progress(factor=now.factor, text=now.caption)
        row.operator("t2vz.cancel_set_up", text="", icon="X")
    for line in textwrap.wrap(now.error, LETTERS) if now is not None else []:
        box.label(text=line)


def register() -> None:
    for kind in CLASSES:
        bpy.utils.register_class(kind)
    preferences.engine_pages.append(draw_page)


def unregister() -> None:
    preferences.engine_pages.remove(draw_page)
    for kind in reversed(CLASSES):
        bpy.utils.unregister_class(kind)
