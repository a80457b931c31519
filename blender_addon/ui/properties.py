"""The artist's knobs: the wire's own fields as Blender properties, plus those only a scene can
have."""

import dataclasses
import typing
from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from t2vz_core.wire import job as wire
from t2vz_core.wire import presets

from .. import preferences
from ..capture import images
from ..job.settings import MODES, PARTS, SOURCES, facts_for, frame_numbers
from ..preferences import MAY_BE_RELATIVE
from ..run import edit_scenes, models
from ..run.models import KINDS

LARGEST_INT = 2**31 - 1  # Blender's integers have 32 bits
CUSTOM = "custom"
SPELLED = {
    "ddim": "DDIM",
    "dpm++2m": "DPM++ 2M",
    "unipc": "UniPC",
    "lcm": "LCM",
    "webui": "WebUI",
    "anchor+hidden": "Anchor + Hidden",
}
OTHER_DEFAULTS = {"syntax": "webui"}  # than the wire's, which keeps old jobs' pictures
# text fields that may name a file or folder
FILES = {"base", "model", "path", "adapter", "encoder"}
QUALITIES = (
    (presets.DRAFT, "Draft", "Eight steps: composition and colours, to try words and seeds"),
    (
        presets.FAST,
        "Fast",
        "Fourteen steps with shortcuts: nearly the full quality, several times as fast",
    ),
    (presets.PUBLISHED, "Quality", "Fifty steps, as in the paper: the most detail"),
    (CUSTOM, "Custom", "Your own solver, steps and shortcuts, as set under Advanced"),
)
DESTINATIONS = (
    (
        edit_scenes.EDIT,
        "Edit Scene",
        "A scene for the film alone: strips show the colours of their files, and this scene's "
        "renders stay the 3D scene",
    ),
    (
        edit_scenes.HERE,
        "This Scene",
        "The Sequencer of this scene; its renders stay the 3D scene, and its view transform "
        "changes strips",
    ),
)


def _own_fields(kind: type) -> dict[str, Any]:
    """Blender properties for a wire dataclass: names, defaults, ranges and meanings are the
    dataclass's own."""
    hints = typing.get_type_hints(kind)
    return {f.name: _property(hints[f.name], f) for f in dataclasses.fields(kind)}


def _property(hint: Any, field: dataclasses.Field[Any]) -> Any:
    meta = field.metadata
    said = {"name": _title(field.name), "description": _sentence(meta.get("meaning", ""))}
    if "options" in meta:
        return EnumProperty(
            items=[(o, _option_title(o), "") for o in meta["options"]],
            default=OTHER_DEFAULTS.get(field.name, field.default),
            **said,
        )
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        if dataclasses.is_dataclass(item):
            return CollectionProperty(type=GROUPS[item], **said)
        size = len(field.default)
        return FloatVectorProperty(
            size=size, default=field.default, min=meta["low"], max=meta["high"], **said
        )
    return _scalar(hint, field, said)


def _scalar(hint: type, field: dataclasses.Field[Any], said: dict[str, str]) -> Any:
    if hint is bool:
        return BoolProperty(default=field.default, **said)
    if hint is str:
        return _text(field, said)
    low, high = field.metadata["low"], field.metadata["high"]
    if hint is int:
        return IntProperty(default=field.default, min=low, max=min(high, LARGEST_INT), **said)
    return FloatProperty(default=field.default, min=low, max=high, **said)


def _text(field: dataclasses.Field[Any], said: dict[str, str]) -> Any:
    if field.name == "picture":
        return StringProperty(subtype="FILE_PATH", options=MAY_BE_RELATIVE, **said)
    if field.name not in FILES:
        return StringProperty(default=field.default, **said)
    return StringProperty(
        default=field.default, search=_known_models, search_options={"SUGGESTION"}, **said
    )


