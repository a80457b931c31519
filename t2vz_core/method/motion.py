"""Motion dynamics: where each frame's cells lie in the anchor frame, and the anchor's latent moved
there.

Khachatryan et al., https://arxiv.org/abs/2303.13439, section 3.3.1. x right, y down, in latent
cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..fault import Fault
from ..geometry.latent_maps import identity_map, map_to_cells
from ..job_folder.passes import Source
from ..wire.job import GRID, Frame, JobSpec
from .noise import DRAWS, keyed_noise, warp_noise


@dataclass(frozen=True)
class Place:
    """Where what a frame shows lay in the anchor.

    Attributes:
        since: k − 1, how many frames of the shot lie between this one and its anchor.
        cells: (h, w, 2) the place of each cell, centres at +0.5.
        visible: (h, w) the part of each cell that was seen there, 0..1.
        ids: (h, w) of which object each is a part, where that is known.
        disturbed: (h, w) over 0 where the light may have changed since, where that is known.
    """

    frame: Frame
    since: int
    cells: Tensor
    visible: Tensor
    ids: np.ndarray | None = None
    disturbed: np.ndarray | None = None


def place(spec: JobSpec, source: Source, frame: Frame, since: int, h: int, w: int) -> Place:
    """T_k and V_k of a frame, from its map, its shift or the strength."""
    if spec.motion.mode == "map":
        map_px, visible = (
            torch.from_numpy(source.read(frame, name)) for name in ("map", "visible")
        )
        return Place(frame, since, *map_to_cells(map_px, visible, spec.shot.height_px // h))
    cells = identity_map(h, w) + torch.tensor(displacement(spec, frame, since, h))
    is_inside = ((cells > 0) & (cells < torch.tensor([w, h]))).all(-1)
    return Place(frame, since, cells, is_inside.float())


def displacement(spec: JobSpec, frame: Frame, since: int, h: int) -> tuple[float, float]:
    """δ^k in cells: the frame shows at p what the anchor has at p + δ. Equal in x and y whatever
    the aspect."""
    shot, motion = spec.shot, spec.motion
    cell_px = shot.height_px / h
    if motion.mode == "strength":
        cells_each = since * min(shot.width_px, shot.height_px) / GRID / cell_px
        return motion.strength[0] * cells_each, motion.strength[1] * cells_each
    if motion.mode == "translation":
        return -frame.shift_px[0] / cell_px, -frame.shift_px[
            1
        ] / cell_px  # content went right: look further left
    return 0.0, 0.0


def warp(spec: JobSpec, here: Place, latent: Tensor) -> Tensor:
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
    cells, was_seen = here.cells.to(latent), (here.visible > 0.5).to(latent.device)
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


def _published_displacement(spec: JobSpec, here: Place) -> tuple[float, float]:
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
