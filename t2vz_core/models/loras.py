"""LoRA files merged into the networks' weights: W + weight · ΔW, where plainly ΔW = α/r · B A
(arXiv 2106.09685).

Three dialects name the same matrices: kohya's (`lora_unet_down_blocks_0_….lora_down.weight`, also
with the original layout's block names), diffusers' (`unet.down_blocks.0.….lora.down.weight`) and
PEFT's (`….lora_A.weight`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Conv2d, Linear, Module

from ..runtime.memory_budget import is_out_of_memory
from .file_type import LORA, mistaken
from .float8 import put, widened
from .lora_factors import Factors, change, factor_of, remagnified
from .weights import PICKLES, ModelError, header, read_config, read_weights

Layer = Linear | Conv2d
Layers = tuple[Layer, ...]
"""Layers whose weights are one in a file, laid one below the other; mostly a single one."""
OtherName = Callable[[str, Any], str]
SETTINGS = "lora_adapter_metadata"  # diffusers' key of what PEFT was told

_STARTS = (  # what a dialect calls a part; longest first
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te_", "text_encoder"),
    ("text_encoders.clip_l.transformer.", "text_encoder"),  # ComfyUI
    ("text_encoders.clip_h.transformer.", "text_encoder"),
    ("text_encoders.clip_g.transformer.", "text_encoder_2"),
    ("lora_unet_", "unet"),
    ("lycoris_", "unet"),  # SimpleTuner
    ("unet.", "unet"),
    ("transformer.", "unet"),
    ("diffusion_model.", "unet"),
    ("base_model.model.", "unet"),
)


class Unsound(ArithmeticError):
    """A LoRA's change of a layer is no number."""


def merge(
    path: Path,
    weight: float,
    parts: dict[str, Module],
    other_name: OtherName,
    allow_pickle: bool = False,
) -> str:
    """Adds a LoRA file, `weight` strong, to the networks of `parts`, the denoiser being "unet";
    returns what of it found no place, or "".

    Args:
        other_name: (name, configuration) -> the original layout's name of a denoiser's layer.

    Raises:
        ModelError: the file is broken, no LoRA, of another kind, or made for another family of
            models.
    """
    path = _file(path)
    weights = read_weights(path, allow_pickle)
    layers, settings = _layers(parts, other_name), _settings(path)
    found, others = _factors(weights)
    if not found:
        raise mistaken(path, weights, LORA)
    strange = sorted(found.keys() - layers.keys())
    asked = {
        name for name in found if name.startswith("unet/")
    } or found.keys()  # others share SD 1's text encoder
    if not asked & layers.keys():
        raise ModelError(
            f"{path}: was not made for this model, which has no {strange[0]} and the like."
        )
    for name in sorted(found.keys() & layers.keys()):
        try:
            _add(layers[name], weight, name, found[name], settings)
        except Unsound:
            raise ModelError(
                f"{path}: holds values that are no numbers (in {name}); copy or download it again, "
                "or take another."
            ) from None
        except KeyError as error:
            raise ModelError(
                f"{path}: lacks {error} of {name}; copy or download it again."
            ) from error
        except (RuntimeError, IndexError, TypeError, ValueError, AttributeError) as error:
            if is_out_of_memory(error):
                raise
            what = "was made for another family of models, or is damaged"
            raise ModelError(f"{path}: {what}; its {name} does not fit.") from error
    left_out = (
        [f"{len(strange)} of its {len(found)} layers have no place in this model"]
        if strange
        else []
    )
    if others:
        left_out.append(f"{len(others)} of its weights are not read ({others[0]}, …)")
    return f"{path.name}: {' and '.join(left_out)}." if left_out else ""


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.safetensors"))
    if len(found) != 1:
        raise ModelError(
            f"{path}: holds {len(found)} .safetensors files; choose the LoRA's file itself."
        )
    return found[0]


