"""Words for each object: text attention becomes Σ_o M_o ⊙ Attn(Q, K_o, V_o) in every layer.

The masks M_o are how much of each token an object covers, by the ids pass, times how strongly its
words count; the shared prompt has the rest, Σ_o M_o = 1. As the attention mode of hako-mikan's
Regional Prompter, whose regions are rectangles drawn by hand. In the first steps, in which a
picture decides what is where, a token listens to whom most of it belongs; later the borders are
soft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry.latent_maps import mask_to_cells
from ..job_folder.passes import Source
from ..wire.job import Frame, JobSpec
from .guidance import PROMPT

HARD = 0.4  # first part of the steps with hard borders


@dataclass(frozen=True)
class Areas:
    """Where the regions lie in f frames.

    Attributes:
        cover: (f, r, h, w), the part of each latent cell that a region covers, 0..1.
        strength: (f, r), how much its words count there, 0..1.
    """

    cover: Tensor
    strength: Tensor


@dataclass(frozen=True)
class RegionalText:
    """What the text attention of a batch reads beside the shared prompt.

    Attributes:
        tokens: (r·groups, L, d), each region's words for each group of guidance; the same object
            every time, by which attention knows that it has projected them.
        areas: of the frames of a group.
        is_hard: each token belongs to one region.
    """

    tokens: Tensor
    areas: Areas
    is_hard: bool

    def masks(self, count: int) -> Tensor:
        """M_o (f, r, count) at a layer of `count` tokens; what is left of 1 is the shared
        prompt's."""
        cover = F.adaptive_avg_pool2d(self.areas.cover, layer_size(self.areas.cover, count))
        cover = cover.flatten(2)  # -> (f, r, count)
        if self.is_hard:
            rest = 1 - cover.sum(1, keepdim=True)
            owner = torch.cat([rest, cover], 1).argmax(1)  # -> (f, count), 0 is the shared prompt
            cover = F.one_hot(owner, cover.shape[1] + 1)[..., 1:].movedim(-1, 1).to(cover)
        return cover * self.areas.strength[..., None]


def layer_size(cells: Tensor, count: int) -> tuple[int, int]:
    """Height and width of a layer of `count` tokens: the latent's (…, h, w), halved any number of
    times, rounded up."""
    h, w = cells.shape[-2:]
    while h * w > count:
        h, w = (h + 1) // 2, (w + 1) // 2
    return h, w


def unseen(spec: JobSpec, source: Source) -> list[str]:
    """What is said of objects that no frame of a job shows.

    Raises:
        Fault: a frame has no ids pass.
    """
    said = [(f"regions[{i}] ({one.text!r})", one.ids) for i, one in enumerate(spec.regions)]
    said += [(f"repaints[{i}]", one.ids) for i, one in enumerate(spec.repaints)]
    if not said:
        return []
    shown = set[int]().union(*(np.unique(source.read(f, "ids")).tolist() for f in spec.frames))
    return [
        f"{name} is about objects that no frame shows: it changes nothing."
        for name, ids in said
        if shown.isdisjoint(ids)
    ]


class Regions:
    """Embeddings of what a job's regions are described by."""

    def __init__(self, spec: JobSpec, networks: Any) -> None:
        self._regions, self._device, self._dtype = spec.regions, networks.device, networks.dtype
        self._kept: dict[tuple[str, ...], Tensor] = {}
        if not self._regions:
            return
        texts = [one.text for one in self._regions]
        negatives = [one.negative or spec.prompt.negative for one in self._regions]
        embedded = networks.embed(
            [*texts, *negatives], spec.prompt.clip_skip, spec.prompt.syntax
        ).tokens
        self._texts, self._negatives = embedded.chunk(2)  # -> (r, L, d) each

    def areas(self, source: Source, frames: Sequence[Frame]) -> Areas | None:
        """Where the regions lie in some frames; None where the job has none.

        Raises:
            Fault: a frame has no ids pass.
        """
        if not self._regions:
            return None
        cover = [self._cover(source.read(frame, "ids")) for frame in frames]
        own = [one.strength for one in self._regions]
        strength = [list(frame.region_strengths) or own for frame in frames]
        return Areas(
            torch.stack(cover).to(self._device), torch.tensor(strength, device=self._device)
        )

    def _cover(self, ids: np.ndarray) -> Tensor:
        """(r, h, w); where two regions name an object, it is the first one's."""
        free = np.ones(ids.shape, bool)
        cover = []
        for region in self._regions:
            own = np.isin(ids, region.ids) & free
            free &= ~own
            cover.append(mask_to_cells(torch.from_numpy(own)))
        return torch.stack(cover)

    def text(
        self, groups: tuple[str, ...], areas: Areas | None, step: int, steps: int
    ) -> RegionalText | None:
        """What the text attention of a batch of these groups reads; None where there is none."""
        if areas is None:
            return None
        if groups not in self._kept:
            by_group = [self._texts if group == PROMPT else self._negatives for group in groups]
            self._kept[groups] = torch.stack(by_group, 1).flatten(0, 1).to(self._dtype)
        return RegionalText(self._kept[groups], areas, step < HARD * steps)
