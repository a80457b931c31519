"""What a model is, told by its configuration or its file's table of contents: for the panel and the
engine alike.

No weights are read but one of 320 numbers. Of distillation nothing is written in a file; its name
tells, as in diffusers and ComfyUI.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from statistics import pstdev
from typing import Any

from .job import Sampling

SIDES_PX = {
    "sd1": 512,
    "sd2": 512,
    "sdxl": 1024,
    "z-image": 1024,
}  # of the squares that the families were trained on
VELOCITY_SIDE_PX = 768  # SD 2's models that predict v
LATENT_PX = 8  # pixels to a cell of the latents
HEADER_LIMIT = 100_000_000  # bytes; the safetensors format's own
LEGACY_BYTES = 1 << 23  # within which torch's oldest files name their weights
TELLTALES = {  # how the name of a weight ends that only this family's files have
    "sdxl": ("conditioner.embedders.1.model.ln_final.weight",),
    "sd2": (
        "cond_stage_model.model.ln_final.weight",
        "conditioner.embedders.0.model.ln_final.weight",  # SD-Turbo
    ),
    "sd1": (
        "cond_stage_model.transformer.text_model.final_layer_norm.weight",
        "cond_stage_model.transformer.final_layer_norm.weight",  # merged
    ),
    "z-image": (
        "noise_refiner.0.attention.k_norm.weight",
        "noise_refiner.0.attention.norm_k.weight",
    ),
}
TRANSFORMERS = {"ZImageTransformer2DModel": "z-image"}  # by the class in a folder's configuration
FLOW = "flow"  # what models that flow predict: v = ε − x_0
VELOCITY_MARK = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
# Of that weight's numbers, ComfyUI's rule: SD 2's models for 768 px are above, those for 512 px
# below.
VELOCITY_SPREAD = 0.09
# In a name: steps and scheduler that suit it, https://huggingface.co/docs/diffusers/api/pipelines.
_DISTILLED = (
    (r"lightning", 4, "euler"),
    (r"turbo", 4, "euler"),
    (r"hyper[-_]?sd", 8, "ddim"),
    (r"(?<![a-z])lcm(?![a-z])", 8, "lcm"),
    (r"(?<![a-z])dmd2(?![a-z])", 4, "lcm"),
)
_TRAINED_ON_PICTURES = ("ss_tag_frequency", "ss_dataset_dirs", "ss_datasets", "ss_num_train_images")
_NAMELESS = ("model", "diffusion_pytorch_model", "pytorch_lora_weights", "adapter_model")
_FORMATS = {"F16": "e", "F32": "f", "BF16": "H"}


@dataclass(frozen=True)
class Suggestion:
    """Settings that suit a model, of `Sampling`'s fields."""

    steps: int = Sampling.steps
    guidance: float = Sampling.guidance
    scheduler: str = Sampling.scheduler


