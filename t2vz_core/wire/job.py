"""What to make: a JobSpec and its parts, with units, ranges and defaults.

A job is a folder: `job.json` (this), `passes/…` (arrays), `frames/0001.png`… (the result),
`engine.log`. Pixels: x right, y down, origin at the top-left corner, pixel centres at +0.5.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from .parse import WireError, flag, from_json, numeric, one_of, to_json, words
from .passes import Passes as Passes
from .prompt_syntax import PLAIN, SYNTAXES, loras_named, read
from .steering import (
    Reference,
    Region,
    Repaint,
    Start,
    check_references,
    check_regions,
    check_start,
)

VERSION = 1
DEMO_MODEL = "demo"
DEMO_CONTROLS = ("depth", "pose")  # for which the demo model has ControlNets of its own
GRID = 512  # Motion.strength is given in 1/512 of the picture's side
DEMO_SIDE_PX = 128  # the demo model was trained on squares of this side
SCHEDULERS = ("ddim", "dpm++2m", "unipc", "euler", "lcm")
SPACINGS = ("auto", "leading", "trailing")
PRECISIONS = ("auto", "float32", "float16", "bfloat16")
MOTIONS = ("none", "strength", "translation", "map")
ATTENTIONS = ("self", "anchor", "anchor+hidden")
CONTROLS = {  # the conditions, and the passes that each is made of
    "depth": ("depth",),
    "normal": ("normal",),
    "pose": ("pose",),
    "edges": ("image",),
    "outline": ("depth", "normal", "ids"),
    "segments": ("ids",),
}


@dataclass(frozen=True)
class PromptKey:
    """From frame `number` on the picture is described by `text`; between keys the embeddings
    travel."""

    number: int = numeric(1, -1_000_000, 1_000_000, "scene frame")
    text: str = words("", "what the frames show from here on")


@dataclass(frozen=True)
class Prompt:
    """What the frames show, and what they must not show."""

    text: str = words("", "what the frames show")
    negative: str = words("", "what the frames must not show")
    keys: tuple[PromptKey, ...] = ()
    clip_skip: int = numeric(0, 0, 11, "layers left out at the end of the text encoder")
    syntax: str = one_of(PLAIN, SYNTAXES, "how brackets are read: as words, or as WebUI's weights")

    def loras(self) -> tuple[Lora, ...]:
        """The LoRAs that the prompt and its keys name."""
        keys = ((f"prompt.keys[{i}].text", key.text) for i, key in enumerate(self.keys))
        named = loras_named([("prompt.text", self.text), *keys], self.syntax)
        return tuple(Lora(name, weight) for name, weight in named)


@dataclass(frozen=True)
class Lora:
    """A low-rank adaptation file added to the model."""

    path: str = words("", "a .safetensors file or a folder of one")
    weight: float = numeric(1.0, -4.0, 4.0, "how strongly it is added")


@dataclass(frozen=True)
class TextualInversion:
    """A word that the text encoder is taught by a file (arXiv 2208.01618)."""

    path: str = words("", "a .safetensors file")
    word: str = words("", "what prompts call it; empty: the file's name")


@dataclass(frozen=True)
class Model:
    """The image diffusion model."""

    base: str = words(DEMO_MODEL, "'demo', a diffusers folder, a .safetensors file or a hub name")
    loras: tuple[Lora, ...] = ()
    inversions: tuple[TextualInversion, ...] = ()
    precision: str = one_of("auto", PRECISIONS, "number format of the networks")
    allow_network: bool = flag(False, "fetch a hub name when it is not on this machine")
    allow_pickle: bool = flag(
        False, "load weight files that can run code; only from sources you trust"
    )
    text_encoder: str = words("", "its file, where the model's has none; empty: looked for")
    vae: str = words("", "its file, where the model's has none; empty: looked for")


@dataclass(frozen=True)
class Shot:
    """What all frames share."""

    width_px: int = numeric(512, 64, 4096, "picture width, a multiple of 8")
    height_px: int = numeric(512, 64, 4096, "picture height, a multiple of 8")
    pixel_aspect: float = numeric(1.0, 0.01, 100.0, "width:height at which a pixel is shown")
    near: float = numeric(
        0.0, 0.0, 1e9, "depth shown white, scene units; 0: the nearest of the shot"
    )
    far: float = numeric(
        0.0, 0.0, 1e9, "depth shown black, scene units; 0: the farthest of the shot"
    )


@dataclass(frozen=True)
class Sampling:
    """How the noise is taken away."""

    seed: int = numeric(0, 0, 2**53 - 1, "chooses the noise")
    steps: int = numeric(50, 1, 1000, "denoising steps")
    guidance: float = numeric(7.5, 0.0, 50.0, "classifier-free guidance; 1 and below: none")
    guidance_from: float = numeric(0.0, 0.0, 1.0, "part of the steps after which guidance begins")
    guidance_to: float = numeric(1.0, 0.0, 1.0, "part of the steps after which guidance ends")
    image_guidance: float = numeric(
        1.5, 0.0, 20.0, "InstructPix2Pix: how closely the source frame is kept"
    )
    scheduler: str = one_of("ddim", SCHEDULERS, "the solver")
    deep_every: int = numeric(
        1, 1, 10, "of so many steps one computes the networks' deep layers; 1: every step"
    )
    spacing: str = one_of(
        "auto", SPACINGS, "where the first step begins: as suits the model, below pure noise, at it"
    )


@dataclass(frozen=True)
class Motion:
    """Motion dynamics: the anchor's latent is moved along the motion, then re-noised."""

    mode: str = one_of(
        "translation",
        MOTIONS,
        "whence the motion: nothing, strength, shift_px or map of each frame",
    )
    strength: tuple[float, float] = numeric(
        (12.0, 12.0), -512.0, 512.0, "per frame, 1/512 of the side; + is left, up"
    )
    level_from: int = numeric(881, 1, 999, "noise level T' (0..1000) at which the anchor is moved")
    level_to: int = numeric(
        941, 1, 999, "noise level T (0..1000) from which all frames are denoised"
    )
    is_faithful: bool = flag(False, "repeat the published code exactly, its rounding included")


