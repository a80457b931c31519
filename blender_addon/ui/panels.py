"""The sidebar tab T2VZ in the 3D Viewport and in the Sequencer."""

from typing import Any

import bpy

from .. import preferences
from ..job.settings import INSTRUCT, TEXT
from ..run import edit_scenes, engine_setup, models, session, told
from . import object_words, rig_editor
from .drawing import SPACES, Section, draw_all, draw_list, draw_message, in_space

STEERING = ("model", "scale", "start", "end", "is_guess")


class Main:
    """What is asked for most, and what is going on."""

    bl_label = "Text2Video-Zero"

    def draw(self, context: bpy.types.Context) -> None:
        """Prompt, frames, Generate, and the state of things."""
        layout, settings = self.layout, context.scene.t2vz
        _draw_prompt(layout, settings)
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        _draw_mode(column, settings)
        row = column.row(align=True)
        row.prop(settings.model, "base", text="Model")
        row.operator("t2vz.choose_model", text="", icon="FILE_FOLDER")
        _draw_range(column, settings)
        _draw_seed(column, settings)
        layout.row(align=True).prop(settings, "quality", expand=True)
        layout.label(text=told.estimate(context.scene), icon="TIME")
        _draw_actions(layout)
        draw_message(layout, context, *reversed(told.now(context.scene)))
        _draw_result(layout)


def _draw_prompt(layout: Any, settings: Any) -> None:
    row = layout.row(align=True)
    if settings.prompt_text:
        row.prop(settings, "prompt_text", text="")
    else:
        row.prop(settings.prompt, "text", text="", placeholder="Prompt")
    row.popover("T2VZ_PT_words", text="", icon="TEXT")
    layout.prop(settings.prompt, "negative", text="", placeholder="Negative prompt")


def _draw_mode(column: Any, settings: Any) -> None:
    row = column.split(factor=0.4, align=True)
    label = row.row()
    label.alignment = "RIGHT"
    label.label(text="Mode")
    chosen = settings.bl_rna.properties["mode"].enum_items[settings.mode]
    row.menu("T2VZ_MT_modes", text=chosen.name)


class Modes(bpy.types.Menu):
    """What the shapes in the picture follow"""

    bl_idname = "T2VZ_MT_modes"
    bl_label = "Mode"

    def draw(self, context: bpy.types.Context) -> None:
        """All modes; those that the model cannot do are grey and say why."""
        settings = context.scene.t2vz
        for item in settings.bl_rna.properties["mode"].enum_items:
            reason = models.why_not(settings, item.identifier)
            row = self.layout.row()
            row.enabled = not reason
            text = f"{item.name} ({reason})" if reason else item.name
            row.prop_enum(settings, "mode", item.identifier, text=text)


def _draw_range(column: Any, settings: Any) -> None:
    scene = settings.id_data
    column.prop(
        settings, "uses_scene_range", text=f"Scene, {scene.frame_start} to {scene.frame_end}"
    )
    if not settings.uses_scene_range:
        draw_all(column.column(align=True), settings, "first", "last")


def _draw_seed(column: Any, settings: Any) -> None:
    row = column.row(align=True)
    row.prop(settings.sampling, "seed")
    row.operator("t2vz.new_seed", text="", icon="FILE_REFRESH")
    row.prop(settings, "is_seed_new", text="", icon="MOD_NOISE")
    if settings.seed_high:
        column.prop(settings, "seed_high")


def _draw_actions(layout: Any) -> None:
    """Generate is always there: pressed while another runs, it queues."""
    is_set_up = preferences.engine_python() is not None
    row = layout.row(align=True)
    row.scale_y = 1.4
    if is_set_up:
        row.operator("t2vz.generate", icon="RENDER_ANIMATION")
        row.operator("t2vz.one_frame", icon="RENDER_STILL")
        row.operator_menu_enum("t2vz.preview", "span", text="", icon="HIDE_OFF")
    else:
        row.operator("t2vz.set_up_engine", icon="IMPORT")
        shown = row.operator("preferences.addon_show", text="", icon="PREFERENCES")
        shown.module = preferences.__package__
    factor, text = told.progress()
    row = layout.row(align=True)
    row.progress(factor=factor, text=text)
    stop = "t2vz.cancel_set_up" if engine_setup.is_busy() else "t2vz.cancel"
    row.operator(stop, text="", icon="X")


