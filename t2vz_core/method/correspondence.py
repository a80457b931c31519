"""Where each point that a frame shows lay in its anchor: T_k(p), and whether it was seen there.

By the scene's exact map, by the content's shift, or by the strength of the published method. x
right, y down; in latent cells or in pixels, centres at +0.5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..geometry.latent_maps import identity_map, map_to_cells
from ..job_folder.passes import Source
from ..wire.job import GRID, Frame, JobSpec
from ..wire.rules import has_scene_shapes


@dataclass(frozen=True)
class Correspondence:
    """Where what a frame shows lay in the anchor.

    Attributes:
        since: k − 1, how many frames of the shot lie between this one and its anchor.
        positions: (h, w, 2) where each cell or pixel lay.
        visible: (h, w) the part of each that was seen there, 0..1.
        ids: (h, w) of which object each is a part, where that is known.
        disturbed: (h, w) over 0 where the light may have changed since, where that is known.
    """

    frame: Frame
    since: int
    positions: Tensor
    visible: Tensor
    ids: np.ndarray | None = None
    disturbed: np.ndarray | None = None


def correspond(
    spec: JobSpec, source: Source, frame: Frame, since: int, h: int, w: int, by: str | None = None
) -> Correspondence:
    """T_k and V_k of a frame on h × w cells.

    Args:
        by: a motion mode of the wire; None: the job's own.
    """
    mode = by or spec.motion.mode
    if mode == "map":
        map_px = torch.from_numpy(source.read(frame, "map"))
        visible = torch.from_numpy(source.read(frame, "visible"))
        cells, seen = map_to_cells(map_px, visible, spec.shot.height_px // h)
        return Correspondence(frame, since, cells, seen)
    cells = identity_map(h, w) + torch.tensor(displacement(spec, frame, since, h))
    is_inside = ((cells > 0) & (cells < torch.tensor([w, h]))).all(-1)
    return Correspondence(frame, since, cells, is_inside.float())


def surface_mode(spec: JobSpec, frame: Frame, is_instruct: bool) -> str:
    """How surfaces are followed: by the frame's map where it fits, whatever moves the noise."""
    fits = frame.passes.map and has_scene_shapes(spec, is_instruct)
    return "map" if fits and not spec.motion.is_faithful else spec.motion.mode


def pixel_correspondence(
    spec: JobSpec, source: Source, frame: Frame, since: int, is_instruct: bool
) -> Correspondence:
    """Where the surfaces lay, pixel by pixel, whose they are, and where their light may have
    changed."""
    mode = surface_mode(spec, frame, is_instruct)
    height, width = spec.shot.height_px, spec.shot.width_px
    pixels = correspond(spec, source, frame, since, height, width, mode)
    if not has_scene_shapes(spec, is_instruct) and spec.motion.mode != "map":
        return pixels
    told = [name for name in ("ids", "disturbed") if getattr(frame.passes, name) is not None]
    return replace(pixels, **{name: source.read(frame, name) for name in told})


def displacement(spec: JobSpec, frame: Frame, since: int, h: int) -> tuple[float, float]:
    """δ^k in cells: the frame shows at p what the anchor has at p + δ. Equal in x and y whatever
    the aspect."""
    shot, motion = spec.shot, spec.motion
    cell_px = shot.height_px / h
    if motion.mode == "strength":
        cells_each = since * min(shot.width_px, shot.height_px) / GRID / cell_px
        return motion.strength[0] * cells_each, motion.strength[1] * cells_each
    if motion.mode == "translation":
        # content that went right: look further left
        return -frame.shift_px[0] / cell_px, -frame.shift_px[1] / cell_px
    return 0.0, 0.0
