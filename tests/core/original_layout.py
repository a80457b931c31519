"""Writes networks as single files in Stable Diffusion's original layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from t2vz_core.models.single_file_names import PREFIXES, SHARED_PREFIXES, original


def model_weights(
    parts: dict[str, tuple[Module, dict[str, Any]]], family: str
) -> dict[str, Tensor]:
    """A whole model's tensors under their original names; `parts` are networks with their
    configurations."""
    prefixes = SHARED_PREFIXES | PREFIXES[family]
    weights: dict[str, Tensor] = {}
    for part, (network, config) in parts.items():
        weights |= part_weights(part, network.state_dict(), config, prefixes[part])
    return weights


def part_weights(
    part: str, state: dict[str, Tensor], config: dict[str, Any], prefix: str
) -> dict[str, Tensor]:
    """One network's tensors under their original names; queries, keys and values of OpenCLIP
    joined."""
    by_name: dict[str, list[Tensor]] = {}
    for name in sorted(state, key=_qkv_in_order):
        by_name.setdefault(prefix + original(part, name, config), []).append(state[name])
    return {name: _shaped(name, tensors) for name, tensors in by_name.items()}


def write(path: Path, weights: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    from safetensors.torch import save_file

    save_file(
        {name: weight.contiguous().clone() for name, weight in weights.items()}, path, metadata
    )
    return path


def _qkv_in_order(name: str) -> str:
    return name.replace(".q_proj.", ".0.").replace(".k_proj.", ".1.").replace(".v_proj.", ".2.")


def _shaped(name: str, tensors: list[Tensor]) -> Tensor:
    weight = torch.cat(tensors)
    if name.endswith(".text_projection"):
        return weight.T
    if ".mid.attn_1." in name and weight.ndim == 2:
        return weight[:, :, None, None]
    return weight