def _known_models(group: Any, _context: Any, _typed: str) -> list[Any]:
    """Models of the kind that the setting takes, with what they are beside their names."""
    settings = group.id_data.t2vz
    kind = next(KINDS[name] for name in KINDS if name in group.bl_rna.properties)
    family = "" if kind == models.BASE else models.family_of(settings)
    own = [(wire.DEMO_MODEL, "the embedded model")] if kind != models.LORA else []
    return [*own, *models.offered(kind, family)]


def _known_strips(settings: Any, _context: Any, _typed: str) -> list[str]:
    return images.strips_known(settings.id_data)


def _title(name: str) -> str:
    stem = name.removesuffix("_px").removeprefix("is_")
    return stem.replace("_", " ").title()


def _option_title(option: str) -> str:
    return SPELLED.get(option) or (
        option if any(c.isdigit() for c in option) else option.capitalize()
    )


def _sentence(meaning: str) -> str:
    return meaning[:1].upper() + meaning[1:]


def _group(kind: type) -> type:
    name = f"T2VZ_{kind.__name__}"
    return type(
        name,
        (bpy.types.PropertyGroup,),
        {"__annotations__": _own_fields(kind), "__doc__": kind.__doc__},
    )


GROUPS: dict[type, type] = {}
for _kind in (
    wire.PromptKey,
    wire.Lora,
    wire.TextualInversion,
    wire.Reference,
    wire.Control,
    *PARTS.values(),
):  # what a group holds comes before it
    GROUPS[_kind] = _group(_kind)


def _quality(settings: Any) -> int:
    names = [quality[0] for quality in QUALITIES]
    if settings.is_custom:
        return names.index(CUSTOM)
    return names.index(presets.preset_of(settings.sampling) or CUSTOM)


def _choose_quality(settings: Any, index: int) -> None:
    name = QUALITIES[index][0]
    settings.is_custom = name == CUSTOM
    if name != CUSTOM:
        presets.follow(settings.sampling, name)


def _side(settings: Any) -> int:
    return settings.side_px or facts_for(settings, preferences.path_of_model).native_side_px


def _choose_side(settings: Any, side_px: int) -> None:
    native_px = facts_for(settings, preferences.path_of_model).native_side_px
    settings.side_px = 0 if side_px == native_px else side_px


