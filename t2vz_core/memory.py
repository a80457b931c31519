"""The anchor's keys and values of every step and layer, where there is room for them."""

from __future__ import annotations

import torch
from torch import Tensor

DEVICE, HOST, ONE_STEP = "device", "host", "one step"

Pair = tuple[Tensor, Tensor]


class Memory:
    """Keeps pairs on the device they come from, in the host's (page-locked) memory, or of one step only.

    Of one step only, the anchor's pass is made again beside the frames: slow, but it fits anywhere.
    """

    def __init__(self, place: str = DEVICE) -> None:
        self.place = place
        self._step = -1
        self._pairs: dict[tuple[int, str], Pair] = {}

    def has(self, step: int) -> bool:
        """Whether the pairs of this step are kept."""
        return any(known == step for known, _ in self._pairs)

    def put(self, step: int, layer: str, pair: Pair) -> None:
        """Keeps what a layer made at a step."""
        if self.place == ONE_STEP and step != self._step:
            self._pairs.clear()
        self._step = step
        self._pairs[step, layer] = (_to_host(pair[0]), _to_host(pair[1])) if self.place == HOST else pair

    def get(self, step: int, layer: str, device: torch.device) -> Pair:
        """What was kept, on `device`."""
        keys, values = self._pairs[step, layer]
        return keys.to(device, non_blocking=True), values.to(device, non_blocking=True)


def _to_host(tensor: Tensor) -> Tensor:
    if tensor.device.type != "cuda":
        return tensor.cpu()
    kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return kept.copy_(tensor, non_blocking=True)