def _settings(path: Path) -> dict[str, Any]:
    """How PEFT scaled the matrices, by `part.key`: from the file's metadata or, with PEFT's own
    files, beside it."""
    beside = path.with_name("adapter_config.json")
    try:
        said = {} if path.suffix.lower() in PICKLES else header(path).get("__metadata__") or {}
        if path.stem == "adapter_model" and beside.is_file():
            return {f"unet.{key}": value for key, value in read_config(beside).items()}
        return dict(json.loads(said.get(SETTINGS, "{}")))
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"{path}: its scales are broken ({error}); copy or download it again."
        ) from error


def _scale(name: str, rank: int, settings: dict[str, Any]) -> float:
    """α/r of a layer whose α is not beside its matrices; with rsLoRA α/√r (arXiv 2312.03732)."""
    part, _, layer = name.partition("/")
    own = settings.get(f"{part}.alpha_pattern") or {}
    ends = (
        (end.removeprefix("^").removeprefix("text_model.").replace(".", "_"), alpha)
        for end, alpha in own.items()
    )
    owns = (alpha for end, alpha in ends if f"_{layer}".endswith(f"_{end}"))
    alpha = next(owns, settings.get(f"{part}.lora_alpha", rank))
    return alpha / (math.sqrt(rank) if settings.get(f"{part}.use_rslora") else rank)


def _factors(weights: dict[str, Tensor]) -> tuple[dict[str, Factors], list[str]]:
    """Per layer its factors; and the names of what is nothing of this."""
    found: dict[str, Factors] = {}
    others = []
    for name, weight in weights.items():
        if layer_and_factor := factor_of(name):
            layer, factor = layer_and_factor
            found.setdefault(_plain(layer), {})[factor] = weight
        else:
            others.append(name)
    return {name: factors for name, factors in found.items() if factors.keys() - {"alpha"}}, others


def _plain(name: str) -> str:
    """A layer's name in any dialect as `part/name_with_underscores`."""
    start, part = next(
        ((start, part) for start, part in _STARTS if name.startswith(start)), ("", "unet")
    )
    name = re.sub(r"\.processor\.(to_\w+)$", r".\1", name.removeprefix(start))
    name = re.sub(
        r"\.self_attn\.to_(\w+)$", r".self_attn.\1_proj", name
    )  # diffusers' first dialect, in CLIP
    name = re.sub(r"\.to_out$", ".to_out.0", name)  # and it left the 0 out
    return f"{part}/{name.replace('.', '_').removeprefix('text_model_')}"


def _layers(parts: dict[str, Module], other_name: OtherName) -> dict[str, Layers]:
    """Every layer a LoRA may change, under each name the dialects have for it; several where they
    are one in the original layout."""
    own: dict[str, Layers] = {}
    originals: dict[str, Layers] = {}
    for part, network in parts.items():
        for name, layer in network.named_modules():
            if not isinstance(layer, Layer):
                continue
            own[_path(part, name)] = (layer,)
            if part == "unet":
                old = _path(part, other_name(name, network.config))
                originals[old] = (*originals.get(old, ()), layer)
    return originals | own


def _path(part: str, name: str) -> str:
    return f"{part}/{name.replace('.', '_').removeprefix('text_model_')}"


def _add(
    layers: Layers, strength: float, name: str, factors: Factors, settings: dict[str, Any]
) -> None:
    weight = torch.cat([widened(layer) for layer in layers])
    factors = {which: factor.to(weight.device, weight.dtype) for which, factor in factors.items()}
    delta, rank = change(factors)
    if rank is not None:
        delta = delta * (
            float(factors["alpha"]) / rank if "alpha" in factors else _scale(name, rank, settings)
        )
    if len(delta) != len(weight):  # the same count of numbers may be another layer's
        raise RuntimeError("other sizes")
    delta = remagnified(weight, delta.reshape(weight.shape), factors)
    if not delta.isfinite().all():
        raise Unsound
    changed = (weight + strength * delta).split([len(layer.weight) for layer in layers])
    for layer, part in zip(layers, changed):
        put(layer, part)