class T2VZ_Settings(bpy.types.PropertyGroup):
    """All that is asked of t2vz in this scene."""

    prompt: PointerProperty(type=GROUPS[wire.Prompt])
    version: IntProperty(options={"HIDDEN"})  # of the settings in a .blend; see run/older_files
    quality: EnumProperty(
        name="Quality",
        description="How much work goes into each frame",
        items=QUALITIES,
        get=_quality,
        set=_choose_quality,
    )
    is_custom: BoolProperty(options={"HIDDEN"})
    style: StringProperty(
        name="Style",
        description="Words for the look, put behind the prompt of every shot",
    )
    prompt_text: PointerProperty(
        name="Text",
        description="A text of the Text Editor that is taken for the prompt, as many lines as "
        "you like",
        type=bpy.types.Text,
    )
    is_seed_new: BoolProperty(
        name="New Each Time", description="Throw the dice before each Generate"
    )
    takes: IntProperty(
        name="Takes",
        description="So many films at once, each with the next seed; the scene is captured but "
        "once",
        default=1,
        min=1,
        max=32,
    )
    destination: EnumProperty(
        name="Film Goes To", description="Where finished films are put", items=DESTINATIONS
    )
    edit_scene: PointerProperty(
        name="Edit Scene",
        description="The scene whose Sequencer takes the films; empty: one is made for them",
        type=bpy.types.Scene,
    )
    side_shown_px: IntProperty(
        name="Size",
        description="Side of the square with as many pixels; the model's own size gives the best "
        "pictures",
        min=64,
        max=2048,
        subtype="PIXEL",
        get=_side,
        set=_choose_side,
    )
    model: PointerProperty(type=GROUPS[wire.Model])
    shot: PointerProperty(type=GROUPS[wire.Shot])
    sampling: PointerProperty(type=GROUPS[wire.Sampling])
    motion: PointerProperty(type=GROUPS[wire.Motion])
    coherence: PointerProperty(type=GROUPS[wire.Coherence])
    start: PointerProperty(type=GROUPS[wire.Start])
    references: CollectionProperty(type=GROUPS[wire.Reference])
    control: PointerProperty(type=GROUPS[wire.Control])
    controls: CollectionProperty(type=GROUPS[wire.Control])
    mode: EnumProperty(
        name="Mode",
        description="What the shapes in the picture follow",
        items=MODES,
        default="depth",
    )
    uses_scene_range: BoolProperty(
        name="Scene Range", description="Take the scene's frame range", default=True
    )
    first: IntProperty(name="First", description="First frame", default=1)
    last: IntProperty(name="Last", description="Last frame", default=16)
    every: IntProperty(
        name="Every",
        description="Make every n-th frame and show it n frames long",
        default=1,
        min=1,
        max=100,
    )
    motion_source: EnumProperty(
        name="Motion", description="What moves the picture", items=SOURCES, default="geometry"
    )
    motion_object: PointerProperty(
        name="Object", description="The object whose movement is followed", type=bpy.types.Object
    )
    motion_bone: StringProperty(
        name="Bone", description="The bone of it that is followed; none: the object itself"
    )
    foreground: PointerProperty(
        name="Foreground",
        description="The collection that moves on its own; all else is held still as background",
        type=bpy.types.Collection,
    )
    follows_render: BoolProperty(
        name="Render Aspect", description="Shape the picture like the scene's render", default=True
    )
    side_px: IntProperty(
        name="Size",
        description="Side of the square with as many pixels; 0: "
        "the size that the model was trained at",
        default=0,
        min=0,
        max=2048,
        subtype="PIXEL",
    )
    seed_high: IntProperty(
        name="Seed, High Part",
        description="So many times 2^31 are added to the seed, which in Blender ends there",
        default=0,
        min=0,
        max=2**22 - 1,
    )
    follows_model: BoolProperty(
        name="Suit the Model",
        description="Steps, guidance and scheduler that are as at first become those that the "
        "model "
        "was made for",
        default=True,
    )
    rendered: StringProperty(
        name="Renders",
        description="Rendered before: files, #### for the number, a movie or a strip; "
        "multilayer EXR gives its passes too; empty: render",
        subtype="FILE_PATH",
        options=MAY_BE_RELATIVE,
        search=_known_strips,
        search_options={"SUGGESTION"},
    )
    has_hands: BoolProperty(
        name="Hands",
        description="Draw the fingers too, of rigs that have them; for ControlNets that know them",
    )
    has_flow: BoolProperty(
        name="Write Flow",
        description="Also write where each point was in the frame before and is in the next, "
        "for those who measure",
    )
    output: StringProperty(
        name="Output",
        description="Each job gets a folder of its own in here; empty: "
        "the output folder of the preferences",
        subtype="DIR_PATH",
        options=MAY_BE_RELATIVE,
    )

    def frame_numbers(self) -> list[int]:
        """The frames asked for; of the scene's range those that a render of it makes.

        Raises:
            ValueError: the range ends before it begins.
        """
        if not self.uses_scene_range:
            return frame_numbers(self.first, self.last, self.every)
        scene = self.id_data
        return frame_numbers(scene.frame_start, scene.frame_end, scene.frame_step * self.every)


CLASSES = (*GROUPS.values(), T2VZ_Settings)


def register() -> None:
    for kind in CLASSES:
        bpy.utils.register_class(kind)
    bpy.types.Scene.t2vz = PointerProperty(type=T2VZ_Settings)


def unregister() -> None:
    del bpy.types.Scene.t2vz
    for kind in reversed(CLASSES):
        bpy.utils.unregister_class(kind)
