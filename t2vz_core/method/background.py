"""Holds the background still: x̄^k = M^k⊙x^k + (1−M^k)⊙(α·x̂^k + (1−α)·x^k), x̂^k the anchor moved
to frame k.

Text2Video-Zero, section 3.3.3 (arXiv 2303.13439); α weighs the moved anchor. The paper smooths
once, at T. There both terms are nearly noise, so the blend has too little of it, and a network that
is told of more noise than it gets paints blurs: dividing by the standard deviation of the blend
repairs this. At lower levels picture and noise are smoothed each for itself, x_t = √ᾱ_t·x̂₀ +
√(1−ᾱ_t)·ε, since only the noise loses variance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..fault import Fault
from ..geometry.latent_maps import mask_to_cells, sample
from ..job_folder.passes import Source
from ..wire.job import Coherence, Frame, JobSpec
from .correspondence import Correspondence


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


def background(source: Source, here: Correspondence, anchor: Frame) -> Tensor:
    """The part (h, w) of each cell of a frame that is background there and in the anchor, and was
    visible."""
    foreground, anchor_foreground = (
        mask_to_cells(torch.from_numpy(source.read(frame, "mask")))
        for frame in (here.frame, anchor)
    )
    return shared_background(foreground, anchor_foreground, here.positions, here.visible)


def shared_background(
    foreground: Tensor, anchor_foreground: Tensor, cells: Tensor, visible: Tensor | float = 1.0
) -> Tensor:
    """The part (h, w) of each cell that is background both in the frame and where its content was
    in the anchor.

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
        latents, moved: (…, channels, h, w).
        background: (h, w) or (f, 1, h, w), 0..1, where to smooth.
        alpha: weight of the moved anchor, 0..1.
        correlation: ρ between the two, a number or one per frame or cell, of pure noise; None
            leaves the variance lost, as published.
    """
    weight = alpha * background
    blend = weight * moved + (1 - weight) * latents
    if correlation is None:
        return blend
    return blend / torch.sqrt(
        weight**2 + (1 - weight) ** 2 + 2 * weight * (1 - weight) * correlation
    )


def smooth_level(
    x: Tensor,
    x0: Tensor,
    moved: tuple[Tensor, Tensor],
    background: Tensor,
    scales: tuple[float, float],
    tied: Coherence,
) -> Tensor:
    """The latents x_t^k (f, c, h, w) of a level with their background smoothed.

    Args:
        x0: x̂₀^k (f, c, h, w).
        moved: x̂₀ and ε of the anchor, moved to each frame (f, c, h, w).
        background: (f, 1, h, w) 0..1.
        scales: how much picture and how much noise there is, a and b.
    """
    clean, noise = smooth(x0, moved[0], background, tied.smoothing), 0.0
    a, b = scales
    if b > 0:
        own = (x - a * x0) / b
        shared = correlation(own, moved[1], background) if tied.keeps_variance else None
        noise = b * smooth(own, moved[1], background, tied.smoothing, shared)
    return a * clean + noise


def correlation(one: Tensor, two: Tensor, where: Tensor) -> Tensor:
    """ρ of two fields of noise (f, c, h, w) within `where` (f, 1, h, w) -> (f, 1, 1, 1)."""
    both, first, second = (
        (where * product).sum((1, 2, 3), keepdim=True)
        for product in (one * two, one * one, two * two)
    )
    return (both / (first * second).sqrt().clamp_min(1e-6)).clamp(0, 1)
