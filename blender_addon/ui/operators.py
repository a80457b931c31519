"""Buttons: each fetches, calls and reports."""

import os
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from t2vz_core.wire import presets
from t2vz_core.wire.job import job_folder, read_job

from .. import preferences
from ..run import (
    command_line,
    edit_scenes,
    one_frame,
    preview,
    scene_job,
    session,
    strips,
    takes,
    told,
)
from . import drawing

LONG_S = 60.0  # a run that has painted for so long is not ended by a slip of the finger


class _WhenIdle:
    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only one generation at a time."""
        return not session.now.is_busy


def _choose_job(operator: bpy.types.Operator, context: bpy.types.Context) -> set[str]:
    """Opens Blender's file browser where this scene's jobs are."""
    operator.directory = str(preferences.jobs_home(context.scene.t2vz.output)) + os.sep
    context.window_manager.fileselect_add(operator)
    return {"RUNNING_MODAL"}


def _chosen_job(operator: bpy.types.Operator) -> Path:
    return job_folder(Path(bpy.path.abspath(operator.directory)))


class T2VZ_OT_generate(bpy.types.Operator):
    """Capture the frame range and make a styled video of it; while another is made, queue it"""

    bl_idname = "t2vz.generate"
    bl_label = "Generate"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Asks before a long run."""
        if warning := told.warning(context.scene):
            manager, words = context.window_manager, {"title": "A Long Run", "icon": "WARNING"}
            return manager.invoke_confirm(self, event, message=warning, **words)
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Begins, and leaves the rest to the timer; in background mode, where none runs, goes on to
        the end."""
        scene = context.scene
        try:
            if bpy.app.background:
                generation = scene_job.generation_of(scene, session.engine())
                done = command_line.carry_out(generation, scene) == command_line.DONE
                return {"FINISHED"} if done else {"CANCELLED"}
            takes.generate(scene, target_of(context))
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        return {"FINISHED"}


def target_of(context: bpy.types.Context) -> bpy.types.Scene:
    """Where the film goes; from the Sequencer, into the scene that it shows."""
    is_there = context.area is not None and context.area.type == edit_scenes.SEQUENCER
    shown = getattr(context, "sequencer_scene", None) if is_there else None
    return edit_scenes.target_of(context.scene, shown)


class T2VZ_OT_one_frame(bpy.types.Operator):
    """Paint the current frame with all settings, and show it beside the viewport's picture"""

    bl_idname = "t2vz.one_frame"
    bl_label = "One Frame"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Captures, and has the engine paint."""
        scene = context.scene
        try:
            generation = scene_job.one_frame_of(scene, session.engine())
            session.begin(generation, scene, one_frame.concluding(context, scene))
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        return {"FINISHED"}


class T2VZ_OT_preview(_WhenIdle, bpy.types.Operator):
    """Show what will steer the frames, before any is made"""

    bl_idname = "t2vz.preview"
    bl_label = "Preview Conditions"

    span: EnumProperty(
        name="Span",
        items=(
            (
                "FRAME",
                "This Frame",
                "The current frame, and its motion since the first, in the Image Editor",
            ),
            ("SHOT", "Whole Range", "Every frame of the range, as strips in the sequencer"),
        ),
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Captures, and has the engine draw."""
        scene, is_shot = context.scene, self.span == "SHOT"
        try:
            numbers = scene.t2vz.frame_numbers()
            if not is_shot:
                numbers = sorted({min(numbers[0], scene.frame_current), scene.frame_current})
            generation = scene_job.preview_of(scene, session.engine(), numbers)
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        conclude, target = preview.show_frame, scene
        if is_shot:
            conclude, target = preview.add_strips, target_of(context)
        session.begin(generation, scene, conclude, target)
        return {"FINISHED"}


class T2VZ_OT_preset(bpy.types.Operator):
    """Choose solver, steps and shortcuts in one go"""

    bl_idname = "t2vz.preset"
    bl_label = "Preset"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    preset: EnumProperty(name="Preset", items=[(name, name, "") for name in presets.PRESETS])

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Puts its settings into the scene's."""
        context.scene.t2vz.quality = self.preset
        return {"FINISHED"}


class T2VZ_OT_new_seed(bpy.types.Operator):
    """Throw the dice for another seed"""

    bl_idname = "t2vz.new_seed"
    bl_label = "New Seed"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Puts it into the scene's settings."""
        takes.throw_dice(context.scene.t2vz)
        return {"FINISHED"}


