"""The anchor's keys and values of every step and layer, where there is room for them."""

from __future__ import annotations

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]


class Memory:
    """Keeps pairs on the device they come from, or in the host's (page-locked) memory."""

    def __init__(self, is_on_host: bool = False) -> None:
        self._is_on_host = is_on_host
        self._pairs: dict[tuple[int, str], Pair] = {}

    def put(self, step: int, layer: str, pair: Pair) -> None:
        """Keeps what a layer made at a step."""
        self._pairs[step, layer] = (_to_host(pair[0]), _to_host(pair[1])) if self._is_on_host else pair

    def get(self, step: int, layer: str, device: torch.device) -> Pair:
        """What was kept, on `device`."""
        keys, values = self._pairs[step, layer]
        return keys.to(device, non_blocking=True), values.to(device, non_blocking=True)


def _to_host(tensor: Tensor) -> Tensor:
    if tensor.device.type != "cuda":
        return tensor.cpu()
    kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return kept.copy_(tensor, non_blocking=True)
