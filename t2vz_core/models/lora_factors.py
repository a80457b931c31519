"""The change of one weight, from the factors that LoRA and its relatives keep of it.

LoRA: arXiv 2106.09685, LoHa: 2108.06098, LoKr: 2309.14859, DoRA: 2402.09353; each may have a core
    for convolutions.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

Factors = dict[str, Tensor]

_LORA = re.compile(
    r"(?P<layer>.+?)(?:\.lora_linear_layer\.|\.lora[._]|_lora\.)(?P<which>down|up|mid|A|B)(?:\.default)?\.weight"
)
_RELATIVE = re.compile(
    r"(?P<layer>.+)\.(?P<which>alpha|dora_scale|lora_magnitude_vector|(?:hada|lokr)_[wt][12](?:_[ab])?)(?:\.weight)?"
)
_PEFT = {"A": "down", "B": "up"}


def factor_of(name: str) -> tuple[str, str] | None:
    """The layer whose factor has this name in a file, and which factor it is."""
    match = _LORA.fullmatch(name) or _RELATIVE.fullmatch(name)
    return match and (match["layer"], _PEFT.get(match["which"], match["which"]))


def change(factors: Factors) -> tuple[Tensor, int | None]:
    """ΔW, flat or in the weight's shape and not scaled yet, and the rank r of the scale α/r; None:
    it has no scale.

    Raises:
        KeyError: a factor is missing.
        RuntimeError: the factors do not fit each other.
    """
    if any(name.startswith("hada_") for name in factors):
        return _whole(factors, "hada_w1") * _whole(factors, "hada_w2"), len(factors["hada_w1_b"])
    if any(name.startswith("lokr_") for name in factors):
        first, second = _whole(factors, "lokr_w1"), _whole(factors, "lokr_w2")
        ranks = [len(factors[name]) for name in ("lokr_w2_b", "lokr_w1_b") if name in factors]
        return torch.kron(first.view(*first.shape, *[1] * (second.ndim - 2)), second), next(
            iter(ranks), None
        )
    down, up = factors["down"].flatten(1), factors["up"].flatten(1)
    if "mid" in factors:
        return _cored(factors["mid"], up.T, down), len(down)
    return up @ down, len(down)


def remagnified(weight: Tensor, delta: Tensor, factors: Factors) -> Tensor:
    """ΔW of DoRA, which also says how long each output (or input) of W + ΔW is to be."""
    scale = factors.get("lora_magnitude_vector", factors.get("dora_scale"))
    if scale is None:
        return delta
    is_input = "dora_scale" in factors and len(scale) == 1
    whole = weight + delta
    norm = torch.linalg.vector_norm(
        whole, dim=[i for i in range(whole.ndim) if i != is_input], keepdim=True
    )
    return whole * (scale.view_as(norm) / norm) - weight


def _whole(factors: Factors, name: str) -> Tensor:
    """A matrix that is kept as it is, or as two of low rank."""
    if name in factors:
        return factors[name]
    left, right, core = (
        factors[f"{name}_a"],
        factors[f"{name}_b"],
        factors.get(name.replace("_w", "_t")),
    )
    return left @ right if core is None else _cored(core, left, right)


def _cored(core: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Core (r, s, h, w) between left (r, out) and right (s, in) -> (out, in, h, w)."""
    return torch.einsum(
        "rshw,ro,si->oihw", core, left, right
    ).contiguous()  # as torch.kron needs it