SUITED = {"z-image": Suggestion(30, 4.0, "euler")}  # what families not distilled are made with
TURBO_STEPS = 8  # of Z-Image-Turbo


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model or LoRA without loading it.

    Attributes:
        family: "sd1", "sd2", "sdxl", "z-image", or "" where nothing tells.
        native_side_px: side of the squares that it was trained on.
        prediction: "epsilon", "v_prediction" or "flow".
        is_distilled: made for a few steps without guidance.
        suggested: what suits it.
    """

    family: str = ""
    native_side_px: int = SIDES_PX["sd1"]
    prediction: str = "epsilon"
    is_distilled: bool = False
    suggested: Suggestion = Suggestion()

    @property
    def begins_at_noise(self) -> bool:
        """Its first step is to begin at pure noise ("trailing"); LCM's solver has a schedule of its
        own."""
        return self.is_distilled and self.suggested.scheduler != "lcm"


def facts_of(path: Path) -> ModelFacts:
    """What a model's folder or file, or a LoRA's, is; of one that cannot be read, what its name
    says."""
    try:
        parts = [path / part / "config.json" for part in ("unet", "transformer")]
        told = next((part for part in parts if part.is_file()), parts[0])
        seen = [path, told][path.is_dir()].stat()
    except (OSError, ValueError):
        return _facts(path, 0, 0)
    return _facts(path, seen.st_mtime_ns, seen.st_size)


@lru_cache(maxsize=64)  # a panel asks at every drawing
def _facts(path: Path, _mtime_ns: int, _size: int) -> ModelFacts:
    try:
        family, side_px, prediction, metadata = _folder(path) if path.is_dir() else _file(path)
    except (
        Exception
    ):  # what a broken file leads to is up to the file; loading it says what is wrong
        family, side_px, prediction, metadata = "", SIDES_PX["sd1"], "epsilon", {}
    suggested = suggestion_for(name_of(path), metadata)
    usual = SUITED.get(family, Suggestion())
    if suggested and family == "z-image":  # distilled to more steps than Stable Diffusion's
        suggested = replace(suggested, steps=max(suggested.steps, TURBO_STEPS))
    return ModelFacts(family, side_px, prediction, suggested is not None, suggested or usual)


def facts_together(model: ModelFacts, loras: Iterable[ModelFacts]) -> ModelFacts:
    """What a model is with LoRAs merged into it: one that was distilled makes it so."""
    distilled = [facts for facts in (model, *loras) if facts.is_distilled]
    if not distilled:
        return model
    return replace(model, is_distilled=True, suggested=distilled[-1].suggested)


def suggestion_for(name: str, metadata: Mapping[str, str]) -> Suggestion | None:
    """The settings of a distilled model or LoRA of this name; None of any other.

    A LoRA that says on which pictures it was trained is a style, whatever it is called.
    """
    if any(metadata.get(key) not in (None, "", "{}", "[]") for key in _TRAINED_ON_PICTURES):
        return None
    for pattern, steps, scheduler in _DISTILLED:
        if re.search(pattern, name, re.IGNORECASE):
            said = re.search(r"(\d{1,2})[-_ ]?steps?", name, re.IGNORECASE)
            keeps_guidance = re.search(r"(?<![a-z])cfg(?![a-z])", name, re.IGNORECASE)
            return Suggestion(
                max(1, int(said[1])) if said else steps, 5.0 if keeps_guidance else 1.0, scheduler
            )
    return None


def name_of(path: Path) -> str:
    """What a file or folder is called: by its own name, by the repository's in the hub's cache, by
    the folder's where the file has the name of every such file."""
    cached = [part for part in path.parts if part.startswith("models--")]
    if cached and "snapshots" in path.parts:
        return f"{cached[-1].rpartition('--')[2]}/{path.name}"
    return path.parent.name if path.stem in _NAMELESS else path.name


def family_of(names: Iterable[str]) -> str:
    """The family of a single file with weights of these names, or ""."""
    names = list(names)
    for family, ends in TELLTALES.items():
        if any(name.endswith(ends) for name in names):
            return family
    return ""


def prediction_of(
    path: Path,
    names: Iterable[str],
    metadata: Mapping[str, str],
    numbers: Callable[[str], Sequence[float]],
) -> str:
    """What a single file's UNet predicts where the file, or the .yaml beside it, says so, or its
    weights give it away; "" where nothing does. `numbers(name)` are those of one weight."""
    names = set(names)
    if "v_pred" in names:
        return "v_prediction"
    keys = ("modelspec.prediction_type", "modelspec.predict_key")
    said = next((metadata[key] for key in keys if key in metadata), "") or _said_beside(path)
    mark = next((name for name in names if name.endswith(VELOCITY_MARK)), None)
    if not said and mark and family_of(names) == "sd2":
        said = "v" if pstdev(numbers(mark)) > VELOCITY_SPREAD else "epsilon"
    if not said:
        return ""
    return "v_prediction" if said.startswith("v") else "epsilon"


