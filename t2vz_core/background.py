"""Holds the background still: x̄^k = M^k⊙x^k + (1−M^k)⊙(α·x̂^k + (1−α)·x^k), x̂^k the anchor moved to frame k.

Text2Video-Zero, section 3.3.3 (arXiv 2303.13439); α weighs the moved anchor. The paper smooths once, at T. There
both terms are nearly noise, so the blend has too little of it, and a network that is told of more noise than it gets
paints blurs: dividing by the standard deviation of the blend repairs this.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .fault import Fault
from .geometry import sample
from .wire.job import JobSpec


def demand_masks(spec: JobSpec) -> None:
    """Makes sure that every frame says what is foreground, where smoothing is asked for.

    Raises:
        Fault: names the first frame without a mask.
    """
    for frame in spec.frames if spec.coherence.smoothing else ():
        if frame.passes.mask is None:
            raise Fault(
                f"Frame {frame.number} has no mask, so its background cannot be smoothed: "
                "choose which objects are foreground, or turn background smoothing off."
            )


def shared_background(
    foreground: Tensor, anchor_foreground: Tensor, cells: Tensor, visible: Tensor | float = 1.0
) -> Tensor:
    """The part (h, w) of each cell that is background both in the frame and where its content was in the anchor.

    Args:
        foreground, anchor_foreground: (h, w) covered part of each cell, 0..1.
        cells: (h, w, 2) backward map of the frame.
        visible: (h, w) part of each cell that was visible in the anchor.
    """
    before = sample(anchor_foreground[None], cells)[0]
    return (1 - foreground) * (1 - before) * visible


def smooth(
    latents: Tensor,
    moved: Tensor,
    background: Tensor,
    alpha: float,
    correlation: Tensor | float | None = None,
) -> Tensor:
    """The latents x^k with their background drawn towards the moved anchor x̂^k.

    Args:
        latents, moved: (channels, h, w).
        background: (h, w) 0..1, where to smooth.
        alpha: weight of the moved anchor, 0..1.
        correlation: ρ between the two, a number or one per cell (h, w), of pure noise; None leaves the variance
            lost, as published.
    """
    weight = alpha * background
    blend = weight * moved + (1 - weight) * latents
    if correlation is None:
        return blend
    return blend / torch.sqrt(weight**2 + (1 - weight) ** 2 + 2 * weight * (1 - weight) * correlation)
