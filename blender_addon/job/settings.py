"""An artist's settings become the job they ask for, still without frames."""

from __future__ import annotations

import dataclasses
import itertools
import math
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from t2vz_core.wire import job as wire
from t2vz_core.wire.homes import hub_snapshot, model_path
from t2vz_core.wire.job import Control, JobSpec
from t2vz_core.wire.model_facts import ModelFacts, Suggestion, facts_of, facts_together

T = TypeVar("T")
MOST_OFF = 0.1  # a picture's width:height may be off by so much, of itself
SHAPE_COUNTS = 4.0  # times as much as the area
TEXT, INSTRUCT = "text", "instruct"
DEMO_INSTRUCT = f"{wire.DEMO_MODEL}/instruct-pix2pix"
DEMO_FACTS = ModelFacts("sd1", wire.DEMO_SIDE_PX)
MOTION_OF_SOURCE = {
    "none": "none",
    "strength": "strength",
    "geometry": "map",
    "vectors": "map",
}  # others: translation
PARTS = {
    "prompt": wire.Prompt,
    "model": wire.Model,
    "shot": wire.Shot,
    "sampling": wire.Sampling,
    "motion": wire.Motion,
    "coherence": wire.Coherence,
    "start": wire.Start,
}
# (name, what the artist reads, what it does, its number in .blend files), for Blender's menus and
# the command line
MODES = (
    ("depth", "Depth", "The picture keeps the scene's shapes and distances; the best start", 1),
    (
        "pose",
        "Pose",
        "Characters take the poses of the scene's armatures; clothes and faces are free",
        3,
    ),
    ("outline", "Outline", "The picture keeps silhouettes and creases, as of a drawing", 5),
    (
        "normal",
        "Normals",
        "The picture keeps the surfaces' directions: fine relief, free distances",
        2,
    ),
    ("edges", "Edges", "The picture keeps the edges of the rendered frames, textures included", 4),
    (
        "segments",
        "Segments",
        "The picture keeps where each object is; one flat colour an object",
        6,
    ),
    (
        INSTRUCT,
        "Instruct",
        "The rendered frames, changed as the prompt says: “make it winter”; "
        "needs an InstructPix2Pix model",
        7,
    ),
    (TEXT, "Text to Video", "The prompt alone; of the scene only its motion is taken", 0),
)
SOURCES = (
    (
        "geometry",
        "Geometry (Recommended)",
        "Every point of every surface carries its look along, characters and camera alike",
        4,
    ),
    (
        "camera",
        "Camera",
        "The whole picture moves as the camera does: for pans over a still place",
        0,
    ),
    ("object", "Object", "The whole picture moves with one object or bone on screen", 1),
    (
        "own",
        "Object Alone",
        "The whole picture moves with one object or bone, as if the camera stood still",
        2,
    ),
    (
        "both",
        "Camera + Object",
        "Camera and object, added: for a subject that the camera follows",
        3,
    ),
    (
        "vectors",
        "Vector Pass",
        "The Vector pass of rendered EXR files: for hair, volumes and what only a render knows",
        5,
    ),
    ("strength", "By Hand", "So far per frame, as in the paper; it can be keyed", 6),
    ("none", "None", "Hold still", 7),
)


def part_of(kind: type[T], group: Any) -> T:
    """The wire's frozen `kind` out of an edited group that has attributes of the same names.

    Fields the group lacks keep their default. Floats come back from Blender's 32 bits as the
    decimal typed.
    """
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind) if hasattr(group, f.name)]  # type: ignore[arg-type]
    return kind(**{name: _value_of(hints[name], getattr(group, name)) for name in names})


