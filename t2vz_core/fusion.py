"""Fuses what the anchor will show into what a frame will show: x̂₀^k ← V⊙warp(x̂₀^1) + (1−V)⊙x̂₀^k.

After Rerender-A-Video (Yang et al., SIGGRAPH Asia 2023, arXiv 2306.07954), the exact map in place of optical flow.
In the early steps, which settle colours and layout; later it would only blur.
"""

from __future__ import annotations

from torch import Tensor

from .geometry import sample


def is_fused(step: int, steps: int, part: float) -> bool:
    """Whether step 0..steps−1 lies in the first `part` (0..1) of the steps."""
    return step < part * steps


def fuse(clean: Tensor, anchor_clean: Tensor, cells: Tensor, visible: Tensor) -> Tensor:
    """x̂₀^k (channels, h, w) with the anchor's x̂₀^1 (channels, h, w) put where the frame shows the same points.

    Args:
        cells: (h, w, 2) backward map of the frame.
        visible: (h, w) part of each cell that was visible in the anchor, 0..1.
    """
    return visible * sample(anchor_clean, cells, "bicubic") + (1 - visible) * clean
