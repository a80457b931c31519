"""Motion dynamics: where each frame's cells lie in the anchor frame, and the anchor's latent moved there.

Khachatryan et al., https://arxiv.org/abs/2303.13439, section 3.3.1. x right, y down, in latent cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import identity_map, map_to_cells
from .noise import DRAWS, keyed_noise, warp_noise
from .passes import Source
from .wire.job import Frame, JobSpec

GRID = 512  # the strength's unit is 1/512 of the picture's shorter side


def moved(spec: JobSpec, source: Source, frame: Frame, since: int, latent: Tensor) -> Tensor:
    """W_k: the anchor's latent as frame k sees it; noise stays noise, and what came into view gets fresh noise.

    Args:
        since: k − 1, how many frames of the shot lie between this one and its anchor.
        latent: (1, c, h, w) of the anchor.

    Returns:
        (1, c, h, w).
    """
    h, w = latent.shape[-2:]
    if spec.motion.mode == "none":
        return latent
    if spec.motion.is_faithful:
        return published_warp(latent, since * spec.motion.strength[0], since * spec.motion.strength[1])
    cells, visible = backward_map(spec, source, frame, since, h, w)
    draws = keyed_noise(spec.sampling.seed, frame.number, (DRAWS, *latent.shape[1:]), "motion")
    return warp_noise(latent[0], cells.to(latent), draws.to(latent), visible.to(latent.device))[None]


def backward_map(
    spec: JobSpec, source: Source, frame: Frame, since: int, h: int, w: int
) -> tuple[Tensor, Tensor]:
    """T_k: the place (h, w, 2) in the anchor of each cell of the frame, and whether it was seen there (h, w) bool."""
    if spec.motion.mode == "map":
        map_px, visible = (torch.from_numpy(source.read(frame, name)) for name in ("map", "visible"))
        cells, part = map_to_cells(map_px, visible, spec.shot.height_px // h)
        return cells, part > 0.5
    x, y = displacement(spec, frame, since, h)
    return identity_map(h, w) + torch.tensor([x, y]), torch.ones(h, w, dtype=torch.bool)


def displacement(spec: JobSpec, frame: Frame, since: int, h: int) -> tuple[float, float]:
    """δ^k in cells: the frame shows at p what the anchor has at p + δ. Equal in x and y at any size."""
    shot, motion = spec.shot, spec.motion
    cell_px = shot.height_px / h
    if motion.mode == "strength":
        unit_px = min(shot.width_px, shot.height_px) / GRID
        return since * motion.strength[0] * unit_px / cell_px, since * motion.strength[1] * unit_px / cell_px
    return -frame.shift_px[0] / cell_px, -frame.shift_px[1] / cell_px  # content goes right: look further left


def published_warp(latent: Tensor, x: float, y: float) -> Tensor:
    """The published code's warp by (x, y) 1/512ths of width and height, nearest, reflected at the border.

    It builds its grid from corners where grid_sample means centres, which biases every place by half a pixel of
    the 512 grid, −1/16 cell at 64 × 64: hence the uneven steps. Kept to reproduce published results.
    """
    field = identity_map(GRID, GRID, latent.device) - 0.5 + torch.tensor([x, y], device=latent.device)
    grid = (field / GRID * 2 - 1).permute(2, 0, 1)[None]  # -> (1, 2, 512, 512)
    grid = F.interpolate(grid, size=latent.shape[-2:], mode="bilinear").permute(0, 2, 3, 1)
    return F.grid_sample(latent, grid.to(latent), "nearest", padding_mode="reflection", align_corners=False)
