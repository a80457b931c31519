"""The anchor's tokens of every step and layer, kept where there is room for them.

Its keys and values are projected of them again for every chunk: that costs little and keeps half as
much.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from .memory_budget import free_bytes, free_host_bytes

DEVICE, HOST, ONE_STEP = "device", "host", "one step"
SHARE = 0.5  # of the free memory that may be taken


class TokenCache:
    """Keeps tokens on their device, in the host's (page-locked) memory, or of one step only.

    Of one step only, the anchor's pass is made again beside the frames: slower, but it fits
    anywhere. Which of them is chosen by the size of the first step's tokens.

    Args:
        steps: of how many steps tokens will be kept.
        store: where; None: by size.
    """

    def __init__(self, steps: int, store: str | None = None) -> None:
        self.store = store
        self._count = steps
        self._steps: dict[int, dict[str, Tensor]] = {}

    def another(self) -> TokenCache:
        """One more, for as many steps; where there is no room here, there is none there."""
        return TokenCache(self._count, ONE_STEP if self.store == ONE_STEP else None)

    def has(self, step: int) -> bool:
        """Whether the tokens of this step are kept."""
        return step in self._steps

    @contextmanager
    def keeping(self, step: int) -> Iterator[None]:
        """What is put meanwhile is of this step, in place of what was kept of it; half of it is
        dropped if the work fails."""
        if self.store is None and self._steps:
            self.store = self._chosen_store()
        if self.store == ONE_STEP:
            self._steps.clear()
        self._steps[step] = {}
        try:
            yield
        except BaseException:
            del self._steps[step]
            raise

    def put(self, step: int, layer: str, tokens: Tensor) -> None:
        """Keeps what a layer saw at a step."""
        self._steps[step][layer] = _to_host(tokens) if self.store == HOST else tokens

    def get(self, step: int, layer: str, device: torch.device) -> Tensor:
        """What was kept, on `device`."""
        return self._steps[step][layer].to(device, non_blocking=True)

    def shrink(self) -> bool:
        """Keeps one step only from now on; False where that is so already."""
        if self.store == ONE_STEP:
            return False
        self.store = ONE_STEP
        self._steps.clear()
        return True

    def _chosen_store(self) -> str:
        kept = [tokens for layers in self._steps.values() for tokens in layers.values()]
        needed = sum(tokens.nbytes for tokens in kept) // len(self._steps) * self._count
        device = kept[0].device
        if needed <= SHARE * free_bytes(device):
            return DEVICE
        is_beside = device.type != "cpu"
        return HOST if is_beside and needed <= SHARE * free_host_bytes() else ONE_STEP


def _to_host(tensor: Tensor) -> Tensor:
    if tensor.device.type != "cuda":
        return tensor.cpu()
    kept = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return kept.copy_(tensor, non_blocking=True)
