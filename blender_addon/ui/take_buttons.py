"""Buttons on takes and on the queue."""

import shutil
from pathlib import Path

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from t2vz_core.wire.job import read_job

from ..run import compare, edit_scenes, session, strips, takes, waiting
from .operators import target_of


class _OnTake:
    """With `directory`, or on the take that is meant: the active strip's, else the last one's."""

    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own convention

    directory: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is a take, or buttons that name one."""
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Does it; what goes wrong is a sentence in the panel."""
        shown = takes.take_shown(context)
        try:
            if not self.directory and shown is None:
                raise ValueError("Select a film's strip in the Sequencer first.")
            self.act(context, Path(self.directory) if self.directory else shown.folder)
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        return {"FINISHED"}


class T2VZ_OT_load_settings(_OnTake, bpy.types.Operator):
    """Put this take's settings into the panel: the next shot gets its look"""

    bl_idname = "t2vz.load_settings"
    bl_label = "Load Settings"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    def act(self, context: bpy.types.Context, folder: Path) -> None:
        """Names what is not in this file."""
        if unknown := takes.load_settings(folder, context.scene):
            self.report({"WARNING"}, f"Not here, and left out: {', '.join(unknown)}")


class T2VZ_OT_regenerate(_OnTake, bpy.types.Operator):
    """Make this take's frames with its settings anew, of the scene as it is now"""

    bl_idname = "t2vz.regenerate"
    bl_label = "Regenerate"

    def act(self, context: bpy.types.Context, folder: Path) -> None:
        """Captures again."""
        takes.regenerate(folder, context.scene, target_of(context))


class T2VZ_OT_reseed(_OnTake, bpy.types.Operator):
    """Make this take once more, as it was captured, with another seed"""

    bl_idname = "t2vz.reseed"
    bl_label = "New Seed"

    def act(self, context: bpy.types.Context, folder: Path) -> None:
        """Captures nothing."""
        takes.again_with_new_seed(folder, context.scene, target_of(context))


class T2VZ_OT_extend(_OnTake, bpy.types.Operator):
    """Make this take longer; the frames that are done are taken over"""

    bl_idname = "t2vz.extend"
    bl_label = "Extend"

    frames: IntProperty(name="Frames", description="So many more", default=8, min=1, max=10000)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Asks how many."""
        return context.window_manager.invoke_props_dialog(self)

    def act(self, context: bpy.types.Context, folder: Path) -> None:
        """Captures all, paints those that are new."""
        takes.extend(folder, self.frames, context.scene, target_of(context))


class T2VZ_OT_replace_frames(_OnTake, bpy.types.Operator):
    """Make some frames of this take anew with the panel's settings; the others are taken over"""

    bl_idname = "t2vz.replace_frames"
    bl_label = "Replace Frames"

    first: IntProperty(name="First")
    last: IntProperty(name="Last")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Asks which."""
        self.first = self.last = context.scene.frame_current
        return context.window_manager.invoke_props_dialog(self)

    def act(self, context: bpy.types.Context, folder: Path) -> None:
        """Into a take of its own: nothing is overwritten."""
        where = (context.scene, target_of(context))
        takes.replace_frames(folder, self.first, self.last, *where)


class T2VZ_OT_add_take(_OnTake, bpy.types.Operator):
    """Put this take into the Sequencer and show it"""

    bl_idname = "t2vz.add_take"
    bl_label = "Show"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    def act(self, context: bpy.types.Context, folder: Path) -> None:
        """Its strip where it has one, else a new one."""
        scene = target_of(context)
        edit_scenes.keep_render(scene)
        strip = strips.import_job(scene, folder, read_job(folder), is_once=True)
        edit_scenes.show(context, scene, strip)


class T2VZ_OT_delete_take(_OnTake, bpy.types.Operator):
    """Delete this take's folder from disk: its frames and all that was captured"""

    bl_idname = "t2vz.delete_take"
    bl_label = "Delete from Disk"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Asks."""
        words = "Its frames are gone for good, and strips of it show nothing."
        return context.window_manager.invoke_confirm(
            self, event, title="Delete from Disk?", message=words, confirm_text="Delete"
        )

    def act(self, context: bpy.types.Context, folder: Path) -> None:
        """Not while it is being made."""
        if any(task.generation.folder == folder for task in session.tasks_under_way()):
            raise ValueError("This take is being made: cancel it first.")
        shutil.rmtree(folder)


class T2VZ_OT_compare(_OnTake, bpy.types.Operator):
    """Show this take beside the one below it in the Sequencer: the split runs down the middle;
    press again to end"""

    bl_idname = "t2vz.compare"
    bl_label = "Compare"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    def act(self, context: bpy.types.Context, folder: Path) -> None:
        """Splits, or ends it."""
        compare.toggle(target_of(context), folder)


class T2VZ_OT_to_edit_scene(_OnTake, bpy.types.Operator):
    """Move this film into an edit scene, which shows the colours of its files"""

    bl_idname = "t2vz.to_edit_scene"
    bl_label = "Move to Edit Scene"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    def act(self, context: bpy.types.Context, folder: Path) -> None:
        """Takes the strip away here and adds it there."""
        scene = context.scene
        scene.t2vz.destination = edit_scenes.EDIT
        target = edit_scenes.target_of(scene)
        strip = strips.import_job(target, folder, read_job(folder), is_once=True)
        old = strips.strip_of_job(scene, folder)
        if old is not None:
            strips.strips_of(scene).remove(old)
        edit_scenes.show(context, target, strip)


class T2VZ_OT_queue(bpy.types.Operator):
    """Change the order of what waits, or take something out"""

    bl_idname = "t2vz.queue"
    bl_label = "Queue"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender's own convention

    index: IntProperty()
    action: EnumProperty(items=[(name, name.title(), "") for name in ("UP", "DOWN", "CANCEL")])

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Does it, if it still waits there."""
        waiting.reorder(self.index, self.action)
        return {"FINISHED"}


class T2VZ_OT_pause(bpy.types.Operator):
    """Let what is being made end, and begin nothing new until the queue goes on"""

    bl_idname = "t2vz.pause"
    bl_label = "Pause Queue"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Pauses, or goes on."""
        waiting.go_on() if session.now.is_paused else waiting.pause()
        return {"FINISHED"}


class T2VZ_OT_go_on(bpy.types.Operator):
    """Go on with the films that were not finished when Blender was closed"""

    bl_idname = "t2vz.go_on"
    bl_label = "Go On"

    is_forgotten: bpy.props.BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Queues them all; or forgets them, which leaves their folders."""
        try:
            waiting.take_left_over(None if self.is_forgotten else target_of(context))
        except (OSError, ValueError) as error:
            return session.refuse(self, error)
        return {"FINISHED"}


CLASSES = (
    T2VZ_OT_load_settings,
    T2VZ_OT_regenerate,
    T2VZ_OT_reseed,
    T2VZ_OT_extend,
    T2VZ_OT_replace_frames,
    T2VZ_OT_add_take,
    T2VZ_OT_delete_take,
    T2VZ_OT_compare,
    T2VZ_OT_to_edit_scene,
    T2VZ_OT_queue,
    T2VZ_OT_pause,
    T2VZ_OT_go_on,
)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
