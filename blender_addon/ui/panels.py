"""The sidebar tab T2VZ in the 3D Viewport and in the Sequencer."""

import textwrap
from typing import Any

import blf
import bpy

from t2vz_core.wire import presets

from .. import preferences
from ..job.generation import CANCELLED, capital, count
from ..job.settings import INSTRUCT, TEXT
from ..run import session, unfinished
from . import object_words, rig_editor

TAB = "T2VZ"
SPACES = ("VIEW_3D", "SEQUENCE_EDITOR")
BESIDE_WORDS_PX = 96  # tabs, margins and icon, at Blender's usual scale
FEWEST_LETTERS = 12
MOST_NOTES = 5
STEERING = ("model", "scale", "start", "end", "is_guess")


class Main:
    """What is asked for most, and what is going on."""

    bl_label = "Text2Video-Zero"

    def draw(self, context: bpy.types.Context) -> None:
        """Prompt, frames, Generate, and the state of things."""
        layout, settings = self.layout, context.scene.t2vz
        layout.prop(settings.prompt, "text", text="", placeholder="Prompt")
        layout.prop(settings.prompt, "negative", text="", placeholder="Negative prompt")
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(settings, "mode")
        column.prop(settings.model, "base", text="Model")
        column.prop(settings.sampling, "seed")
        if settings.seed_high:
            column.prop(settings, "seed_high")
        _draw_range(column, settings)
        _draw_action(layout, context)


def _draw_range(column: Any, settings: Any) -> None:
    scene = settings.id_data
    column.prop(
        settings, "uses_scene_range", text=f"Scene, {scene.frame_start} to {scene.frame_end}"
    )
    if not settings.uses_scene_range:
        _draw_all(column.column(align=True), settings, "first", "last")


def _draw_action(layout: Any, context: bpy.types.Context) -> None:
    generation = session.now.generation
    if session.now.is_busy:
        waits = session.now.waits_for
        layout.label(text=f"Waiting for {waits} to end" if waits else capital(generation.stage))
        row = layout.row(align=True)
        row.progress(factor=generation.done / max(generation.total, 1), text=count(generation))
        row.operator("t2vz.cancel", text="", icon="X")
    else:
        row = layout.row(align=True)
        row.scale_y = 1.4
        row.operator("t2vz.generate", icon="RENDER_ANIMATION")
        row.operator_menu_enum("t2vz.preview", "span", text="", icon="HIDE_OFF")
    _draw_error(layout, context)
    if generation is None:
        _draw_unfinished(layout, context)
        return
    for note in session.now.notes[-MOST_NOTES:]:
        _draw_words(layout, context, note, "INFO")
    if not session.now.is_busy:
        _draw_ended(layout, generation)


def _draw_error(layout: Any, context: bpy.types.Context) -> None:
    """The last sentence, red as long as nothing of what it was about has been changed."""
    if not session.is_outdated(context.scene):
        _draw_words(layout, context, session.now.error, "ERROR")
    elif session.now.error and not session.now.refusal:
        _draw_words(layout, context, f"The last run: {session.now.error}", "INFO")


def _draw_unfinished(layout: Any, context: bpy.types.Context) -> None:
    folder = unfinished.job_of(context.scene)
    if folder is None:
        return
    _draw_words(layout, context, f"Not finished when Blender was closed: {folder.name}", "INFO")
    row = layout.row(align=True)
    row.operator("t2vz.resume").directory = str(folder)
    row.operator("t2vz.import_frames").directory = str(folder)


def _draw_ended(layout: Any, generation: Any) -> None:
    if generation.end == CANCELLED and not session.now.refusal:
        kept = f"; finished frames kept: {generation.frames_done}" if generation.frames_done else ""
        layout.label(text=f"Cancelled{kept}", icon="INFO")
    if not generation.folder.exists():
        return
    row = layout.row(align=True)
    if session.now.can_resume:
        row.operator("t2vz.retry")
        row.operator("t2vz.resume").directory = str(generation.folder)
    row.operator("t2vz.open_folder")


def _draw_words(layout: Any, context: bpy.types.Context, text: str, icon: str) -> None:
    """A sentence in as many lines as the sidebar needs."""
    if not text.strip():
        return
    scale = context.preferences.system.ui_scale
    blf.size(0, context.preferences.ui_styles[0].widget.points * scale)
    box = layout.box().column(align=True)
    box.alert = icon == "ERROR"
    box.scale_y = 0.8
    for i, line in enumerate(_lines(text, context.region.width - BESIDE_WORDS_PX * scale)):
        box.label(text=line, icon=icon if i == 0 else "BLANK1")


def _lines(text: str, width_px: float) -> list[str]:
    """The text in lines no wider than this, as letters are in Blender's font; narrow places get a
    few at least."""
    letters = len(text)
    while True:
        lines = textwrap.wrap(text, letters)
        wide_px, longest = max((blf.dimensions(0, line)[0], len(line)) for line in lines)
        if wide_px <= width_px or letters == FEWEST_LETTERS:
            return lines
        letters = max(FEWEST_LETTERS, min(letters - 1, int(longest * width_px / wide_px)))


