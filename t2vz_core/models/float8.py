"""Layers whose weights stay in eight bits, as files have them, and are widened while they work.

A file's weight is its number times a scale, one for each layer, or none; ComfyUI's names. Eight
bits hold half of what sixteen do, and a GPU of 8 GB then holds what one of 16 GB would.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gguf_file import is_quantised, quantise, whole
from .weights import ModelError

if TYPE_CHECKING:
    from pathlib import Path

NARROW = (torch.float8_e4m3fn, torch.float8_e5m2)
SCALE = ".scale_weight"
SCALES = (SCALE, ".weight_scale")  # of a layer, older and newer
_MARKS = ("scaled_fp8", ".scale_input", ".input_scale", ".comfy_quant", *SCALES)
_UNREAD = (torch.int8, torch.uint8, torch.int32)


class Float8Linear(nn.Linear):
    """A linear layer of narrow weights, each times `scale` (), or of ordinary ones."""

    scale: nn.Parameter | None

    def widened(self) -> Tensor:
        """Its weights (out, in), float32."""
        weight = self.weight.float()
        return weight if self.scale is None else weight * self.scale

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight.to(input.dtype)
        if self.scale is not None:
            weight = weight * self.scale.to(input.dtype)
        return F.linear(input, weight, self.bias)


def plain_names(names: Iterable[str]) -> list[str]:
    """The names of a file without those that only tell how it is quantised."""
    return [name for name in names if not name.endswith(_MARKS)]


def scale_name(name: str, names: Iterable[str]) -> str | None:
    """The name of the scale of the weight `name`, where a file of these names has one."""
    layer = name.removesuffix(".weight")
    return next((layer + end for end in SCALES if layer + end in names), None)


def take_scales(weights: dict[str, Tensor], what: str | Path) -> dict[str, Tensor]:
    """Takes the scales out of a network's weights, and returns them by their layers' names.

    Raises:
        ModelError: the weights are quantised in a way that is not read.
    """
    found = {name: weights.pop(name) for name in list(weights) if name.endswith(SCALE)}
    numbers = {name: weight for name, weight in weights.items() if not is_quantised(weight)}
    odd = [name for name, weight in numbers.items() if weight.dtype in _UNREAD]
    odd += [name for name, scale in found.items() if scale.numel() != 1]
    if odd:
        raise ModelError(
            f"{what} is quantised in a way that this engine does not read ({odd[0]}); "
            "take a file in bf16 or fp8."
        )
    return {name.removesuffix(SCALE): scale for name, scale in found.items()}


def narrow(
    network: nn.Module, weights: dict[str, Tensor], scales: dict[str, Tensor], dtype: torch.dtype
) -> set[str]:
    """Makes layers, which work in `dtype`, of those whose weights are narrow; returns the weights'
    names, which are to stay so. What a network is said to need in full (its embeddings of time and
    text) is widened in `weights` instead."""
    kept = set()
    layers = dict(network.named_modules())
    for key, weight in weights.items():
        name, _, end = key.rpartition(".")
        layer = layers[name]
        is_blocks = is_quantised(weight)
        if not is_blocks and weight.dtype not in NARROW:
            continue
        if type(layer) is not nn.Linear or end != "weight" or _is_precise(network, name):
            scale = scales.pop(name, torch.ones(())).float()
            weights[key] = whole(weight) if is_blocks else weight.float() * scale
            continue
        kept.add(key)
        if is_blocks:
            quantise(layer, weight, dtype)
        else:
            layer.__class__ = Float8Linear
            layer.register_parameter("scale", None)
    return kept


def widened(layer: nn.Linear | nn.Conv2d) -> Tensor:
    """A layer's weights, float32, however it keeps them."""
    if is_quantised(layer.weight):
        return whole(layer.weight)
    return layer.widened() if isinstance(layer, Float8Linear) else layer.weight.float()


def put(layer: nn.Linear | nn.Conv2d, weight: Tensor) -> None:
    """Gives a layer another weight; a narrow one becomes an ordinary one, since few bits would
    round away what a LoRA adds."""
    dtype = layer.weight.dtype
    if is_quantised(layer.weight):
        dtype = getattr(layer, "compute_dtype")  # noqa: B009, which no class of torch has
        layer.__class__ = nn.Linear  # pyright: ignore[reportAttributeAccessIssue]  # it is one
    elif isinstance(layer, Float8Linear):
        dtype, layer.scale = torch.bfloat16, None
    layer.weight = nn.Parameter(weight.to(dtype), requires_grad=False)


def scaled(network: nn.Module, scales: dict[str, Tensor]) -> None:
    """Gives narrow layers, whose weights are in place, their scales."""
    for name, layer in network.named_modules():
        if isinstance(layer, Float8Linear) and name in scales:
            scale = scales[name].float().reshape(()).to(layer.weight.device)
            layer.scale = nn.Parameter(scale, requires_grad=False)


def _is_precise(network: nn.Module, name: str) -> bool:
    patterns = getattr(network, "_skip_layerwise_casting_patterns", None) or ()
    return any(pattern in name for pattern in patterns)