def _value_of(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return part_of(typing.cast(type, hint), value)
    if typing.get_origin(hint) is tuple:
        return tuple(_value_of(typing.get_args(hint)[0], item) for item in value)
    return float(f"{value:.7g}") if hint is float else hint(value)


def spec_of(
    settings: Any,
    aspect: float,
    find: Callable[[str], str],
    path_of: Callable[[str], Path | None] = model_path,
) -> JobSpec:
    """The job that a scene's edited settings ask for, still without frames.

    `aspect` is the width:height of the scene's render; `find` makes of a model's name the one that
    the job stores, `path_of` the place where it lies here.
    """
    facts = facts_for(settings, path_of)
    parts = {name: part_of(kind, getattr(settings, name)) for name, kind in PARTS.items()}
    model = _found(parts["model"], settings.mode, find)
    mode = MOTION_OF_SOURCE.get(settings.motion_source, "translation")
    return JobSpec(
        **{
            **parts,
            "prompt": _prompt(parts["prompt"], settings),
            "model": model,
            "motion": dataclasses.replace(parts["motion"], mode=mode),
            "shot": _shot(parts["shot"], settings, aspect, facts.native_side_px),
            "sampling": suited(parts["sampling"], settings, facts),
            "controls": tuple(
                dataclasses.replace(c, model=find(c.model)) for c in _controls(settings)
            ),
            "references": tuple(_reference(one, find) for one in settings.references),
        }
    )


def _reference(edited: Any, find: Callable[[str], str]) -> wire.Reference:
    one = part_of(wire.Reference, edited)
    encoder = find(one.encoder) if one.encoder else ""
    return dataclasses.replace(one, adapter=find(one.adapter), encoder=encoder)


def base_for(name: str, mode: str) -> str:
    """The demo model has a checkpoint of its own for instructions; any other model is taken as it
    is named."""
    return DEMO_INSTRUCT if (name, mode) == (wire.DEMO_MODEL, INSTRUCT) else name


def _prompt(prompt: wire.Prompt, settings: Any) -> wire.Prompt:
    """The prompt, or the lines of the text that is taken for it, and behind it the style."""
    text = getattr(settings, "prompt_text", None)
    lines = [line.body.strip() for line in text.lines] if text else [prompt.text]
    style = getattr(settings, "style", "").strip()
    words = " ".join(filter(None, lines)) if text else prompt.text
    said = ", ".join(filter(None, (words, style))) if style else words
    return dataclasses.replace(prompt, text=said)


def _found(model: wire.Model, mode: str, find: Callable[[str], str]) -> wire.Model:
    loras = tuple(dataclasses.replace(lora, path=find(lora.path)) for lora in model.loras)
    inversions = tuple(dataclasses.replace(one, path=find(one.path)) for one in model.inversions)
    base = find(base_for(model.base, mode))
    return dataclasses.replace(model, base=base, loras=loras, inversions=inversions)


def facts_for(settings: Any, path_of: Callable[[str], Path | None] = model_path) -> ModelFacts:
    """What is known of the chosen model with its LoRAs."""
    loras = [_facts_of(lora.path, path_of) for lora in settings.model.loras]
    return facts_together(_facts_of(base_for(settings.model.base, settings.mode), path_of), loras)


def _facts_of(name: str, path_of: Callable[[str], Path | None]) -> ModelFacts:
    if name.partition("/")[0] == wire.DEMO_MODEL:
        return DEMO_FACTS
    path = path_of(name) or hub_snapshot(name)
    return facts_of(path or Path(name))


def suited(sampling: wire.Sampling, settings: Any, facts: ModelFacts) -> wire.Sampling:
    """The sampling with what suits the model where the artist has left a field as it is at first,
    unless the settings say not to."""
    if not getattr(settings, "follows_model", True):
        return sampling
    first = Suggestion()
    left = {
        name: value
        for name, value in vars(facts.suggested).items()
        if getattr(sampling, name) == getattr(first, name)
    }
    return dataclasses.replace(sampling, **left)


def suited_sentence(settings: Any, spec: JobSpec) -> str:
    """What of a job was taken from its model in place of what the settings show; "" if nothing."""
    taken = spec.sampling
    shown = part_of(wire.Sampling, settings.sampling)
    if taken == dataclasses.replace(shown, seed=taken.seed):
        return ""
    return (
        f"{spec.model.base}, or its LoRA, was made for a few steps by its name: "
        f"{taken.steps} steps, "
        f"guidance {taken.guidance:g} and {taken.scheduler} are taken (Suit the Model, in "
        "Sampling)."
    )


def _shot(shot: wire.Shot, settings: Any, aspect: float, native_side_px: int) -> wire.Shot:
    if not settings.follows_render:
        return shot
    width, height = picture_size(aspect, settings.side_px or native_side_px)
    return dataclasses.replace(shot, width_px=width, height_px=height)


def _controls(settings: Any) -> list[Control]:
    own = [] if settings.mode in (TEXT, INSTRUCT) else [part_of(Control, settings.control)]
    own = [dataclasses.replace(control, kind=settings.mode) for control in own]
    return own + [part_of(Control, extra) for extra in settings.controls]


def picture_size(aspect: float, side_px: int) -> tuple[int, int]:
    """Width and height of the picture with about `side_px`² pixels and nearly this width:height.

    Both are multiples of 64 (32 below 512), which the networks' halvings divide without a rest.
    """
    grain = 64 if side_px >= 512 else 32
    width = max(grain, round(side_px * aspect**0.5 / grain) * grain)
    size = width, max(grain, round(width / aspect / grain) * grain)
    return size if _off(size, aspect) <= MOST_OFF else _nearest_size(aspect, side_px, grain)


def _nearest_size(aspect: float, side_px: int, grain: int) -> tuple[int, int]:
    """Of the sizes around, the one that is off the least; a wrong shape counts more than a wrong
    area."""
    columns = round(side_px * aspect**0.5 / grain)
    rows = round(side_px / aspect**0.5 / grain)
    sizes = itertools.product(*(range(max(1, n - 2), n + 3) for n in (columns, rows)))
    return min(
        ((grain * width, grain * height) for width, height in sizes),
        key=lambda size: (
            SHAPE_COUNTS * _off(size, aspect) + abs(math.log(size[0] * size[1] / side_px**2))
        ),
    )


def _off(size: tuple[int, int], aspect: float) -> float:
    """How far a size is from a width:height, as the logarithm of their ratio."""
    return abs(math.log(size[0] / size[1] / aspect))


def frame_numbers(first: int, last: int, every: int = 1) -> list[int]:
    """The frames to make, both ends of the range within.

    Raises:
        ValueError: the range ends before it begins.
    """
    if last < first:
        raise ValueError(f"The frame range ends ({last}) before it begins ({first}).")
    return list(range(first, last + 1, every))
