"""Fuses what the anchor shows into what a frame will show: x̂₀^k ← V⊙E(warp(D(x₀^1))) + (1−V)⊙x̂₀^k.

After the pixel-aware latent fusion of Rerender-A-Video (Yang et al., SIGGRAPH Asia 2023, arXiv 2306.07954), the exact
map in place of optical flow. The anchor is moved as a picture, between decoder D and encoder E: a latent does not move
by a part of its eight-pixel cells. Fused in the early steps, which settle layout and colours; the others blend it in.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import sample


def is_fused(step: int, steps: int, part: float) -> bool:
    """Whether step 0..steps−1 lies in the first `part` (0..1) of the steps."""
    return step < part * steps


def fuse(clean: Tensor, carried: Tensor, visible: Tensor) -> Tensor:
    """x̂₀^k (…, c, h, w), the encoded anchor `carried` here put where it saw the same: `visible` (…, 1, h, w), 0..1."""
    return visible * carried + (1 - visible) * clean


def carry(picture: np.ndarray, map_px: Tensor, visible: Tensor) -> np.ndarray:
    """The anchor's picture as far as a frame shows the same points; the rest is filled in from around.

    Args:
        picture: (H, W, 3) uint8.
        map_px: (H, W, 2) backward map of the frame.
        visible: (H, W) whether each point was visible in the anchor.

    Returns:
        (H, W, 3) uint8.
    """
    moved = sample(torch.from_numpy(picture).permute(2, 0, 1).float(), map_px.float().cpu(), "bicubic")
    filled = _filled(moved[None], (visible.cpu() > 0).float()[None, None])[0]
    return filled.permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def _filled(picture: Tensor, known: Tensor) -> Tensor:
    """(1, 3, H, W), its pixels that are not `known` (1, 1, H, W) taken from the finest scale that knows them."""
    height, width = picture.shape[-2:]
    if known.all() or height * width == 1:
        return picture
    odd = (0, width % 2, 0, height % 2)
    weight = F.avg_pool2d(F.pad(known, odd), 2)
    coarse = F.avg_pool2d(F.pad(picture * known, odd), 2) / weight.clamp_min(1e-6)
    coarse = F.interpolate(_filled(coarse, (weight > 0).float()), scale_factor=2, mode="bilinear")
    return known * picture + (1 - known) * coarse[..., :height, :width]
