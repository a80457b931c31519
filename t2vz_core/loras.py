"""LoRA files merged into the networks' weights: W + weight · α/r · B A (arXiv 2106.09685).

Three dialects name the same matrices: kohya's (`lora_unet_down_blocks_0_….lora_down.weight`, also with the original
layout's block names), diffusers' (`unet.down_blocks.0.….lora.down.weight`) and PEFT's (`….lora_A.weight`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import Conv2d, Linear, Module

from .original_names import original
from .weights import ModelError, header, read_weights

Layer = Linear | Conv2d

_STARTS = (  # what a dialect calls a part; longest first
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te_", "text_encoder"),
    ("lora_unet_", "unet"),
    ("unet.", "unet"),
    ("diffusion_model.", "unet"),
    ("base_model.model.", "unet"),
)
_MATRIX = re.compile(
    r"(?P<layer>.+?)(\.lora_linear_layer\.|\.lora[._]|_lora\.)(?P<which>down|up|A|B)(\.default)?\.weight"
)
_UNREAD = {"dora_scale": "a DoRA", "hada_w1_a": "a LoHa", "lokr_w1": "a LoKr", "lora_mid": "a Tucker LoCon"}


def merge(path: Path, weight: float, parts: dict[str, Module]) -> str:
    """Adds a LoRA file, `weight` strong, to the networks of `parts`; returns what of it found no place, or "".

    Raises:
        ModelError: the file is broken, no LoRA, of another kind, or made for another family of models.
    """
    path = _file(path)
    matrices = read_weights(path)
    for mark, kind in _UNREAD.items():
        if any(mark in name for name in matrices):
            raise ModelError(f"{path}: is {kind}, which this engine cannot add; use a plain LoRA.")
    alphas = _alphas(path)
    layers = _layers(parts)
    pairs = _pairs(matrices)
    if not pairs:
        raise ModelError(f"{path}: is no LoRA; none of its {len(matrices)} weights has a LoRA's name.")
    strange = sorted(pairs.keys() - layers.keys())
    if len(strange) == len(pairs):
        raise ModelError(f"{path}: was not made for this model, which has no {strange[0]} and the like.")
    for name, (down, up, alpha) in pairs.items():
        if name in layers:
            if alpha is None:
                alpha = alphas.get(f"{name.partition('/')[0]}.lora_alpha", down.shape[0])
            _add(layers[name], weight * float(alpha) / down.shape[0], down, up, path)
    return f"{path.name}: {len(strange)} of its {len(pairs)} layers have no place in this model." if strange else ""


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.safetensors"))
    if len(found) != 1:
        raise ModelError(f"{path}: holds {len(found)} .safetensors files; choose the LoRA's file itself.")
    return found[0]


def _alphas(path: Path) -> dict[str, Any]:
    """Scales that PEFT keeps in the file's metadata, by `part.lora_alpha`."""
    return json.loads(header(path).get("__metadata__", {}).get("lora_adapter_metadata", "{}"))


def _pairs(matrices: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor, Tensor | None]]:
    """Per layer its matrices A and B and, where the file has it, α."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in matrices.items():
        if name.endswith(".alpha"):
            found.setdefault(_plain(name.removesuffix(".alpha")), {})["alpha"] = tensor
        elif match := _MATRIX.fullmatch(name):
            which = {"A": "down", "B": "up"}.get(match["which"], match["which"])
            found.setdefault(_plain(match["layer"]), {})[which] = tensor
    return {
        name: (one["down"], one["up"], one.get("alpha")) for name, one in found.items() if {"down", "up"} <= one.keys()
    }


def _plain(name: str) -> str:
    """A layer's name in any dialect as `part/name_with_underscores`."""
    start, part = next(((start, part) for start, part in _STARTS if name.startswith(start)), ("", "unet"))
    name = re.sub(r"\.processor\.(to_\w+)$", r".\1", name.removeprefix(start))
    name = re.sub(r"\.to_out$", ".to_out.0", name)  # diffusers' first dialect left the 0 out
    return f"{part}/{name.replace('.', '_').removeprefix('text_model_')}"


def _layers(parts: dict[str, Module]) -> dict[str, Layer]:
    """Every layer a LoRA may change, under each name the dialects have for it."""
    return {f"{part}/{name}": layer for part, network in parts.items() for name, layer in _named(part, network)}


def _named(part: str, network: Module) -> Iterator[tuple[str, Layer]]:
    for name, layer in network.named_modules():
        if isinstance(layer, Layer):
            yield name.replace(".", "_").removeprefix("text_model_"), layer
            if part == "unet":
                old = original("unet", f"{name}.weight", network.config).removesuffix(".weight")
                yield old.replace(".", "_"), layer


def _add(layer: Layer, scale: float, down: Tensor, up: Tensor, path: Path) -> None:
    weight = layer.weight
    change = up.flatten(1).float() @ down.flatten(1).float()  # -> (out, in · kernel)
    if change.numel() != weight.numel() or len(change) != len(weight):
        raise ModelError(f"{path}: was made for another family of models; its layers have other sizes.")
    change = scale * change.to(weight.device).view_as(weight)
    layer.weight.data = (weight.float() + change).to(weight.dtype)
