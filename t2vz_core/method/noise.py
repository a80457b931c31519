"""Gaussian noise that belongs to a frame, and a warp that moves noise and leaves it noise.

The warp is the closed form of Deng et al., "Infinite-Resolution Integral Noise Warping" (ICLR 2025,
https://openreview.net/forum?id=Y6LPWBo2HP), for a map that is composed once and never chained.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from ..geometry.latent_maps import neighbours

DRAWS = 5
"""How many fields of white noise `warp_noise` takes: one per bilinear neighbour, one for what was
nowhere."""

_UNIT = 2.0**32


def keyed_noise(seed: int, number: int, shape: tuple[int, ...], purpose: str = "frame") -> Tensor:
    """White noise (*shape) float32 on the CPU, the same on every machine for the same key.

    Keyed by the scene's frame number and not by the place in a chunk, so that any part of a shot
    equals the same part of the whole.
    """
    key = hashlib.blake2b(f"{seed}/{number}/{purpose}".encode(), digest_size=8).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(key, "little"))
    return torch.randn(shape, generator=generator, dtype=torch.float32)


def warp_noise(
    noise: Tensor,
    cells: Tensor,
    draws: Tensor,
    visible: Tensor | None = None,
    *,
    wraps: bool = False,
) -> Tensor:
    """The white unit-variance field `noise` moved along `cells`; white and of unit variance for any
    map.

    Every target cell asks its four bilinear neighbours for noise. A neighbour shares itself out
    among all who ask it: each gets a part whose variance is its share, and the parts add up to the
    neighbour's value.

    Args:
        noise: (channels, h, w), of the anchor.
        cells: (h', w', 2) where each target lies in the anchor: x right, y down, in cells, centres
            at +0.5.
        draws: (DRAWS, channels, h', w') white noise of the target frame.
        visible: (h', w') bool; a target that is False asks for nothing and gets fresh noise.
        wraps: whether the noise goes on beyond its borders, from the other side.

    Returns:
        (channels, h', w'); exactly `noise` where the map is the identity.
    """
    channels, size = noise.shape[0], noise.shape[1] * noise.shape[2]
    source, weight = neighbours(
        cells, noise.shape[1], noise.shape[2], wraps=wraps
    )  # 2 × (4, h', w')
    if visible is not None:
        weight = weight * visible
    asked = _sum_by_source(weight[None], source, size)[0]  # -> (h·w,)
    share = weight / asked[source].clamp_min(1 / _UNIT)
    parts = _to_units(share.sqrt() * draws[:4].transpose(0, 1))  # -> (channels, 4, h', w')
    surplus = _sum_by_source(_from_units(parts), source, size)[
        :, source
    ]  # -> (channels, 4, h', w')
    # share·n + (part − share·S): the bracket is exactly 0 for a neighbour that only one target
    # asks.
    moved = share * noise.reshape(channels, size)[:, source] + (
        _from_units(parts) - share * surplus
    )
    variance = share.sum(0)
    return torch.where(variance > 1e-6, moved.sum(1) / variance.clamp_min(1e-6).sqrt(), draws[4])


def blend_noise(moved: Tensor, fresh: Tensor, kept: Tensor | float) -> Tensor:
    """√kept·moved + √(1−kept)·fresh: DDPM forward, kept = A = ᾱ_T/ᾱ_T′, one or one per cell (h,
    w)."""
    if isinstance(kept, Tensor):
        return kept.sqrt() * moved + (1 - kept).sqrt() * fresh
    return math.sqrt(kept) * moved + math.sqrt(1 - kept) * fresh


def _sum_by_source(values: Tensor, source: Tensor, size: int) -> Tensor:
    """The values (n, 4, h', w') added up per source cell -> (n, size).

    Added as whole numbers, whose sum has no order: the same bits in every run, on a GPU too.
    """
    units = _to_units(values).flatten(1)
    sums = units.new_zeros(values.shape[0], size)
    return _from_units(sums.scatter_add_(1, source.flatten().expand_as(units), units))


def _to_units(values: Tensor) -> Tensor:
    return (values * _UNIT).round().long()


def _from_units(units: Tensor) -> Tensor:
    return units.float() / _UNIT