def _draw_result(layout: Any) -> None:
    row = layout.row(align=True)
    row.operator("t2vz.show", icon="HIDE_OFF")
    unfinished = session.folder_to_resume(bpy.context.scene)
    resume = row.row(align=True)
    resume.enabled = bool(unfinished)
    resume.operator("t2vz.resume", icon="PLAY").directory = unfinished
    resume.operator("t2vz.retry", text="", icon="FILE_REFRESH")
    row.operator("t2vz.open_folder", text="", icon="FILE_FOLDER")


class Words(bpy.types.Panel):
    """What is said besides the prompt's one line."""

    bl_idname = "T2VZ_PT_words"
    bl_label = "Prompt"
    bl_space_type = "VIEW_3D"
    bl_region_type = "WINDOW"
    bl_options = {"INSTANCED"}  # noqa: RUF012 - Blender's own convention
    bl_ui_units_x = 20

    def draw(self, context: bpy.types.Context) -> None:
        """Text, style, keys."""
        layout, settings = self.layout, context.scene.t2vz
        layout.prop(settings, "prompt_text", text="From Text")
        layout.operator("t2vz.prompt_as_text", icon="TEXT")
        row = layout.row(align=True)
        row.prop(settings, "style", placeholder="Style, as watercolour")
        row.menu("T2VZ_MT_styles", text="", icon="PRESET")
        draw_list(layout, settings, "prompt.keys", "Prompt Key", ("number", "text"))
        draw_all(layout, settings.prompt, "syntax", "clip_skip")


class Shapes(Section):
    """How strongly the scene's shapes steer."""

    bl_label = "ControlNet"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Modes that have them."""
        return context.scene.t2vz.mode != TEXT

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """The mode's own ControlNet, and further ones."""
        if settings.mode == INSTRUCT:
            layout.prop(settings.sampling, "image_guidance")
        else:
            draw_all(layout, settings.control, *STEERING)
        if settings.mode == "depth":
            draw_all(layout, settings.shot, "near", "far")
        if "pose" in (settings.mode, *(extra.kind for extra in settings.controls)):
            layout.prop(settings, "has_hands")
        layout.prop(settings, "rendered")
        draw_list(layout, settings, "controls", "Further ControlNet", ("kind", *STEERING))


class ObjectWords(Section):
    """Words of their own for objects and collections."""

    bl_label = "Words for Objects"

    def draw_fields(self, layout: Any, _settings: Any) -> None:
        """The active object's, and all others that have some."""
        object_words.draw_list(layout, bpy.context)


def _draw_references(layout: Any, settings: Any) -> None:
    """The pictures that the frames are to look like."""
    fields = ("picture", "adapter", "encoder", "scale", "start", "end")
    draw_list(layout, settings, "references", "Reference", fields)


def _draw_start(layout: Any, settings: Any) -> None:
    """What frames start from, and how much of it is made anew."""
    layout.prop(settings.start, "source", text="Start From")
    if settings.start.source == "picture":
        row = layout.row()
        row.use_property_decorate = True  # it can be keyed
        row.prop(settings.start, "strength")
        layout.prop(settings, "rendered")


