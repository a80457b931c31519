"""Where a ray meets a ball, cube, cylinder, cone, torus or capsule, and the normal there.

Every solid stands at the origin of its own space with z as its axis. `size` is (…, 3): radius
across, half height along z, and the tube's radius of a torus. Rays are o + t·d with d of any
length, so t keeps the caller's unit.
"""

import torch
from torch import Tensor

BALL, CUBE, CYLINDER, CONE, TORUS, CAPSULE = range(6)
KINDS = (BALL, CUBE, CYLINDER, CONE, TORUS, CAPSULE)
MISS = float("inf")
NEAR = 1e-3


def intersect(kind: int, o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    """First t > NEAR at which each ray o + t·d, both (n, p, 3), enters the solid of size (n, 1, 3);
    else inf. (n, p)"""
    return (_ball, _cube, _cylinder, _cone, _torus, _capsule)[kind](o, d, size)


def normal(kind: int, p: Tensor, size: Tensor) -> Tensor:
    """Outward unit normals (n, p, 3) at surface points p (n, p, 3)."""
    radius, half, _ = size.unbind(-1)
    axis_distance = p[..., :2].norm(dim=-1)
    if kind == CUBE:
        face = (p / size[..., [0, 0, 1]]).abs().argmax(-1, keepdim=True)
        return torch.zeros_like(p).scatter(-1, face, p.gather(-1, face).sign())
    if kind in (CYLINDER, CONE):
        slope = radius / (2 * half) if kind == CONE else torch.zeros_like(radius)
        side = torch.stack([p[..., 0], p[..., 1], axis_distance * slope], -1)
        wall = radius - (p[..., 2] + half) * slope
        on_cap = (half - p[..., 2].abs()).abs() < (wall - axis_distance).abs()
        if kind == CONE:
            on_cap &= p[..., 2] < 0
        cap = torch.zeros_like(p)
        cap[..., 2] = p[..., 2].sign()
        return torch.nn.functional.normalize(torch.where(on_cap[..., None], cap, side), dim=-1)
    if kind == TORUS:
        ring = p * p.new_tensor([1.0, 1.0, 0.0])
        p = p - torch.nn.functional.normalize(ring, dim=-1) * radius[..., None]
    if kind == CAPSULE:
        along = p[..., 2].clamp(-half, half)
        p = torch.cat([p[..., :2], (p[..., 2] - along)[..., None]], -1)
    return torch.nn.functional.normalize(p, dim=-1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Along the last axis; several times faster than (a * b).sum(-1) for short axes."""
    x, *rest = (a * b).unbind(-1)
    return sum(rest, x)


def _entering(t: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid & (t > NEAR), t, MISS)


def _quadratic(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Roots of a t² + 2 b t + c, in order, and whether they are real."""
    inside = b * b - a * c
    root = inside.clamp_min(0).sqrt()
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    first, second = (-b - root) / a, (-b + root) / a
    return torch.minimum(first, second), torch.maximum(first, second), inside > 0


def _ball(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    t, _, real = _quadratic(dot(d, d), dot(o, d), dot(o, o) - size[..., 0] ** 2)
    return _entering(t, real)


def _cube(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    step = torch.where(d.abs() < 1e-9, 1e-9, d)
    half = size[..., [0, 0, 1]]
    a, b = (-half - o) / step, (half - o) / step
    enter, leave = torch.minimum(a, b).amax(-1), torch.maximum(a, b).amin(-1)
    return _entering(enter, enter < leave)


def _cap(o: Tensor, d: Tensor, height: Tensor, radius: Tensor) -> Tensor:
    t = (height - o[..., 2]) / torch.where(d[..., 2].abs() < 1e-9, 1e-9, d[..., 2])
    return _entering(
        t, (o[..., 0] + t * d[..., 0]) ** 2 + (o[..., 1] + t * d[..., 1]) ** 2 < radius**2
    )


def _cylinder(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    radius, half, _ = size.unbind(-1)
    across_o, across_d = o[..., :2], d[..., :2]
    a, b = dot(across_d, across_d), dot(across_o, across_d)
    t, _, real = _quadratic(a, b, dot(across_o, across_o) - radius**2)
    wall = _entering(t, real & ((o[..., 2] + t * d[..., 2]).abs() < half))
    return torch.minimum(wall, torch.minimum(_cap(o, d, half, radius), _cap(o, d, -half, radius)))


def _cone(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    radius, half, _ = size.unbind(-1)
    k = (radius / (2 * half)) ** 2
    drop, fall = half - o[..., 2], -d[..., 2]
    a = dot(d[..., :2], d[..., :2]) - k * fall**2
    b = dot(o[..., :2], d[..., :2]) - k * drop * fall
    c = dot(o[..., :2], o[..., :2]) - k * drop**2
    nearer, farther, real = _quadratic(a, b, c)
    sides = [
        _entering(t, real & ((o[..., 2] + t * d[..., 2]).abs() < half)) for t in (nearer, farther)
    ]
    return torch.minimum(torch.minimum(*sides), _cap(o, d, -half, radius))


def _capsule(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    radius, half, _ = size.unbind(-1)
    a, b = dot(d[..., :2], d[..., :2]), dot(o[..., :2], d[..., :2])
    t, _, real = _quadratic(a, b, dot(o[..., :2], o[..., :2]) - radius**2)
    best = _entering(t, real & ((o[..., 2] + t * d[..., 2]).abs() < half))
    for end in (half, -half):
        shifted = torch.stack([o[..., 0], o[..., 1], o[..., 2] - end], -1)
        best = torch.minimum(best, _ball(shifted, d, size))
    return best


def _torus(o: Tensor, d: Tensor, size: Tensor, steps: int = 48) -> Tensor:
    """By sphere tracing from the bounding ball's entrance; the last step is below 1e-4 of the
    radius."""
    radius, _, tube = size.unbind(-1)
    length = d.norm(dim=-1)
    enter, leave, real = _quadratic(dot(d, d), dot(o, d), dot(o, o) - (radius + tube) ** 2)
    real &= leave > NEAR
    rays = real.nonzero(as_tuple=True)
    row = rays[0]
    o, d, length, t, leave = (
        o.expand(d.shape)[rays],
        d[rays],
        length[rays],
        enter.clamp_min(NEAR)[rays],
        leave[rays],
    )
    radius, tube = radius[row, 0], tube[row, 0]
    gap = t  # of the last step, below
    for _ in range(steps):
        p = o + t[:, None] * d
        gap = ((p[:, :2].norm(dim=-1) - radius).square() + p[:, 2] ** 2).sqrt() - tube
        t = t + gap / length
    hit = (gap.abs() < 2e-3 * radius) & (t < leave + 1e-3) & (t > NEAR)
    return torch.full_like(enter, MISS).index_put(rays, torch.where(hit, t, MISS))