class T2VZ_OT_resume(_WhenIdle, bpy.types.Operator):
    """Make the frames that are still missing of a job, with the settings it was made with"""

    bl_idname = "t2vz.resume"
    bl_label = "Resume"

    directory: StringProperty(
        name="Job",
        description="The job's folder; empty: the last one's",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Lets the artist choose the job's folder where the button does not name it."""
        return self.execute(context) if self.directory else _choose_job(self, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Takes the job up again."""
        last = session.folder_to_resume(context.scene)
        folder = _chosen_job(self) if self.directory else Path(bpy.path.abspath(last))
        try:
            generation = session.resumed(folder, session.engine())
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        session.begin(generation, context.scene, target=target_of(context))
        return {"FINISHED"}


class T2VZ_OT_retry(_WhenIdle, bpy.types.Operator):
    """Paint what was captured for the last job with the settings as they are now"""

    bl_idname = "t2vz.retry"
    bl_label = "Retry"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Begins a job of the same frames."""
        if not session.now.can_resume:
            return session.refuse(self, ValueError("There is no job to try again: generate one."))
        try:
            last = session.now.generation
            generation = scene_job.retried(context.scene, session.engine(), last)
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        session.begin(generation, context.scene, target=target_of(context))
        return {"FINISHED"}


class T2VZ_OT_cancel(bpy.types.Operator):
    """Stop generating; frames already done are kept"""

    bl_idname = "t2vz.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While there is something to stop; at other times Esc means what it always means."""
        return session.now.is_busy

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Leaves Esc to playback or a render, which it ends first; Blender's own Esc has ended
        playback by now. Asks where much would have to be painted again."""
        if event.type == "ESC" and session.now.scene_user:
            return {"PASS_THROUGH"}
        if session.now.generation.painting_s > LONG_S:
            manager, words = context.window_manager, "Frames already done are kept."
            title = "Stop Generating?"
            return manager.invoke_confirm(
                self, event, title=title, message=words, confirm_text="Stop"
            )
        return self.execute(context)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Asks for it; the end is shown when it has come."""
        session.cancel(session.now.task)
        return {"FINISHED"}


class T2VZ_OT_import_frames(bpy.types.Operator):
    """Put the finished frames of a job into the sequencer as one strip"""

    bl_idname = "t2vz.import_frames"
    bl_label = "Import Frames"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    directory: StringProperty(
        name="Job", description="The job's folder", subtype="DIR_PATH", options={"SKIP_SAVE"}
    )
    scene: StringProperty(
        name="Scene",
        description="Whose sequencer; empty: the one shown",
        options={"HIDDEN", "SKIP_SAVE"},
    )
    is_once: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Lets the artist choose the job's folder where the button does not name it."""
        return self.execute(context) if self.directory else _choose_job(self, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Adds the strip."""
        scene = bpy.data.scenes.get(self.scene) or target_of(context)
        folder = _chosen_job(self)
        try:
            edit_scenes.keep_render(scene)
            strips.import_job(scene, folder, read_job(folder), self.is_once)
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        return {"FINISHED"}


class T2VZ_OT_show(bpy.types.Operator):
    """Show the film in a Sequencer, at its first frame"""

    bl_idname = "t2vz.show"
    bl_label = "Show"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Once the last film has a strip."""
        return session.strip_of_last() is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Opens a Sequencer where none is open."""
        edit_scenes.show(context, *session.strip_of_last())
        return {"FINISHED"}


class T2VZ_OT_open_folder(bpy.types.Operator):
    """Show the folder of the last job"""

    bl_idname = "t2vz.open_folder"
    bl_label = "Open Folder"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Once there is one."""
        generation = session.now.generation
        return generation is not None and generation.folder.exists()

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Opens the system's file browser."""
        bpy.ops.wm.path_open(filepath=str(session.now.generation.folder))
        return {"FINISHED"}


class T2VZ_OT_read(bpy.types.Operator):
    """Read the whole message"""

    bl_idname = "t2vz.read"
    bl_label = "Read"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender's own convention

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Opens it beside the mouse."""
        return context.window_manager.invoke_popup(self, width=drawing.READ_WIDTH)

    def draw(self, context: bpy.types.Context) -> None:
        """All its lines."""
        width_px = drawing.READ_WIDTH * context.preferences.system.ui_scale * 0.9
        for line in drawing.lines_of(told.now(context.scene)[1], width_px):
            self.layout.label(text=line)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """There is nothing to do."""
        return {"FINISHED"}


CLASSES = (
    T2VZ_OT_generate,
    T2VZ_OT_one_frame,
    T2VZ_OT_preview,
    T2VZ_OT_preset,
    T2VZ_OT_new_seed,
    T2VZ_OT_resume,
    T2VZ_OT_retry,
    T2VZ_OT_cancel,
    T2VZ_OT_import_frames,
    T2VZ_OT_show,
    T2VZ_OT_open_folder,
    T2VZ_OT_read,
)
_keys: list[tuple[bpy.types.KeyMap, bpy.types.KeyMapItem]] = []


def register() -> None:
    for kind in CLASSES:
        bpy.utils.register_class(kind)
    shortcuts = bpy.context.window_manager.keyconfigs.addon
    if shortcuts:  # there is none in background mode
        keymap = shortcuts.keymaps.new("Window", space_type="EMPTY")
        _keys.append((keymap, keymap.keymap_items.new(T2VZ_OT_cancel.bl_idname, "ESC", "PRESS")))


def unregister() -> None:
    while _keys:
        keymap, item = _keys.pop()
        keymap.keymap_items.remove(item)
    for kind in reversed(CLASSES):
        bpy.utils.unregister_class(kind)