@dataclass(frozen=True)
class Coherence:
    """What ties the frames to the anchor frame while they are denoised."""

    attention: str = one_of("anchor", ATTENTIONS, "what each frame attends to")
    anchor_every: int = numeric(
        8, 0, 1000, "a key frame to fuse from every so many frames; 0: none"
    )
    paint_every: int = numeric(
        1, 1, 16, "every so many frames is painted, the others are carried along the map; 1: all"
    )
    anchor_weight: float = numeric(
        0.0, 0.0, 1.0, "weight of key frames in attention, the nearer more; 0: off"
    )
    smoothing: float = numeric(
        0.0, 0.0, 1.0, "background smoothing α on the moved anchor; 0: off; needs mask passes"
    )
    smoothing_until: float = numeric(
        0.0, 0.0, 1.0, "first part of the steps that smooth; 0: once, at T, as published"
    )
    keeps_variance: bool = flag(True, "divide the smoothed background by the variance it lost")
    fusion: float = numeric(
        0.7, 0.0, 1.0, "first part of the steps that fuse the anchor in along the map; 0: off"
    )
    network_every: int = numeric(
        1, 1, 100, "of so many fused steps the networks are asked at one; 1: at every one"
    )
    fusion_disturbed: float = numeric(
        0.3, 0.0, 1.0, "first part of the steps that fuse near what moved and its shadow"
    )
    moves_keys: bool = flag(
        True, "transformers: the anchor's keys are rotated to where what they show is now"
    )


@dataclass(frozen=True)
class Control:
    """One ControlNet and the passes that steer it."""

    kind: str = one_of("depth", tuple(CONTROLS), "which condition it reads")
    model: str = words(DEMO_MODEL, "'demo', a diffusers folder, a .safetensors file or a hub name")
    scale: float = numeric(1.0, 0.0, 4.0, "how strongly it steers")
    start: float = numeric(0.0, 0.0, 1.0, "part of the steps after which it begins")
    end: float = numeric(1.0, 0.0, 1.0, "part of the steps after which it ends")
    is_guess: bool = flag(
        False, "steer the prompt's prediction alone, its deep layers more: for weak or no prompts"
    )


NO_PASSES = Passes()


@dataclass(frozen=True)
class Frame:
    """One frame of the shot."""

    number: int = numeric(1, -1_000_000, 1_000_000, "scene frame; also names the file")
    is_anchor: bool = flag(False, "starts a new anchor, after a camera cut")
    shift_px: tuple[float, float] = numeric(
        (0.0, 0.0), -1e6, 1e6, "movement of the content since the anchor, x y"
    )
    passes: Passes = NO_PASSES
    region_strengths: tuple[float, ...] = numeric(
        (), 0.0, 1.0, "of each region in this frame; empty: the regions' own"
    )
    start_strengths: tuple[float, ...] = numeric(
        (), 0.0, 1.0, "of the start and of each repaint in this frame; empty: their own"
    )


@dataclass(frozen=True)
class Colour:
    """The artist's own colour of an object, in which the segments control shows it."""

    id: int = numeric(1, 1, 2**31 - 1, "the object's number in the ids passes")
    rgb: tuple[int, int, int] = numeric((255, 255, 255), 0, 255, "sRGB")


