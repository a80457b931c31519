"""Arrays and settings become a job folder on disk, which the engine can repeat without Blender."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import re
import shutil
import typing
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from t2vz_core.wire import job as wire
from t2vz_core.wire.job import Control, Frame, JobSpec, Passes, frame_file, write_job
from t2vz_core.wire.rendered import SUFFIX, Rendered, write_rendered

T = TypeVar("T")
PASSES = tuple(field.name for field in dataclasses.fields(Passes))
LATENT_PX = 8  # pixels to a cell of the latents
TEXT, INSTRUCT = "text", "instruct"
MOTION_OF_SOURCE = {"none": "none", "strength": "strength", "geometry": "map", "vectors": "map"}  # others: translation
PARTS = {
    "prompt": wire.Prompt,
    "model": wire.Model,
    "shot": wire.Shot,
    "sampling": wire.Sampling,
    "motion": wire.Motion,
    "coherence": wire.Coherence,
}
PASSES_OF_CONTROL = {"edges": {"image"}, "segments": {"ids"}, "outline": {"depth", "normal", "ids"}}


@dataclasses.dataclass(frozen=True)
class RenderedFile:
    """A rendered multilayer EXR, what is said beside it, and the names of the passes that are read out of it."""

    path: Path
    said: Rendered
    passes: frozenset[str]

    @staticmethod
    def name_of(number: int) -> str:
        """The name that a frame's file has in the job folder."""
        return f"{number:04d}{SUFFIX}"


@dataclasses.dataclass(frozen=True)
class FrameArrays:
    """What the scene tells of one frame; arrays as `t2vz_core.wire.job.Passes` describes them, None if unread."""

    number: int
    is_anchor: bool = False
    shift_px: tuple[float, float] = (0.0, 0.0)
    image: np.ndarray | None = None
    depth: np.ndarray | None = None
    normal: np.ndarray | None = None
    ids: np.ndarray | None = None
    pose: np.ndarray | None = None
    mask: np.ndarray | None = None
    map: np.ndarray | None = None
    visible: np.ndarray | None = None
    flow_back: np.ndarray | None = None
    flow_here: np.ndarray | None = None  # the flow_ahead of the frame before, which leads to this one
    file: RenderedFile | None = None


def part_of(kind: type[T], group: Any) -> T:
    """The wire's frozen `kind` out of an edited group that has attributes of the same names.

    Fields the group lacks keep their default. Floats come back from Blender's 32 bits as the decimal typed.
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


def spec_of(settings: Any, aspect: float, find: Callable[[str], str]) -> JobSpec:
    """The job that a scene's edited settings ask for, still without frames.

    `aspect` is the width:height of the scene's render; `find` makes an absolute path of a model's name.
    """
    parts = {name: part_of(kind, getattr(settings, name)) for name, kind in PARTS.items()}
    model = _found(parts["model"], find)
    mode = MOTION_OF_SOURCE.get(settings.motion_source, "translation")
    return JobSpec(
        **{
            **parts,
            "model": model,
            "motion": dataclasses.replace(parts["motion"], mode=mode),
            "shot": _shot(parts["shot"], settings, aspect, model.base),
            "controls": tuple(dataclasses.replace(c, model=find(c.model)) for c in _controls(settings)),
        }
    )


def passes_needed(spec: JobSpec, mode: str) -> set[str]:
    """Names of the passes that this job reads from the scene."""
    needed = set().union(*(PASSES_OF_CONTROL.get(c.kind, {c.kind}) for c in spec.controls))
    needed |= {"image"} if mode == INSTRUCT else set()
    needed |= {"mask"} if spec.coherence.smoothing else set()
    reads_map = spec.motion.mode == "map" or spec.coherence.fusion or spec.coherence.attention == "anchor+hidden"
    return needed | ({"map", "visible"} if reads_map else set())


def _found(model: wire.Model, find: Callable[[str], str]) -> wire.Model:
    loras = tuple(dataclasses.replace(lora, path=find(lora.path)) for lora in model.loras)
    return dataclasses.replace(model, base=find(model.base), loras=loras)


def _shot(shot: wire.Shot, settings: Any, aspect: float, model: str) -> wire.Shot:
    if not settings.follows_render:
        return shot
    width, height = picture_size(aspect, settings.side_px or native_side_px(model))
    return dataclasses.replace(shot, width_px=width, height_px=height)


def _controls(settings: Any) -> list[Control]:
    own = [] if settings.mode in (TEXT, INSTRUCT) else [part_of(Control, settings.control)]
    own = [dataclasses.replace(control, kind=settings.mode) for control in own]
    return own + [part_of(Control, extra) for extra in settings.controls]


def native_side_px(model: str) -> int:
    """The side of the squares that a model was trained on; Stable Diffusion 1's where it cannot be known."""
    if model == wire.DEMO_MODEL:
        return wire.DEMO_SIDE_PX
    try:
        config = json.loads((Path(model) / "unet" / "config.json").read_text(encoding="utf-8"))
        return int(config["sample_size"]) * LATENT_PX
    except (OSError, ValueError, KeyError, TypeError):
        return wire.Shot.width_px