class _Section:
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own convention

    def draw(self, context: bpy.types.Context) -> None:
        """The section's fields, split into names and values."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        self.draw_fields(self.layout, context.scene.t2vz)


class Shapes(_Section):
    """How strongly the scene's shapes steer."""

    bl_label = "Shapes"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Modes that have them."""
        return context.scene.t2vz.mode != TEXT

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """The mode's own control, and further ones."""
        if settings.mode == INSTRUCT:
            layout.prop(settings.sampling, "image_guidance")
        else:
            _draw_all(layout, settings.control, *STEERING)
        if settings.mode == "depth":
            _draw_all(layout, settings.shot, "near", "far")
        if "pose" in (settings.mode, *(extra.kind for extra in settings.controls)):
            layout.prop(settings, "has_hands")
        layout.prop(settings, "rendered")
        _draw_list(layout, settings, "controls", "Further Control", ("kind", *STEERING))


class ObjectWords(_Section):
    """Words of their own for objects and collections."""

    bl_label = "Words for Objects"

    def draw_fields(self, layout: Any, _settings: Any) -> None:
        """The active object's, and all others that have some."""
        object_words.draw_list(layout, bpy.context)


def _draw_start(layout: Any, settings: Any) -> None:
    """What frames start from, and how much of it is made anew."""
    layout.prop(settings.start, "source", text="Start From")
    if settings.start.source == "picture":
        row = layout.row()
        row.use_property_decorate = True  # it can be keyed
        row.prop(settings.start, "strength")
        layout.prop(settings, "rendered")


class Joints(_Section):
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


class Motion(_Section):
    """What moves the picture."""

    bl_label = "Motion"

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """The source, and what it needs."""
        layout.prop(settings, "motion_source", text="Source")
        if settings.motion_source in ("object", "both"):
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
        _draw_all(layout, settings, "every", "has_flow")


class Picture(_Section):
    """How large, and how it is denoised."""

    bl_label = "Picture"

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """Size and sampling."""
        layout.prop(settings, "follows_render")
        if settings.follows_render:
            layout.prop(settings, "side_px")
        else:
            _draw_all(layout, settings.shot, "width_px", "height_px")
        followed = presets.preset_of(settings.sampling)
        row = layout.row(heading="Preset")
        row.operator_menu_enum(
            "t2vz.preset", "preset", text=followed.capitalize() if followed else "Own"
        )
        _draw_all(layout, settings.sampling, "steps", "guidance", "scheduler")
        _draw_start(layout, settings)
        layout.prop(settings.coherence, "paint_every")
        layout.prop(settings, "follows_model")
        layout.prop(settings, "output", placeholder=preferences.output_said())


class Coherence(_Section):
    """What ties the frames together."""

    bl_label = "Coherence"

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """Attention, background, fusion."""
        _draw_all(
            layout, settings.coherence, "attention", "anchor_every", "anchor_weight", "fusion"
        )
        layout.prop(settings.coherence, "fusion_disturbed", text="Near Motion")
        _draw_all(layout, settings.coherence, "smoothing")
        if settings.coherence.smoothing:
            layout.prop(settings, "foreground")
            _draw_all(layout, settings.coherence, "smoothing_until", "keeps_variance")


class Advanced(_Section):
    """What is seldom touched, and jobs of other days."""

    bl_label = "Advanced"

    def draw_fields(self, layout: Any, settings: Any) -> None:
        """Prompt keys, adapters, the levels of the method."""
        _draw_list(layout, settings, "prompt.keys", "Prompt Key", ("number", "text"))
        _draw_list(layout, settings, "model.loras", "LoRA", ("path", "weight"))
        _draw_all(layout, settings.model, "precision", "allow_network", "allow_pickle")
        _draw_list(layout, settings, "model.inversions", "Textual Inversion", ("path", "word"))
        _draw_all(layout, settings.prompt, "syntax", "clip_skip")
        _draw_all(layout, settings.sampling, "guidance_from", "guidance_to", "deep_every")
        _draw_all(layout, settings.motion, "level_from", "level_to", "is_faithful")
        row = layout.row(align=True)
        row.operator("t2vz.resume", text="Resume Job")
        row.operator("t2vz.import_frames")


def _draw_all(layout: Any, group: Any, *names: str) -> None:
    for name in names:
        layout.prop(group, name)


def _draw_list(layout: Any, settings: Any, place: str, title: str, names: tuple[str, ...]) -> None:
    for index, item in enumerate(settings.path_resolve(place)):
        box = layout.box()
        row = box.row()
        row.label(text=f"{title} {index + 1}")
        gone = row.operator("t2vz.remove", text="", icon="X", emboss=False)
        gone.place, gone.index = place, index
        _draw_all(box, item, *names)
    layout.operator("t2vz.add", text=title, icon="ADD").place = place


def _in_space(section: type, space: str) -> type:
    place = {"bl_space_type": space, "bl_region_type": "UI", "bl_category": TAB}
    name = f"T2VZ_PT_{space.lower()}_{section.__name__.lower()}"
    parent = {} if section is Main else {"bl_parent_id": f"T2VZ_PT_{space.lower()}_main"}
    return type(name, (section, bpy.types.Panel), {"bl_idname": name, **place, **parent})


SECTIONS = (Main, Shapes, ObjectWords, Joints, Motion, Picture, Coherence, Advanced)
CLASSES = tuple(_in_space(section, space) for space in SPACES for section in SECTIONS)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
