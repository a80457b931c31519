"""Where the anchor's tokens are in other frames: the exact map, turned round.

A map tells where what a frame shows lay in the anchor; a transformer's keys are to be told where
what the anchor shows lies in the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry.latent_maps import neighbours
from .correspondence import Correspondence

SEEN = 0.25  # of a token's area; what a frame shows less of is hidden to it


@dataclass(frozen=True)
class Places:
    """Where the anchor's tokens are in f frames.

    Attributes:
        moved: (f, n, 2) by how far each has moved, x right, y down, in tokens.
        shown: (f, n) bool, which of them the frame shows.
    """

    moved: Tensor
    shown: Tensor


def places_of(surfaces: Sequence[Correspondence], patch: int) -> Places:
    """The places of the anchor's tokens in frames, by their backward maps.

    Every cell p of a frame asks the four tokens around T(p), where it was; a token is where those
    who ask lie in the mean, each set right by how far beside the token it asked.

    Args:
        patch: cells that a token is wide and high.
    """
    each = [_places(one, patch) for one in surfaces]
    moved, shown = zip(*each)
    return Places(torch.stack(moved), torch.stack(shown))


def _places(surface: Correspondence, patch: int) -> tuple[Tensor, Tensor]:
    h, w = surface.visible.shape
    rows, columns = h // patch, w // patch
    was = surface.positions / patch
    source, weight = neighbours(was, rows, columns)  # 2 × (4, h, w)
    weight = weight * (surface.visible > 0.5)
    now = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy"), -1) + 0.5
    went = now / patch - was  # -> (h, w, 2)
    index = source.flatten()
    asked = torch.zeros(rows * columns).index_add(0, index, weight.flatten())
    summed = torch.zeros(rows * columns, 2).index_add(
        0, index, (weight[..., None] * went).flatten(0, 2)
    )
    moved = summed / asked.clamp_min(1e-6)[:, None]
    return moved, asked > SEEN * patch**2
