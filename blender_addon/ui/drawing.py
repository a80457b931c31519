"""What all panels draw with: fields, lists, sentences in lines that fit."""

from __future__ import annotations

import textwrap
from typing import Any

import blf
import bpy

TAB = "T2VZ"
SPACES = ("VIEW_3D", "SEQUENCE_EDITOR")
BESIDE_WORDS_PX = 96  # tabs, margins and icon, at Blender's usual scale
FEWEST_LETTERS = 12
MESSAGE_LINES = 4  # so many are always there: nothing moves while messages come and go
READ_WIDTH = 420


class Section:
    """A closed panel below the main one; `draw_fields` draws the scene's settings."""

    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own convention

    def draw(self, context: bpy.types.Context) -> None:
        """The section's fields, split into names and values."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        self.draw_fields(self.layout, context.scene.t2vz)


def draw_all(layout: Any, group: Any, *names: str) -> None:
    """These fields, one below the other."""
    for name in names:
        layout.prop(group, name)


def draw_list(layout: Any, settings: Any, place: str, title: str, names: tuple[str, ...]) -> None:
    """A list that grows and shrinks, a box for each line."""
    for index, item in enumerate(settings.path_resolve(place)):
        box = layout.box()
        row = box.row()
        row.label(text=f"{title} {index + 1}")
        gone = row.operator("t2vz.remove", text="", icon="X", emboss=False)
        gone.place, gone.index = place, index
        draw_all(box, item, *names)
    layout.operator("t2vz.add", text=title, icon="ADD").place = place


def draw_message(layout: Any, context: bpy.types.Context, text: str, icon: str) -> None:
    """A sentence in a box of always the same height; what does not fit is read by its button."""
    scale = context.preferences.system.ui_scale
    blf.size(0, context.preferences.ui_styles[0].widget.points * scale)
    lines = lines_of(text, context.region.width - BESIDE_WORDS_PX * scale) if text.strip() else []
    box = layout.box().column(align=True)
    box.alert = icon == "ERROR"
    box.scale_y = 0.8
    for i in range(MESSAGE_LINES):
        line = lines[i] if i < len(lines) else ""
        is_cut = i == MESSAGE_LINES - 1 and len(lines) > MESSAGE_LINES
        row = box.row(align=True)
        row.label(text=f"{line} …" if is_cut else line, icon=icon if i == 0 and line else "BLANK1")
        if is_cut:
            row.operator("t2vz.read", text="", icon="ZOOM_IN", emboss=False)


def lines_of(text: str, width_px: float) -> list[str]:
    """The text in lines no wider than this, as letters are in Blender's font; narrow places get a
    few at least."""
    letters = len(text)
    while True:
        lines = textwrap.wrap(text, letters)
        wide_px, longest = max((blf.dimensions(0, line)[0], len(line)) for line in lines)
        if wide_px <= width_px or letters == FEWEST_LETTERS:
            return lines
        letters = max(FEWEST_LETTERS, min(letters - 1, int(longest * width_px / wide_px)))


def in_space(section: type, space: str, parent: str = "main") -> type:
    """The section as a panel of this editor's sidebar, below another section's panel."""
    place = {"bl_space_type": space, "bl_region_type": "UI", "bl_category": TAB}
    stem = f"T2VZ_PT_{space.lower()}"
    name = f"{stem}_{section.__name__.lower()}"
    above = {"bl_parent_id": f"{stem}_{parent}"} if parent else {}
    return type(name, (section, bpy.types.Panel), {"bl_idname": name, **place, **above})
