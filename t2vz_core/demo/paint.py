"""What colour skies, grounds and finishes are, at each point, as smooth functions of where it
is."""

import torch
from torch import Tensor

from .captions import GROUNDS, SKIES
from .solids import dot

#       (horizon, zenith, sunlight, ambient light), linear-looking display colours in 0..1
SKY_COLOURS = {
    "blue": ((0.78, 0.90, 1.00), (0.20, 0.48, 0.92), (0.64, 0.61, 0.55), (0.55, 0.57, 0.61)),
    "cloudy": ((0.86, 0.87, 0.89), (0.58, 0.61, 0.66), (0.30, 0.30, 0.30), (0.72, 0.72, 0.74)),
    "sunset": ((1.00, 0.62, 0.22), (0.48, 0.22, 0.48), (0.74, 0.50, 0.30), (0.54, 0.45, 0.47)),
    "night": ((0.13, 0.16, 0.34), (0.02, 0.03, 0.12), (0.36, 0.40, 0.52), (0.40, 0.42, 0.54)),
}
GROUND_COLOURS = {
    "grass": ((0.34, 0.62, 0.16), (0.22, 0.46, 0.10)),
    "sand": ((0.93, 0.80, 0.54), (0.82, 0.66, 0.40)),
    "snow": ((0.97, 0.98, 1.00), (0.86, 0.90, 0.97)),
    "asphalt": ((0.36, 0.36, 0.38), (0.27, 0.27, 0.29)),
    "water": ((0.10, 0.42, 0.58), (0.05, 0.28, 0.46)),
    "wood": ((0.64, 0.40, 0.20), (0.46, 0.26, 0.12)),
}
_SKY_ORDER, _GROUND_ORDER = tuple(SKIES), tuple(GROUNDS)


def _mix(a: Tensor, b: Tensor, amount: Tensor) -> Tensor:
    return a + (b - a) * amount


def _table(rows: list, like: Tensor) -> Tensor:
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def daylight(sky: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Sunlight and ambient light, each (b, 1, 3), of the skies (b,)."""
    table = _table([SKY_COLOURS[name][2:] for name in _SKY_ORDER], like)[sky]
    return table[:, None, 0], table[:, None, 1]


def sky_colour(sky: Tensor, direction: Tensor, sun: Tensor) -> Tensor:
    """Colours (b, p, 3) of the skies (b,) along unit directions (b, p, 3); `sun` (b, 3) points to
    the light."""
    table = _table([SKY_COLOURS[name][:2] for name in _SKY_ORDER], direction)[sky]
    x, y, z = direction.unbind(-1)
    height = z.clamp(0, 1)
    colour = _mix(
        table[:, None, 0], table[:, None, 1], (height * 1.6).clamp(0, 1).sqrt()[..., None]
    )
    u, v = x / (height + 0.25), y / (height + 0.25)
    puffs = torch.sin(2.1 * u + torch.sin(1.7 * v)) + torch.sin(2.6 * v + 1.3 * torch.sin(2.3 * u))
    strength = _table([0.55, 0.75, 0.35, 0.0], direction)[sky][:, None]
    cloud = ((puffs - 0.55) * 1.1).clamp(0, 1) * strength * (height * 8).clamp(0, 1)
    white = _table(
        [[1.0, 1.0, 1.0], [0.95, 0.95, 0.96], [1.0, 0.55, 0.45], [0.2, 0.2, 0.3]], direction
    )[sky]
    colour = _mix(colour, white[:, None], cloud[..., None])
    disc = dot(direction, sun[:, None])
    glow = _table([0.0, 0.0, 1.0, 1.0], direction)[sky][:, None] * ((disc - 0.985) * 300).clamp(
        0, 1
    )
    return _mix(colour, _table([1.0, 0.93, 0.75], direction).expand_as(colour), glow[..., None])


def ground_colour(ground: Tensor, p: Tensor, fade: Tensor) -> Tensor:
    """Unlit colours (b, n, 3) of the grounds (b,) at world points p (b, n, 3); `fade` (b, n) 1
    near, 0 far away."""
    light, dark = _table([GROUND_COLOURS[name] for name in _GROUND_ORDER], p)[ground].unbind(1)
    x, y = p[..., 0], p[..., 1]
    blotches = torch.sin(2.3 * x + 1.7 * torch.sin(1.9 * y)) * torch.sin(
        2.9 * y + 1.3 * torch.sin(2.1 * x)
    )
    ripples = torch.sin(5.0 * y + 1.2 * torch.sin(1.1 * x)) * 0.7
    planks = (
        torch.sin(torch.floor(x * 1.6) * 12.9898)
        + (torch.sin(x * 1.6 * torch.pi).abs() < 0.1) * 1.2
    )
    pattern = {
        "grass": blotches,
        "sand": ripples,
        "snow": blotches,
        "asphalt": blotches,
        "water": ripples,
        "wood": planks,
    }
    chosen = torch.stack([pattern[name] for name in _GROUND_ORDER], 1)
    chosen = chosen.gather(1, ground[:, None, None].expand(-1, 1, chosen.shape[-1]))[:, 0]
    return _mix(light[:, None], dark[:, None], (0.5 + 0.5 * chosen * fade).clamp(0, 1)[..., None])


def finish_colour(finish: Tensor, colour: Tensor, p: Tensor) -> Tensor:
    """Unlit colours (n, m, 3) of finishes (n,) in base colours (n, 3) at points p (n, m, 3) of the
    solid's own space, scaled to a radius of one."""
    brightness = colour.mean(-1, keepdim=True)
    second = torch.where(brightness < 0.2, colour + 0.36, colour * 0.42)
    around = torch.atan2(p[..., 1], p[..., 0]) * (4 / torch.pi)
    stripes = torch.floor(p[..., 2] * 2.5 + 0.25) % 2
    checks = (torch.floor(p[..., 2] * 2.2 + 100.25) + torch.floor(around + 0.31)) % 2
    kind = finish[:, None]
    amount = torch.where(kind == 1, stripes, torch.where(kind == 2, checks, 0.0))
    return _mix(colour[:, None], second[:, None], amount[..., None])
