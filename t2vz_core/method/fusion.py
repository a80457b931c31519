"""Fuses what finished frames show into what a frame will show: x̂₀^k ← V⊙E(warp(D(x₀^1))) +
(1−V)⊙x̂₀^k.

After the pixel-aware latent fusion of Rerender-A-Video (Yang et al., SIGGRAPH Asia 2023, arXiv
2306.07954), the exact map in place of optical flow. The anchor is moved as a picture, between
decoder D and encoder E: a latent does not move by a part of its eight-pixel cells. What it loses on
the way there and back, x₀^1 − E(D(x₀^1)), is moved beside it and added, so that a frame that did
not move is its anchor. The early steps fuse, the others blend it in; fewer steps do where something
near has moved, since its shadow is no part of the surface that it falls on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry.latent_maps import map_to_cells, mask_to_cells, sample
from ..geometry.pixel_maps import Array, Link, link, warp
from ..models.networks import Networks
from ..wire.job import JobSpec
from ..wire.rules import fused_part
from .correspondence import Correspondence

HUNG = 2  # key frames that a frame is made of: the one before and the one after


@dataclass(frozen=True)
class Shown:
    """A finished frame.

    Attributes:
        picture: (H, W, 3) uint8.
        lost: (c, h, w), what the latent has beyond its encoded picture.
        pixels: where they lay in the anchor.
    """

    picture: Array
    lost: Tensor
    pixels: Correspondence


class Gallery:
    """The finished frames that others are fused with: the anchor, and the key frames before
    and after."""

    def __init__(self) -> None:
        self._shown: list[Shown] = []

    def hang(self, one: Shown) -> None:
        """Adds a finished frame, the anchor first; of the further ones the last two stay."""
        self._shown = [*self._shown[:1], *[*self._shown[1:], one][-HUNG:]]

    def seen_from(self, here: Correspondence) -> Iterator[tuple[Shown, Link]]:
        """The finished frames, the anchor first and then the nearest, and where the pixels of a
        frame lie in each."""
        anchor, *others = self._shown
        yield anchor, link_of(here)
        for one in sorted(others, key=lambda one: abs(one.pixels.since - here.since)):
            yield one, link(link_of(here), link_of(one.pixels), one.pixels.since / here.since)


def shown(networks: Networks, x: Tensor, picture: Array, pixels: Correspondence) -> Shown:
    """A finished frame as others see it: its latent x_0 (1, c, h, w), the picture of that, and
    where its pixels lay in the anchor."""
    encoded = networks.encode(picture[None])[0].float()
    return Shown(picture, (x[0].to(encoded) - encoded).cpu(), pixels)


@dataclass(frozen=True)
class Carried:
    """What was shown, moved to f frames.

    Attributes:
        x0: (f, c, h, w), x̂₀ as it would be if nothing but the surfaces had moved.
        known: (f, 1, h, w), the part of each cell that was shown, 0..1.
        steady: the same without what stands near to something that has moved.
    """

    x0: Tensor
    known: Tensor
    steady: Tensor


def carried(
    networks: Networks, gallery: Gallery, pixels: Sequence[Correspondence]
) -> Carried | None:
    """What was shown, moved to each frame; None where frames are not followed pixel by pixel."""
    if not pixels:
        return None
    seen = [list(gallery.seen_from(here)) for here in pixels]
    moved = [carry([(one.picture, to) for one, to in links]) for links in seen]
    pictures = [picture for picture, _ in moved]
    known = [mask for _, mask in moved]
    steady = [_without_disturbed(mask, here) for mask, here in zip(known, pixels)]
    lost = torch.stack([carry_lost([(one.lost, to) for one, to in links]) for links in seen])
    encoded = networks.encode(np.stack(pictures)).float()
    x0 = encoded + lost.to(encoded)
    return Carried(x0, _cells(known).to(encoded), _cells(steady).to(encoded))


def _without_disturbed(known: Array, here: Correspondence) -> Array:
    return known if here.disturbed is None else known & (here.disturbed == 0)


@dataclass(frozen=True)
class FusionSteps:
    """Which steps fuse, and at which of these the networks are asked.

    Where a step is fused whole, what the networks say of it is thrown away; they need not be asked.
    In between they are asked at every n-th, and what they said last stands for the parts that
    nobody has shown. It depends on the step alone, so that all frames agree.

    Attributes:
        start: the step at which the frames begin; steps: of how many.
        part: the first part (0..1) of all steps that is fused; disturbed: the same near to what has
            moved.
        every: of so many fused steps the networks are asked at one.
        may_skip: whether frames that are shown whole need no network at all.
    """

    start: int
    steps: int
    part: float
    disturbed: float
    every: int = 1
    may_skip: bool = True

    def mask(self, step: int, shows: Carried | None) -> Tensor | None:
        """The part (f, 1, h, w) of each cell that is taken from what was shown; None: no fusion."""
        if shows is None or not is_fused(step, self.steps, self.part):
            return None
        return shows.known if is_fused(step, self.steps, self.disturbed) else shows.steady

    def asks(self, step: int, mask: Tensor | None) -> bool:
        """Whether the networks are asked at a step."""
        if mask is None:
            return True
        is_due = (step - self.start) % self.every == 0
        return is_due and not (self.may_skip and bool((mask == 1).all()))


def fusion_steps(spec: JobSpec, is_instruct: bool, start: int, steps: int) -> FusionSteps:
    """The steps of a job that fuse; the first that frames take is `start`, of `steps`."""
    tied = spec.coherence
    return FusionSteps(
        start,
        steps,
        fused_part(spec, is_instruct),
        tied.fusion_disturbed,
        tied.network_every,
        # the deep layers sleep by the count of steps, and a frame must not depend on its neighbours
        may_skip=spec.sampling.deep_every == 1,
    )


def is_fused(step: int, steps: int, part: float) -> bool:
    """Whether step 0..steps−1 lies in the first `part` (0..1) of the steps."""
    return step < part * steps


def fuse(clean: Tensor, carried: Tensor, visible: Tensor) -> Tensor:
    """x̂₀^k (…, c, h, w), the encoded picture `carried` put where it shows the same: `visible` (…,
    1, h, w), 0..1."""
    return visible * carried + (1 - visible) * clean


def carry(shown: Iterable[tuple[Array, Link]]) -> tuple[Array, Array]:
    """What finished pictures show of a frame, the first that shows a point having its way; the rest
    filled from around.

    Args:
        shown: pictures (H, W, 3) uint8, and where the frame's points lie in each.

    Returns:
        picture (H, W, 3) uint8, and which of its pixels some picture showed (H, W) bool.
    """
    (first, to), *others = shown
    picture, known = warp(first, to.map, cv2.INTER_CUBIC), to.visible
    for other, to in others:
        new = to.visible & ~known
        picture, known = (
            np.where(new[..., None], warp(other, to.map, cv2.INTER_CUBIC), picture),
            known | new,
        )
    return filled(picture, known), known


def filled(picture: Array, known: Array) -> Array:
    """A picture (H, W, 3) uint8, what is not `known` (H, W) bool of it filled from around."""
    rows = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    whole = _filled(rows, torch.from_numpy(known)[None, None].float())[0]
    return whole.permute(1, 2, 0).round().to(torch.uint8).numpy()


def carry_lost(shown: Iterable[tuple[Tensor, Link]]) -> Tensor:
    """What their pictures lost of finished frames (c, h, w), moved like these; 0 where none of them
    shows anything."""
    total, rest = torch.zeros(()), torch.ones(())
    for lost, to in shown:
        cell_px = len(to.map) // lost.shape[1]
        cells, seen = map_to_cells(torch.from_numpy(to.map), torch.from_numpy(to.visible), cell_px)
        total = total + rest * seen * sample(lost, cells, "bicubic")
        rest = rest * (1 - seen)
    return total


def _cells(masks: Iterable[Array]) -> Tensor:
    """Masks (H, W) as the part (f, 1, h, w) of each cell that they cover."""
    return torch.stack([mask_to_cells(torch.from_numpy(mask))[None] for mask in masks])


def link_of(here: Correspondence) -> Link:
    """The same as geometry knows it."""
    return Link(here.positions.numpy(), here.visible.numpy() > 0, here.ids)


def _filled(picture: Tensor, known: Tensor) -> Tensor:
    """(1, 3, H, W), its pixels that are not `known` (1, 1, H, W) taken from the finest scale that
    knows them."""
    height, width = picture.shape[-2:]
    if known.all() or height * width == 1:
        return picture
    odd = (0, width % 2, 0, height % 2)
    weight = F.avg_pool2d(F.pad(known, odd), 2)
    coarse = F.avg_pool2d(F.pad(picture * known, odd), 2) / weight.clamp_min(1e-6)
    coarse = F.interpolate(_filled(coarse, (weight > 0).float()), scale_factor=2, mode="bilinear")
    return known * picture + (1 - known) * coarse[..., :height, :width]
