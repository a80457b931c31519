"""Motion dynamics: the anchor's latent moved to where each frame shows it.

Khachatryan et al., https://arxiv.org/abs/2303.13439, section 3.3.1. x right, y down, in latent
cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..fault import Fault
from ..geometry.latent_maps import identity_map
from ..wire.job import GRID, JobSpec
from .correspondence import Correspondence
from .noise import DRAWS, keyed_noise, warp_noise


def warp(spec: JobSpec, here: Correspondence, latent: Tensor) -> Tensor:
    """W_k: the anchor's latent (1, c, h, w) as frame k sees it.

    Noise stays noise of unit variance. What the anchor did not see lies on a field of noise behind
    it that goes on beyond its borders, so that new content is the same in every frame that shows
    it.
    """
    if spec.motion.is_faithful:
        return published_warp(latent, *_published_displacement(spec, here))
    seed, shape = spec.sampling.seed, tuple(latent.shape[1:])
    draws = keyed_noise(seed, here.frame.number, (DRAWS, *shape), "warp").to(latent)
    behind = keyed_noise(seed, 0, shape, "behind").to(latent)
    cells, was_seen = here.positions.to(latent), (here.visible > 0.5).to(latent.device)
    seen = warp_noise(latent[0], cells, draws, was_seen)
    return torch.where(was_seen, seen, warp_noise(behind, cells, draws, ~was_seen, wraps=True))[
        None
    ]


def published_warp(latent: Tensor, x: float, y: float) -> Tensor:
    """The published code's warp by (x, y) 1/512ths of width and height, nearest, reflected at the
    border.

    It builds its grid from corners where grid_sample means centres, which biases every place by
    half a pixel of the 512 grid, −1/16 cell at 64 × 64: hence the uneven steps. Kept to reproduce
    published results.
    """
    field = (
        identity_map(GRID, GRID, latent.device) - 0.5 + torch.tensor([x, y], device=latent.device)
    )
    grid = (field / GRID * 2 - 1).permute(2, 0, 1)[None]  # -> (1, 2, 512, 512)
    grid = F.interpolate(grid, size=latent.shape[-2:], mode="bilinear").permute(0, 2, 3, 1)
    return F.grid_sample(
        latent, grid.to(latent), "nearest", padding_mode="reflection", align_corners=False
    )


def _published_displacement(spec: JobSpec, here: Correspondence) -> tuple[float, float]:
    """δ^k in 1/512ths of the width and of the height."""
    if spec.motion.mode == "strength":
        return here.since * spec.motion.strength[0], here.since * spec.motion.strength[1]
    if spec.motion.mode == "translation":
        x, y = here.frame.shift_px
        return -x * GRID / spec.shot.width_px, -y * GRID / spec.shot.height_px
    raise Fault(
        "The published code knows no maps: choose the motion strength or translation, "
        "or leave its mode off."
    )
