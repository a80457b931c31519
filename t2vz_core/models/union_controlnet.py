"""Union ControlNets: one network that reads several kinds of condition, also several at once.

xinsir's ControlNet++ and its promax, https://github.com/xinsir6/ControlNetPlus, as diffusers'
`ControlNetUnionModel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .weights import ModelError, header, weight_files

if TYPE_CHECKING:
    from .families import ClassPath, Steering

UNION_CLASS: ClassPath = ("diffusers.models.controlnets.controlnet_union", "ControlNetUnionModel")
MARK = "task_embedding"  # a weight that only these have
TYPES = {  # our conditions, and the numbers by which the network knows them
    "pose": 0,
    "depth": 1,
    "edges": 3,
    "outline": 3,
    "normal": 4,
    "segments": 5,
}


def is_union(config: Mapping[str, Any]) -> bool:
    """Whether a ControlNet of this configuration is one."""
    return "num_control_type" in config


def union_config(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """What sets one apart from a ControlNet, by the shapes of its weights; else nothing."""
    if MARK not in shapes:
        return {}
    kinds, width = shapes[MARK]
    layers = {name.split(".")[1] for name in shapes if name.startswith("transformer_layes.")}
    return {
        "num_control_type": kinds,
        "num_trans_channel": width,
        "num_trans_layer": len(layers),
        "num_proj_channel": shapes.get("spatial_ch_projs.weight", [width])[0],
    }


def together(controls: Sequence[Steering]) -> list[list[Steering]]:
    """The controls of a step, call by call: those of one union network, for the same groups, in
    one."""
    calls: dict[object, list[Steering]] = {}
    for i, one in enumerate(controls):
        shares = is_union(one.network.config)
        key = (one.network, one.groups, one.is_guess) if shares else i
        calls.setdefault(key, []).append(one)
    return list(calls.values())


def conditions_of(call: Sequence[Steering]) -> dict[str, Any]:
    """What a network is shown: the arguments that differ between a union and others."""
    first = call[0]
    pictures = [one.input.repeat(len(one.groups), 1, 1, 1) for one in call]  # (led·f, 3, H, W)
    if not is_union(first.network.config):
        return {"controlnet_cond": pictures[0], "conditioning_scale": first.scale}
    numbers = [TYPES[one.kind] for one in call]
    said = torch.zeros(len(pictures[0]), first.network.config.num_control_type)
    said[:, numbers] = 1
    return {
        "controlnet_cond": pictures,
        "control_type": said.to(pictures[0]),
        "control_type_idx": numbers,
        "conditioning_scale": [one.scale for one in call],
    }


def union_file(path: Path, prefers_half: bool, allow_pickle: bool) -> Path:
    """The file of a union ControlNet's folder, since their configurations are of many kinds; any
    other path as it is."""
    if not path.is_dir():
        return path
    try:
        (file,) = weight_files(path, prefers_half, allow_pickle)
        return file if MARK in header(file) else path
    except (ModelError, ValueError):
        return path  # opening it says what is wrong
