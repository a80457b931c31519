"""Buttons: each fetches, calls and reports."""

import os
from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from t2vz_core.wire import presets
from t2vz_core.wire.job import job_folder, read_job

from .. import preferences
from ..run import command_line, preview, scene_job, session, strips


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


class T2VZ_OT_generate(_WhenIdle, bpy.types.Operator):
    """Capture the frame range and make a styled video of it"""

    bl_idname = "t2vz.generate"
    bl_label = "Generate"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Begins, and leaves the rest to the timer; in background mode, where none runs, goes on to
        the end."""
        try:
            generation = scene_job.generation_of(context.scene, session.engine())
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        if not bpy.app.background:
            session.begin(generation, context.scene)
            return {"FINISHED"}
        return (
            {"FINISHED"}
            if command_line.carry_out(generation, context.scene) == command_line.DONE
            else {"CANCELLED"}
        )


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
        session.begin(generation, scene, preview.add_strips if is_shot else preview.show_frame)
        return {"FINISHED"}


class T2VZ_OT_preset(bpy.types.Operator):
    """Choose solver, steps and shortcuts in one go"""

    bl_idname = "t2vz.preset"
    bl_label = "Preset"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    preset: EnumProperty(
        name="Preset",
        items=(
            (presets.PUBLISHED, "Published", "As in the paper: DDIM, 50 steps"),
            (
                presets.FAST,
                "Fast",
                "DPM++ 2M, 14 steps, guidance in the first 60 %, deep features every other step",
            ),
        ),
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Puts its settings into the scene's."""
        presets.follow(context.scene.t2vz.sampling, self.preset)
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
        is_last = session.now.can_resume and not self.directory
        try:
            folder = session.now.generation.folder if is_last else _chosen_job(self)
            generation = session.resumed(folder, session.engine())
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        session.begin(generation, context.scene)
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
        session.begin(generation, context.scene)
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
        playback by now."""
        if event.type == "ESC" and session.now.scene_user:
            return {"PASS_THROUGH"}
        return self.execute(context)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Asks for it; the end is shown when it has come."""
        session.now.generation.cancel()
        session.redraw()
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

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Lets the artist choose the job's folder where the button does not name it."""
        return self.execute(context) if self.directory else _choose_job(self, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Adds the strip."""
        shown = getattr(context, "sequencer_scene", None) or context.scene
        scene = bpy.data.scenes.get(self.scene, shown)
        folder = _chosen_job(self)
        try:
            strips.import_job(scene, folder, read_job(folder))
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        return {"FINISHED"}


class T2VZ_OT_open_folder(bpy.types.Operator):
    """Show the folder of the last job"""

    bl_idname = "t2vz.open_folder"
    bl_label = "Open Folder"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Once there is one."""
        return session.now.generation is not None

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Opens the system's file browser."""
        bpy.ops.wm.path_open(filepath=str(session.now.generation.folder))
        return {"FINISHED"}


CLASSES = (
    T2VZ_OT_generate,
    T2VZ_OT_preview,
    T2VZ_OT_preset,
    T2VZ_OT_resume,
    T2VZ_OT_retry,
    T2VZ_OT_cancel,
    T2VZ_OT_import_frames,
    T2VZ_OT_open_folder,
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
