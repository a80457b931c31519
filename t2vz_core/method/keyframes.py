"""Further anchors that frames attend to, the nearer by the map the more.

Every n-th frame is one (`Coherence.anchor_every`); it attends to the first anchor alone, so that
its tokens can be made again at any time without those of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..geometry.latent_maps import identity_map
from ..runtime.token_cache import Memory
from ..wire.job import JobSpec
from .motion import Place

NEAREST = 0.1  # cells; what is nearer is as near


@dataclass
class Further:
    """A further anchor's way down, its latents (1, c, h, w) by level, and the memory of its
    tokens."""

    place: Place
    batch: Any
    x: dict[int, Tensor]
    memory: Memory


def are_attended(spec: JobSpec) -> bool:
    """Whether frames attend to further anchors."""
    tied = spec.coherence
    return tied.anchor_weight > 0 and tied.attention != "self" and not spec.motion.is_faithful


def nearness(here: Place, others: Sequence[Place]) -> Tensor:
    """How near each of the `others` is to a frame, (n,), 0..1; with that of the anchor itself they
    sum to 1.

    By the inverse of how far the cells moved in the mean.
    """
    anchor = identity_map(*here.visible.shape)
    places = torch.stack([anchor, *(one.cells for one in others)])
    away = (here.cells - places).norm(dim=-1).mean((1, 2)).clamp_min(NEAREST)  # -> (1 + n,)
    return ((1 / away) / (1 / away).sum())[1:]
