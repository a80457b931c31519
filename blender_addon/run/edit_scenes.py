"""Where finished films go, and how they come into sight: a scene to edit in, or the artist's own
one, whose renders stay what they were."""

from __future__ import annotations

from typing import Any

import bpy

from . import strips

EDIT, HERE = "EDIT", "SCENE"
COPIED = (
    "resolution_x",
    "resolution_y",
    "resolution_percentage",
    "pixel_aspect_x",
    "pixel_aspect_y",
    "fps",
    "fps_base",
)
SEQUENCER = "SEQUENCE_EDITOR"


def target_of(scene: bpy.types.Scene, shown: bpy.types.Scene | None = None) -> bpy.types.Scene:
    """The scene whose Sequencer takes this scene's films; an edit scene is made where none is.

    `shown` is what the Sequencer shows in which the artist has pressed the button.
    """
    settings = scene.t2vz
    if shown is not None and shown != scene:
        return shown
    if settings.destination == HERE:
        return scene
    if settings.edit_scene is None or settings.edit_scene == scene:
        settings.edit_scene = _edit_scene(scene)
    return settings.edit_scene


def keep_render(scene: bpy.types.Scene) -> str:
    """Before the first strip comes: has a 3D scene go on rendering itself and not its Sequencer;
    says so."""
    if scene.camera is None:
        return ""
    if renders_sequencer(scene):
        return f"Renders of {scene.name} show its Sequencer, and with it this film."
    scene.render.use_sequencer = False
    return f"Renders of {scene.name} stay the 3D scene: Sequencer is off in its Post Processing."


def renders_sequencer(scene: bpy.types.Scene) -> bool:
    """F12 shows strips and not the 3D scene: there is one that is neither sound nor muted."""
    editor = scene.sequence_editor
    if not (scene.render.use_sequencer and editor):
        return False
    return any(strip.type != "SOUND" and not strip.mute for strip in strips.strips_of(scene))


def show(context: bpy.types.Context, scene: bpy.types.Scene, strip: Any) -> None:
    """Brings a strip before the artist's eyes: a Sequencer with its preview, at its first frame."""
    if not bpy.app.background:
        window, area = _sequencer(context)
        _turn(window, scene)
        area.spaces.active.view_type = "SEQUENCER_PREVIEW"
        _frame_all(window, area)
    for each in strips.strips_of(scene):
        each.select = each == strip
    scene.sequence_editor.active_strip = strip
    scene.frame_set(strips.span_of(strip)[0])


def _turn(window: bpy.types.Window, scene: bpy.types.Scene) -> None:
    """Has the window's Sequencers show this scene; up to 4.5 the whole window does."""
    if hasattr(window.workspace, "sequencer_scene"):
        window.workspace.sequencer_scene = scene
    elif window.scene != scene:
        window.scene = scene


def _edit_scene(scene: bpy.types.Scene) -> bpy.types.Scene:
    """A new scene of the same size and speed that shows strips in the colours of their files."""
    edit = bpy.data.scenes.new(f"{scene.name} Edit")
    for name in COPIED:
        setattr(edit.render, name, getattr(scene.render, name))
    edit.frame_start, edit.frame_end = scene.frame_start, scene.frame_end
    edit.view_settings.view_transform = "Standard"
    return edit


def _sequencer(context: bpy.types.Context) -> tuple[bpy.types.Window, bpy.types.Area]:
    """A Sequencer that is open; else one in a window of its own, as Blender does for renders."""
    manager = context.window_manager
    for window in manager.windows:
        for area in window.screen.areas:
            if area.type == SEQUENCER:
                return window, area
    has_scenes_apart = hasattr(context.workspace, "sequencer_scene")
    before = set(manager.windows)
    with context.temp_override(window=manager.windows[0]):
        bpy.ops.wm.window_new() if has_scenes_apart else bpy.ops.wm.window_new_main()
    window = next(window for window in manager.windows if window not in before)
    area = max(window.screen.areas, key=lambda area: area.width * area.height)
    area.type = SEQUENCER
    return window, area


def _frame_all(window: bpy.types.Window, area: bpy.types.Area) -> None:
    region = next((region for region in area.regions if region.type == "WINDOW"), None)
    if region is not None:
        with bpy.context.temp_override(window=window, area=area, region=region):
            if bpy.ops.sequencer.view_all.poll():
                bpy.ops.sequencer.view_all()