def _said_beside(path: Path) -> str:
    sidecar = path.with_suffix(".yaml")
    if not sidecar.is_file():
        return ""
    text = sidecar.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"parameterization:\s*[\"']?(\w+)", text)
    return found[1] if found else "epsilon"


def read_table(path: Path) -> dict[str, Any]:
    """A .safetensors file's table of tensors and its `__metadata__`.

    Raises:
        OSError, ValueError: it cannot be read, or is something else.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= HEADER_LIMIT:
            raise ValueError("no safetensors file")
        return json.loads(file.read(length))


def _folder(path: Path) -> tuple[str, int, str, dict[str, str]]:
    files = list(path.glob("*.safetensors"))
    transformer = _config(path / "transformer/config.json").get("_class_name", "")
    if family := TRANSFORMERS.get(transformer):
        return family, SIDES_PX[family], FLOW, {}
    if len(files) == 1 and not (path / "unet").is_dir():  # a LoRA's
        return _file(files[0])
    unet = _config(path / "unet/config.json")
    scheduler = _config(path / "scheduler/scheduler_config.json")
    family = "sd2" if unet.get("use_linear_projection") else "sd1"
    family = "sdxl" if unet.get("addition_embed_type") == "text_time" else family
    side_px = int(unet["sample_size"]) * LATENT_PX if "sample_size" in unet else SIDES_PX[family]
    return family, side_px, scheduler.get("prediction_type", "epsilon"), {}


def _config(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}


def _file(path: Path) -> tuple[str, int, str, dict[str, str]]:
    if path.suffix.lower() != ".safetensors":
        names, metadata, numbers = _names_in_pickle(path), dict[str, str](), _no_numbers
    else:
        table = read_table(path)
        metadata: dict[str, str] = table.pop("__metadata__", None) or {}
        names, numbers = list(table), partial(_numbers, path, table)
    family = family_of(names)
    prediction = prediction_of(path, names, metadata, numbers)
    if not prediction and family == "sd2" and str(VELOCITY_SIDE_PX) in path.name:
        prediction = "v_prediction"  # a pickle's weights are not read here, but it has said so
    prediction = prediction or "epsilon"
    prediction = FLOW if family in TRANSFORMERS.values() else prediction
    side_px = SIDES_PX.get(family, SIDES_PX["sd1"])
    if family == "sd2" and prediction == "v_prediction":
        side_px = VELOCITY_SIDE_PX
    return family, _side_said(metadata) or side_px, prediction, metadata


def _no_numbers(_: str) -> list[float]:
    return []


def _side_said(metadata: Mapping[str, str]) -> int:
    """Of `modelspec.resolution`, as in "1024x1024"; 0 where nothing is said."""
    sides = [
        int(side) for side in re.findall(r"\d+", str(metadata.get("modelspec.resolution", "")))
    ]
    return round((sides[0] * sides[-1]) ** 0.5 / 64) * 64 if sides else 0


def _names_in_pickle(path: Path) -> list[str]:
    """Of the names that tell families apart, those in a pickle; nothing of it is unpickled."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inner = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            body = archive.read(inner)
    else:
        with path.open("rb") as file:
            body = file.read(LEGACY_BYTES)
    return [end for ends in TELLTALES.values() for end in ends if end.encode() in body]


def _numbers(path: Path, table: Mapping[str, Any], name: str) -> list[float]:
    """A small weight of a .safetensors file."""
    entry = table[name]
    begin, end = entry["data_offsets"]
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        file.seek(start + begin)
        body = file.read(end - begin)
    letter = _FORMATS[entry["dtype"]]
    values = [value for (value,) in struct.iter_unpack(f"<{letter}", body)]
    if letter != "H":
        return values
    return [struct.unpack("<f", struct.pack("<I", value << 16))[0] for value in values]