@dataclass(frozen=True)
class JobSpec:
    """A whole job; everything that changes the picture is in it."""

    version: int = VERSION
    prompt: Prompt = Prompt()
    model: Model = Model()
    shot: Shot = Shot()
    sampling: Sampling = Sampling()
    motion: Motion = Motion()
    coherence: Coherence = Coherence()
    controls: tuple[Control, ...] = ()
    colours: tuple[Colour, ...] = ()
    regions: tuple[Region, ...] = ()
    references: tuple[Reference, ...] = ()
    start: Start = Start()  # noqa: RUF009 - frozen, as all of the wire
    repaints: tuple[Repaint, ...] = ()
    frames: tuple[Frame, ...] = ()

    @staticmethod
    def from_json(value: object) -> JobSpec:
        """A checked job of parsed JSON.

        Raises:
            WireError: one sentence that begins with the field's path.
        """
        said = cast(dict[str, Any], value) if isinstance(value, dict) else {}
        version = said.get("version", VERSION)
        if version != VERSION:
            raise WireError(
                f"version: this engine reads version {VERSION}, the job has {version!r}"
            )
        spec = from_json(JobSpec, value)
        _check_prompt(spec.prompt)
        check_regions(
            spec.regions, spec.prompt.syntax, [frame.region_strengths for frame in spec.frames]
        )
        check_references(spec.references)
        check_start(spec.start, spec.repaints, [frame.start_strengths for frame in spec.frames])
        _check_frames(spec)
        _check_sizes(spec)
        return spec

    def to_json(self) -> dict[str, object]:
        return to_json(self)


def read_job(folder: Path) -> JobSpec:
    """The job of a folder's job.json.

    Raises:
        WireError: no such file, no JSON, or a field at fault.
    """
    path = folder / "job.json"
    if "\0" in str(folder):
        raise WireError(f"folder: {str(folder)!r} is no path")
    try:
        return JobSpec.from_json(json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise WireError(_no_job(folder, error)) from error
    except WireError as error:
        raise WireError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise WireError(f"{path}: is not JSON, or not whole ({error})") from error


def _no_job(folder: Path, error: OSError) -> str:
    path = folder / "job.json"
    if not folder.is_dir():
        return f"{folder}: there is no such folder; choose a job's own"
    if isinstance(error, FileNotFoundError):
        return f"{folder}: holds no job.json; choose a job's own folder"
    return f"{path}: cannot be read ({error.strerror})"


def job_folder(chosen: Path) -> Path:
    """The job's folder where a part of it was chosen: its frames, its passes, its job.json."""
    for folder in (chosen, *list(chosen.parents)[:2]):
        if (folder / "job.json").is_file():
            return folder
    return chosen


def write_job(folder: Path, spec: JobSpec) -> None:
    """Checks the job and writes it as the folder's job.json, whole or not at all."""
    body = json.dumps(
        JobSpec.from_json(json.loads(json.dumps(spec.to_json()))).to_json(),
        indent=1,
        ensure_ascii=False,
    )
    part = folder / "job.json.part"
    part.write_text(body + "\n", encoding="utf-8")
    part.replace(folder / "job.json")


def frame_file(number: int) -> str:
    """The path of a finished frame, relative to the job folder: `frames/0001.png`."""
    return f"frames/{number:04d}.png"


def _check_prompt(prompt: Prompt) -> None:
    prompt.loras()
    if read(prompt.negative, prompt.syntax, "prompt.negative").loras:
        raise WireError("prompt.negative: names a LoRA, which belongs into the prompt itself")


def _check_frames(spec: JobSpec) -> None:
    if not spec.frames:
        raise WireError("frames: must hold at least one frame")
    numbers = [frame.number for frame in spec.frames]
    for i, (one, two) in enumerate(itertools.pairwise(numbers), 1):
        if two <= one:
            raise WireError(f"frames[{i}].number: must be greater than {one}, not {two}")
    for i, frame in enumerate(spec.frames):
        for field in dataclasses.fields(Passes):
            path = getattr(frame.passes, field.name)
            if path is not None and _leaves(path):
                raise WireError(
                    f"frames[{i}].passes.{field.name}: must stay inside the job folder, "
                    f"not {path!r}"
                )


def _leaves(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return not parts or path.startswith("/") or ".." in parts or bool(set("\\:\0") & set(path))


def _check_sizes(spec: JobSpec) -> None:
    for name in ("width_px", "height_px"):
        if getattr(spec.shot, name) % 8:
            raise WireError(f"shot.{name}: must be a multiple of 8, not {getattr(spec.shot, name)}")
    if spec.shot.far and spec.shot.far <= spec.shot.near:
        raise WireError(f"shot.far: must be beyond near ({spec.shot.near}), not {spec.shot.far}")
    if spec.motion.level_from >= spec.motion.level_to:
        raise WireError(f"motion.level_from: must be below level_to ({spec.motion.level_to})")