class Joints(Section):
    """Which bone of the active armature is which joint."""

    bl_label = "Joints"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Where poses steer and an armature is active."""
        settings = context.scene.t2vz
        has_pose = "pose" in (settings.mode, *(extra.kind for extra in settings.controls))
        return has_pose and rig_editor.armature_of(context) is not None

    def draw_fields(self, layout: Any, _settings: Any) -> None:
        """The joints and their bones."""
        rig_editor.draw(layout, rig_editor.armature_of(bpy.context))


class Motion(Section):
    """What moves the picture."""

    bl_label = "Motion"

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """The source, and what it needs."""
        layout.prop(settings, "motion_source", text="Source")
        if settings.motion_source in ("object", "own", "both"):
            layout.prop(settings, "motion_object")
            chosen = settings.motion_object
            if chosen and chosen.type == "ARMATURE":
                layout.prop_search(settings, "motion_bone", chosen.pose, "bones")
        if settings.motion_source == "strength":
            row = layout.row()
            row.use_property_decorate = True  # it can be keyed
            row.prop(settings.motion, "strength")
        if settings.motion_source == "vectors":
            layout.prop(settings, "rendered")
        layout.prop(settings, "every")


class Picture(Section):
    """How large, how many, and where they go."""

    bl_label = "Picture and Output"

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """Size, takes, places."""
        layout.prop(settings, "follows_render")
        if settings.follows_render:
            layout.prop(settings, "side_shown_px")
        else:
            draw_all(layout, settings.shot, "width_px", "height_px")
        _draw_start(layout, settings)
        _draw_references(layout, settings)
        layout.prop(settings, "takes")
        layout.prop(settings, "destination")
        if settings.destination == edit_scenes.EDIT:
            layout.prop(settings, "edit_scene")
        layout.prop(settings, "output", placeholder=preferences.output_said())


class Advanced(Section):
    """What is seldom touched, and jobs of other days."""

    bl_label = "Advanced"

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """Adapters, the levels of the method."""
        draw_list(layout, settings, "model.loras", "LoRA", ("path", "weight"))
        draw_list(layout, settings, "model.inversions", "Textual Inversion", ("path", "word"))
        draw_all(layout, settings.model, "precision", "allow_network", "allow_pickle")
        draw_all(layout, settings.motion, "level_from", "level_to", "is_faithful")
        layout.prop(settings, "has_flow")
        row = layout.row(align=True)
        row.operator("t2vz.resume", text="Resume Job")
        row.operator("t2vz.import_frames")
        row = layout.row(align=True)
        row.operator("t2vz.save_settings", icon="EXPORT")
        row.operator("t2vz.open_settings", icon="IMPORT")
        layout.operator_menu_enum("t2vz.send_to_farm", "engine", icon="NETWORK_DRIVE")


class Sampling(Section):
    """How the noise is taken away."""

    bl_label = "Sampling"

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """What Quality sets, by hand."""
        draw_all(layout, settings.sampling, "steps", "guidance", "scheduler")
        draw_all(layout, settings.sampling, "guidance_from", "guidance_to", "deep_every")
        draw_all(layout, settings.sampling, "spacing")
        layout.prop(settings.coherence, "paint_every")
        layout.prop(settings, "follows_model")


class Coherence(Section):
    """What ties the frames together."""

    bl_label = "Coherence"

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """Attention, background, fusion."""
        tied = settings.coherence
        draw_all(layout, tied, "attention", "anchor_every", "anchor_weight", "fusion")
        layout.prop(tied, "fusion_disturbed", text="Near Motion")
        layout.prop(tied, "smoothing")
        if tied.smoothing:
            layout.prop(settings, "foreground")
            draw_all(layout, tied, "smoothing_until", "keeps_variance")


BELOW_ADVANCED = (Sampling, Coherence)
SECTIONS = (Main, Shapes, ObjectWords, Joints, Motion, Picture, Advanced, *BELOW_ADVANCED)
PARENTS = {Main: ""} | dict.fromkeys(BELOW_ADVANCED, "advanced")
PANELS = tuple(
    in_space(section, space, PARENTS.get(section, "main"))
    for space in SPACES
    for section in SECTIONS
)
CLASSES = (Words, Modes, *PANELS)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
