"""Networks whose weights rest in the computer's memory and are lent to the device block by
block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

_LENT: WeakSet[nn.Module] = WeakSet()  # blocks that are lent already


def lend(network: nn.Module, device: torch.device) -> None:
    """From now on the network's weights, which are brought to the CPU, are on `device` only while
    their block works.

    Only for reading: what would be written to a lent weight is lost. Blocks that it shares with a
    network lent before stay as they are; weights of no block, which are small, move there for good.
    """
    for block in _blocks(network.cpu()):
        if block in _LENT:
            continue
        _LENT.add(block)
        kept = [
            (part, name, weight)
            for part in block.modules()
            for name, weight in part.named_parameters("", False)
        ]
        block.register_forward_pre_hook(lambda *_, kept=kept: _set(kept, device))
        block.register_forward_hook(lambda *_, kept=kept: _set(kept, None), always_call=True)
    for name, weight in network.named_parameters("", False):
        network._parameters[name] = nn.Parameter(weight.to(device), False)


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """What works at one time: residual blocks, transformers, single layers; each weight is in one
    of them."""
    for child in network.children():
        inner = list(child.children())
        holds_lists = bool(inner) and all(isinstance(one, nn.ModuleList) for one in inner)
        if isinstance(child, nn.ModuleList | nn.ModuleDict) or holds_lists:
            yield from _blocks(child)
        else:
            yield child


def _set(kept: list[tuple[nn.Module, str, Any]], device: torch.device | None) -> None:
    for module, name, weight in kept:
        module._parameters[name] = (
            weight if device is None else nn.Parameter(borrowed(weight, device), False)
        )


def borrowed(weight: Tensor, device: torch.device) -> Tensor:
    """A weight on the device, for as long as its block works."""
    return weight.detach().to(device)