def picture_size(aspect: float, side_px: int) -> tuple[int, int]:
    """Width and height of the picture with about `side_px`² pixels and nearly this width:height.

    Both are multiples of 64 (32 below 512), which the networks' halvings divide without a rest.
    """
    grain = 64 if side_px >= 512 else 32
    width = max(grain, round(side_px * aspect**0.5 / grain) * grain)
    return width, max(grain, round(width / aspect / grain) * grain)


def frame_numbers(first: int, last: int, every: int = 1) -> list[int]:
    """The frames to make, both ends of the range within.

    Raises:
        ValueError: the range ends before it begins.
    """
    if last < first:
        raise ValueError(f"The frame range ends ({last}) before it begins ({first}).")
    return list(range(first, last + 1, every))


def new_folder(home: Path, prompt: str, now: datetime) -> Path:
    """Makes a folder of its own for one job, named after the time and the prompt; never one that is there.

    Raises:
        OSError: it cannot be made.
    """
    words = re.findall(r"[a-z0-9]+", prompt.lower())
    name = "-".join([now.strftime("%Y%m%d-%H%M%S"), *words[:5]])[:60].rstrip("-")
    home.mkdir(parents=True, exist_ok=True)
    free = (home / f"{name}{tail}" for tail in itertools.chain([""], (f"-{n}" for n in itertools.count(2))))
    folder = next(path for path in free if not path.exists())
    folder.mkdir()
    return folder


def claimed(folder: Path) -> Path:
    """Makes this folder for one job, or takes it if it is empty.

    Raises:
        ValueError: something is in it.
        OSError: it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: choose a new folder, nothing is overwritten.")
    return folder


def write_frame(folder: Path, arrays: FrameArrays) -> Frame:
    """Saves one frame's arrays as `passes/<name>/0001.npy`, its file as `passes/rendered/0001.exr`; says where.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    paths = {}
    for name in PASSES:
        if (array := getattr(arrays, name, None)) is not None:
            paths[name] = _saved(folder, name, arrays.number, array)
    if arrays.file is not None:
        paths |= dict.fromkeys(arrays.file.passes, _copied(folder, arrays.number, arrays.file))
    x, y = (round(float(value), 6) + 0.0 for value in arrays.shift_px)
    return Frame(int(arrays.number), bool(arrays.is_anchor), (x, y), Passes(**paths))


def with_flow_ahead(folder: Path, frame: Frame, flow: np.ndarray) -> Frame:
    """The frame with its flow to the next one, which is known only then, saved like its other passes.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    path = _saved(folder, "flow_ahead", frame.number, flow)
    return dataclasses.replace(frame, passes=dataclasses.replace(frame.passes, flow_ahead=path))


def _saved(folder: Path, name: str, number: int, array: np.ndarray) -> str:
    path = f"passes/{name}/{number:04d}.npy"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(_npy(array))
    return path


def _copied(folder: Path, number: int, file: RenderedFile) -> str:
    path = f"passes/rendered/{RenderedFile.name_of(number)}"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file.path, folder / path)
    write_rendered(folder / path, file.said)
    return path


def _npy(array: np.ndarray) -> bytes:
    # Not saved by numpy itself: on a full disk it does not say that the disk is full.
    body = io.BytesIO()
    np.save(body, array)
    return body.getvalue()


def finish(folder: Path, spec: JobSpec, frames: list[Frame]) -> JobSpec:
    """Writes job.json, the last file of a captured job: a folder without it is not a job.

    Raises:
        WireError: a setting the engine would refuse, by its field's path.
        OSError: the folder cannot be written.
    """
    whole = dataclasses.replace(spec, frames=tuple(frames))
    write_job(folder, whole)
    return whole


def discard(folder: Path) -> None:
    """Takes away what a capture that did not come to its end has written; a whole job is left alone."""
    if not (folder / "job.json").exists():
        shutil.rmtree(folder / "passes", ignore_errors=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def finished_frames(folder: Path, spec: JobSpec) -> list[tuple[int, Path]]:
    """Number and path of the job's frames on disk; the engine gives a frame its name when it is complete."""
    paths = [(frame.number, folder / frame_file(frame.number)) for frame in spec.frames]
    return [(number, path) for number, path in paths if path.is_file()]


def provenance(folder: Path, spec: JobSpec) -> str:
    """What a strip remembers of its making, as JSON: the job's folder and its settings without the frames."""
    settings = dataclasses.replace(spec, frames=()).to_json()
    del settings["frames"]
    return json.dumps({"folder": str(folder), **settings}, ensure_ascii=False)
