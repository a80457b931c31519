"""The demo world: a few solids on a ground under a sky, ray cast exactly, many scenes at once.

World: z up, ground at z = 0, metre-like units. Pictures: x right, y down, origin top-left, pixel
centres at +0.5. Depth is planar (along the camera's axis), in world units; sky is at infinity.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from . import paint, solids
from .solids import dot

SKY, GROUND = -1, 0
METAL = 3


@dataclass(frozen=True)
class Camera:
    """b cameras: eye (b, 3); axes (b, 3, 3), rows right, down, forward; focal length (b,) in
    picture sides."""

    eye: Tensor
    axes: Tensor
    focal: Tensor

    def rays(self, size: int) -> Tensor:
        """(b, size², 3) ray directions whose length makes the ray parameter the planar depth."""
        steps = (torch.arange(size, device=self.eye.device) + 0.5) / size - 0.5
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        x, y = (axis.reshape(1, -1) / self.focal[:, None] for axis in (x, y))
        return torch.stack([x, y, torch.ones_like(x)], -1) @ self.axes

    def project(self, points: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Pixel positions (b, n, 2) and planar depths (b, n) of world points (b, n, 3)."""
        seen = (points - self.eye[:, None]) @ self.axes.mT
        depth = seen[..., 2]
        return (seen[..., :2] / depth[..., None] * self.focal[:, None, None] + 0.5) * size, depth


@dataclass(frozen=True)
class Scene:
    """b scenes of up to k solids; a `kind` of -1 is an empty place. `finish` counts
    captions.FINISHES, and so on."""

    kind: Tensor  # (b, k)
    centre: Tensor  # (b, k, 3)
    rotation: Tensor  # (b, k, 3, 3), columns are the solid's axes in the world
    size: Tensor  # (b, k, 3), see solids
    colour: Tensor  # (b, k, 3)
    finish: Tensor  # (b, k)
    ground: Tensor  # (b,)
    sky: Tensor  # (b,)
    sun: Tensor  # (b, 3), unit, towards the light


Rows = TypeVar("Rows", Camera, Scene)


def pick(what: Rows, rows: slice | Tensor) -> Rows:
    """Some of the b cameras or scenes."""
    return type(what)(*(getattr(what, field.name)[rows] for field in fields(what)))


def place_on(what: Rows, device: str | torch.device) -> Rows:
    """The same cameras or scenes on another device."""
    return type(what)(*(getattr(what, field.name).to(device) for field in fields(what)))


@dataclass(frozen=True)
class View:
    """b square pictures: colour (b, h, w, 3) in 0..1, depth (b, h, w), world normal and point (b,
    h, w, 3), part (b, h, w): SKY, GROUND or the place of the solid + 1."""

    colour: Tensor
    depth: Tensor
    normal: Tensor
    point: Tensor
    part: Tensor


@torch.no_grad()
def render(scene: Scene, camera: Camera, size: int) -> View:
    """One ray through the centre of each pixel."""
    rays = camera.rays(size)
    eye = camera.eye[:, None].expand_as(rays)
    depth, part = _cast(scene, eye, rays)
    point = eye + torch.where(part == SKY, 1.0, depth)[..., None] * rays
    surface = _surface(scene, point, part)
    colour = _shade(scene, normalize(rays, dim=-1), depth, point, part, *surface)
    square = (rays.shape[0], size, size)
    return View(
        colour.clamp(0, 1).reshape(*square, 3),
        depth.reshape(square),
        surface[0].reshape(*square, 3),
        point.reshape(*square, 3),
        part.reshape(square),
    )


