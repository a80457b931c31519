"""Entries in Blender's own menus: Render, and the Sequencer's Strip and Add."""

from typing import Any

import bpy


def _in_render(menu: Any, _context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.operator("t2vz.generate", text="Generate with Text2Video-Zero")
    menu.layout.operator("t2vz.one_frame", text="One Frame with Text2Video-Zero")


def _in_strip(menu: Any, _context: bpy.types.Context) -> None:
    menu.layout.separator()
    for name in ("load_settings", "regenerate", "reseed", "extend", "replace_frames", "compare"):
        menu.layout.operator(f"t2vz.{name}")


def _in_add(menu: Any, _context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.operator("t2vz.import_frames", text="Text2Video-Zero Frames")


ENTRIES = (
    ("TOPBAR_MT_render", _in_render),
    ("SEQUENCER_MT_strip", _in_strip),
    ("SEQUENCER_MT_add", _in_add),
)


def register() -> None:
    for name, draw in ENTRIES:
        getattr(bpy.types, name).append(draw)


def unregister() -> None:
    for name, draw in ENTRIES:
        getattr(bpy.types, name).remove(draw)