def photograph(scene: Scene, camera: Camera, size: int) -> tuple[Tensor, Tensor]:
    """Smooth-edged colour (b, 3, size, size) in 0..1 and inverse depth (b, 1, size, size), 2.25
    rays a pixel."""
    view = render(scene, camera, size * 3 // 2)
    colour, nearness = view.colour.movedim(-1, 1), view.depth.reciprocal()[:, None]
    return adaptive_avg_pool2d(colour, size), adaptive_avg_pool2d(nearness, size)


def move(scene: Scene, offset: Tensor, turn: Tensor) -> Scene:
    """The scene with its solids moved by `offset` (b, k, 3) and turned in place by `turn` (b, k, 3,
    3)."""
    return replace(scene, centre=scene.centre + offset, rotation=turn @ scene.rotation)


def backward_map(
    view: View, scene: Scene, camera: Camera, before: Scene, watcher: Camera
) -> tuple[Tensor, Tensor]:
    """For a view of `scene` by `camera`: where each pixel was for the `watcher` of the scene
    `before`.

    Positions (b, h, w, 2) in pixels, and whether it could be seen from there, (b, h, w).
    """
    size = view.part.shape[-1]
    part, point = view.part.flatten(1), view.point.flatten(1, 2)
    is_sky = part == SKY
    sky = (
        watcher.eye[:, None] + point - camera.eye[:, None]
    )  # infinitely far: the same direction from either eye
    origin = torch.where(is_sky[..., None], sky, _carry(point, part, scene, before))
    position, depth = watcher.project(origin, size)
    rays = origin - watcher.eye[:, None]
    first, _ = _cast(before, watcher.eye[:, None].expand_as(rays), rays)
    is_first = torch.where(is_sky, first.isinf(), first > 1 - 1e-3)
    is_inside = ((position >= 0) & (position < size)).all(-1) & (depth > 0)
    return position.unflatten(1, (size, size)), (is_first & is_inside).unflatten(1, (size, size))


def _carry(point: Tensor, part: Tensor, now: Scene, before: Scene) -> Tensor:
    """Points (b, n, 3) of the scene `now`, each taken along with its solid to where it was
    `before`."""
    place = (part - 1).clamp_min(0)
    at = [scene.centre.gather(1, place[..., None].expand(-1, -1, 3)) for scene in (now, before)]
    turn = before.rotation @ now.rotation.mT  # (b, k, 3, 3)
    turn = turn.flatten(2).gather(1, place[..., None].expand(-1, -1, 9)).unflatten(2, (3, 3))
    moved = (turn @ (point - at[0])[..., None])[..., 0] + at[1]
    return torch.where((part > GROUND)[..., None], moved, point)


def _solids(scene: Scene) -> Iterator[tuple[int, int, Tensor]]:
    """Each place and kind in use: (place, kind, the scenes that have it there)."""
    for place in range(scene.kind.shape[1]):
        for kind in solids.KINDS:
            rows = (scene.kind[:, place] == kind).nonzero()[:, 0]
            if len(rows):
                yield place, kind, rows


def _hits(
    scene: Scene, origin: Tensor, rays: Tensor, wanted: Tensor
) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """(place, scenes, rays, ray parameters), all (m,), of every solid and those wanted (b, p) that
    come near it."""
    for place, kind, rows in _solids(scene):
        size = scene.size[rows, place]
        away = origin[rows] - scene.centre[rows, place][:, None]
        row, ray = (
            (
                _comes_near(away, rays[rows], size[:, 0] * 2**0.5 + size[:, 1] + size[:, 2])
                & wanted[rows]
            )
            .nonzero()
            .unbind(1)
        )
        turn = scene.rotation[rows, place][row]
        o, d = (
            _turned(vectors[row, ray], turn)[:, None] for vectors in (away, rays[rows])
        )  # (m, 1, 3)
        yield place, rows[row], ray, solids.intersect(kind, o, d, size[row][:, None])[:, 0]


def _comes_near(away: Tensor, rays: Tensor, reach: Tensor) -> Tensor:
    """Whether each ray (n, p, 3) from `away` of a solid's centre passes its bounding ball, radius
    `reach` (n,). (n, p)"""
    along = dot(away, rays)
    return dot(away, away) - along * along / dot(rays, rays) < (reach * reach)[:, None]


def _turned(vectors: Tensor, turn: Tensor) -> Tensor:
    """Each of the vectors (m, 3) times its matrix (m, 3, 3)."""
    x, y, z = vectors[:, :, None].unbind(1)
    return x * turn[:, 0] + y * turn[:, 1] + z * turn[:, 2]


def _cast(scene: Scene, origin: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """First hit of each ray (b, p, 3): its parameter, inf for the sky, and its part; both (b,
    p)."""
    fall = -rays[..., 2]
    down = origin[..., 2] / fall
    t = torch.where((fall > 1e-6) & (down > solids.NEAR), down, solids.MISS)
    part = torch.where(t.isinf(), SKY, GROUND)
    for place, row, ray, hit in _hits(scene, origin, rays, torch.ones_like(t, dtype=torch.bool)):
        nearer = hit < t[row, ray]
        t[row, ray] = torch.where(nearer, hit, t[row, ray])
        part[row, ray] = torch.where(nearer, place + 1, part[row, ray])
    return t, part


def _surface(scene: Scene, point: Tensor, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Normal, unlit colour (b, p, 3) and whether it is metal (b, p) of what is seen."""
    normal = torch.zeros_like(point)
    normal[..., 2] = part == GROUND
    albedo = torch.zeros_like(point)
    for place, kind, rows in _solids(scene):
        row, here = (part[rows] == place + 1).nonzero().unbind(1)
        row = rows[row]
        size, turn = scene.size[row, place][:, None], scene.rotation[row, place]
        local = _turned(point[row, here] - scene.centre[row, place], turn)[:, None]  # (m, 1, 3)
        normal[row, here] = _turned(solids.normal(kind, local, size)[:, 0], turn.mT)
        painted = paint.finish_colour(
            scene.finish[row, place], scene.colour[row, place], local / size[..., :1]
        )
        albedo[row, here] = painted[:, 0]
    is_metal = (part > GROUND) & (scene.finish.gather(1, (part - 1).clamp_min(0)) == METAL)
    return normal, albedo, is_metal


def _shade(
    scene: Scene,
    gaze: Tensor,
    depth: Tensor,
    point: Tensor,
    part: Tensor,
    normal: Tensor,
    albedo: Tensor,
    is_metal: Tensor,
) -> Tensor:
    """Lit colours (b, p, 3)."""
    sunlight, ambient = paint.daylight(scene.sky, gaze)
    sky = paint.sky_colour(scene.sky, gaze, scene.sun)
    fade = torch.where(part == SKY, 0.0, torch.exp(-((depth.clamp_max(1e3) / 14) ** 2)))
    ground = paint.ground_colour(scene.ground, point, fade)
    albedo = torch.where((part == GROUND)[..., None], ground, albedo)
    facing = dot(normal, scene.sun[:, None]).clamp_min(0)
    lit = facing * ~_in_shadow(scene, point + 3e-3 * normal, (facing > 0) & (part > SKY))
    dome = (0.72 + 0.28 * normal[..., 2]) * (1 - _crowding(scene, point, part))
    colour = albedo * (ambient * dome[..., None] + sunlight * lit[..., None])
    mirror = gaze - 2 * dot(gaze, normal)[..., None] * normal
    highlight = dot(mirror, scene.sun[:, None]).clamp_min(0) ** 24 * (part > GROUND) * (lit > 0)
    colour = colour + 0.45 * highlight[..., None] * sunlight
    colour = torch.where(
        is_metal[..., None], _polished(scene, colour, albedo, mirror, point), colour
    )
    horizon = paint.sky_colour(scene.sky, gaze * gaze.new_tensor([1.0, 1.0, 0.0]), scene.sun)
    mist = 1 - torch.exp(-((depth.clamp_max(1e3) / 45) ** 2))
    return torch.where((part == SKY)[..., None], sky, colour + (horizon - colour) * mist[..., None])


def _polished(
    scene: Scene, colour: Tensor, albedo: Tensor, mirror: Tensor, point: Tensor
) -> Tensor:
    """Half paint, half a tinted mirror of the sky above and the ground below."""
    above = paint.sky_colour(scene.sky, mirror, scene.sun)
    sunlight, ambient = paint.daylight(scene.sky, mirror)
    below = paint.ground_colour(scene.ground, point, torch.zeros_like(point[..., 0])) * (
        ambient + 0.4 * sunlight
    )
    blend = (mirror[..., 2:] * 6 + 0.5).clamp(0, 1)
    return 0.6 * colour + 0.7 * (0.25 + 0.75 * albedo) * (below + (above - below) * blend)


def _in_shadow(scene: Scene, origin: Tensor, wanted: Tensor) -> Tensor:
    rays = scene.sun[:, None].expand_as(origin)
    dark = torch.zeros_like(wanted)
    for _, row, ray, hit in _hits(scene, origin, rays, wanted):
        dark[row, ray] |= hit.isfinite()
    return dark


def _crowding(scene: Scene, point: Tensor, part: Tensor) -> Tensor:
    """How much of the sky's light nearby solids keep from the ground, 0..1."""
    free = torch.ones_like(point[..., 0])
    for place, _, rows in _solids(scene):
        size, away = scene.size[rows, place, None], point[rows] - scene.centre[rows, place][:, None]
        reach = size[..., 0] * 1.05 + size[..., 1] * 0.23
        free[rows] *= 1 - 0.62 * torch.exp(-dot(away, away) / reach**2)
    return torch.where(part == GROUND, 1 - free, 0.0)
