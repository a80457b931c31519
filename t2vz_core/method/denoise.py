"""Frames on their way down the noise levels, as UNet and ControlNets see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..conditions.controlnet import conditions
from ..fault import Fault
from ..job_folder.passes import Source, pictures_to_tensor
from ..wire.job import Control, Frame, JobSpec
from .attention import ALONE, ANCHOR, FRAMES, CrossFrame, Sight
from .background import background, smooth_level
from .deep_cache import Deep, Features
from .fusion import Carried, Gallery, carried, fuse, fused_part, has_scene_shapes, is_fused, shown
from .guidance import NOTHING, PROMPT, among_groups, group_weights, of_groups
from .keyframes import Further, are_attended, nearness
from .motion import Place, place, warp
from .noise import keyed_noise
from .prompts import Prompts
from .solvers import Descent


@dataclass
class Batch:
    """What steers some frames, made once for all their steps."""

    frames: list[Frame]
    controls: list[Tensor]  # one (f, 3, H, W) within 0..1 per ControlNet
    source: Tensor | None  # (f, 4, h, w) latents of the source pictures, InstructPix2Pix
    sight: Sight = field(default_factory=Sight)
    deep: Features = field(default_factory=dict)


@dataclass
class Path:
    """The anchor's way down: its latents (1, c, h, w) at every level."""

    batch: Batch
    x: list[Tensor]


class Denoiser:
    """Takes frames down the noise levels; `tick(frames)` is called after every step of as many
    frames."""

    def __init__(
        self,
        spec: JobSpec,
        source: Source,
        networks: Any,
        descent: Descent,
        attention: CrossFrame,
        deep: Deep,
        tick: Callable[[int], None],
    ) -> None:
        self._spec, self._source, self._networks = spec, source, networks
        self._descent, self._attention, self._deep, self._tick = descent, attention, deep, tick
        self._prompts = Prompts(spec, networks)
        self._has_scene_shapes = has_scene_shapes(spec, networks.is_instruct)
        self._gallery, self._fused = Gallery(), fused_part(spec, self._has_scene_shapes)
        self._smoothed = spec.coherence.smoothing_until if spec.coherence.smoothing else 0.0
        self._further: list[Further] = []
        self.device = networks.device

    def anchor(self, frame: Frame, x: Tensor, kept_from: int) -> Path:
        """The anchor's own way down, from level 0; its K and V are kept from the step `kept_from`
        on."""
        path = Path(self._batch([frame]), [x])
        step = self._descent.begin(0)
        for i in range(len(self._descent)):
            x0 = self._x0(path.batch, path.x[i], i, ANCHOR if i >= kept_from else ALONE)
            path.x.append(step(path.x[i], x0, i, self._fresh(path.batch, x0, i)))
            self._tick(1)
        return path

    def frames(
        self, places: list[Place], x: Tensor, start: int, anchor: Path, *, is_further: bool = False
    ) -> Tensor:
        """The frames' way down from level `start` to x_0 (f, c, h, w).

        Args:
            is_further: a single frame, to which those to come will attend.
        """
        batch = self._batch([here.frame for here in places])
        batch.sight = self._sight(places, is_further)
        step, steps, path = self._descent.begin(start), len(self._descent), {start: x}
        shows = self._carried(places) if self._carries else None
        for i in range(start, steps):
            x0 = self._beside_anchor(batch, x, i, anchor)
            if shows and is_fused(i, steps, self._fused):
                is_whole = is_fused(i, steps, self._spec.coherence.fusion_disturbed)
                x0 = fuse(x0, shows.x0, shows.known if is_whole else shows.steady)
            x = step(x, x0, i, self._fresh(batch, x0, i))
            if shows and is_fused(i, steps, self._smoothed):
                x = self._smooth(places, x, x0, i + 1, anchor, shows.x0)
            if is_further:
                path[i + 1] = x
            self._tick(len(places))
        if batch.sight.keeps:
            self._further = [
                *self._further[-1:],
                Further(places[0], batch, path, batch.sight.keeps),
            ]
        return x

    def show(self, here: Place, x: Tensor) -> None:
        """Lets the frames to come know a finished one, x_0 (1, c, h, w), where they are made of
        others."""
        if self._carries:
            self._gallery.hang(shown(self._networks, x, self._pixels(here)))

    def _carried(self, places: list[Place]) -> Carried:
        return carried(self._networks, self._gallery, [self._pixels(here) for here in places])

    def shrink(self) -> bool:
        """Keeps the anchors' tokens of one step only from now on; False where that is so
        already."""
        return any(
            [
                memory.shrink()
                for memory in (self._attention.memory, *(one.memory for one in self._further))
            ]
        )

    @property
    def _carries(self) -> bool:
        """Whether frames are made of what finished ones show."""
        return self._fused > 0 or self._smoothed > 0

    def _sight(self, places: list[Place], is_further: bool) -> Sight:
        """What the frames attend to beside the anchor."""
        h, w = places[0].visible.shape
        surfaces = [self._surface(here, h, w) for here in places]
        sight = Sight()
        if self._spec.coherence.attention == "anchor+hidden":
            sight.hidden = torch.stack([1 - here.visible for here in surfaces]).to(self.device)
        if are_attended(self._spec) and is_further:
            sight.keeps = self._attention.memory.another()
        elif are_attended(self._spec) and self._further:
            others = [self._surface(one.place, h, w) for one in self._further]
            near = torch.stack([nearness(here, others) for here in surfaces])
            sight.further = tuple(one.memory for one in self._further)
            sight.weights = (self._spec.coherence.anchor_weight * near).to(self.device)
        return sight

    def _smooth(
        self, places: list[Place], x: Tensor, x0: Tensor, i: int, anchor: Path, shows: Tensor
    ) -> Tensor:
        """The latents x at level i with their background drawn towards the anchor, its picture and
        its noise."""
        h, w = x.shape[2:]
        where = [
            background(self._source, self._surface(here, h, w), anchor.batch.frames[0])
            for here in places
        ]
        alpha_bar = float(self._descent.alpha_bar[i])
        noise = (anchor.x[i] - alpha_bar**0.5 * anchor.x[-1]) / max(1 - alpha_bar, 1e-6) ** 0.5
        moved = torch.cat([warp(self._spec, here, noise) for here in places])
        where = torch.stack(where)[:, None].to(x)
        return smooth_level(x, x0, (shows, moved), where, alpha_bar, self._spec.coherence)

    def _pixels(self, here: Place) -> Place:
        """Where the surfaces lay, pixel by pixel, whose they are, and where their light may have
        changed."""
        pixels = self._surface(here, self._spec.shot.height_px, self._spec.shot.width_px)
        is_scene = self._has_scene_shapes or self._spec.motion.mode == "map"
        known = [
            name
            for name in ("ids", "disturbed")
            if is_scene and getattr(here.frame.passes, name) is not None
        ]
        return replace(pixels, **{name: self._source.read(here.frame, name) for name in known})

    def _surface(self, here: Place, h: int, w: int) -> Place:
        """Where the surfaces lay in the anchor: by the frame's map where it fits, whatever moves
        the noise."""
        motion = self._spec.motion
        if here.frame.passes.map and self._has_scene_shapes and not motion.is_faithful:
            motion = replace(motion, mode="map")
        return place(replace(self._spec, motion=motion), self._source, here.frame, here.since, h, w)

    def _beside_anchor(self, batch: Batch, x: Tensor, i: int, anchor: Path) -> Tensor:
        if self._spec.coherence.attention == "self":
            return self._x0(batch, x, i, ALONE)
        if not self._attention.memory.has(i):
            self._x0(anchor.batch, anchor.x[i], i, ANCHOR)
        for one in self._further if batch.sight.further else ():
            if not one.memory.has(i):
                self._x0(one.batch, one.x[i], i, FRAMES)
        return self._x0(batch, x, i, FRAMES)

    def _x0(self, batch: Batch, x: Tensor, i: int, role: str) -> Tensor:
        """x̂_0 (f, c, h, w) of the latents x at level i."""
        weights = group_weights(
            self._spec.sampling, i, len(self._descent), self._networks.is_instruct
        )
        groups = tuple(weights)
        self._attention.turn(i, role, batch.sight)
        self._deep.turn(batch.deep, groups, i)
        time = torch.tensor(self._descent.times[i], device=x.device)
        text = self._prompts.condition(groups, batch.frames)
        z = self._to_network(x).repeat(len(groups), 1, 1, 1)  # -> (groups·f, c, h, w)
        more = self._residuals(batch, z, time, i, groups)
        if batch.source is not None:
            z = torch.cat(
                [z, torch.cat([batch.source * (group != NOTHING) for group in groups])], 1
            )
        output = self._networks.unet(z, time, **text, **more, return_dict=False)[0].float()
        guided = sum(
            weights[group] * part for group, part in zip(groups, output.chunk(len(groups)))
        )
        if not torch.isfinite(guided).all():
            raise Fault(
                f"The networks lost themselves at step {i + 1} (not a number) while making frame "
                f"{batch.frames[0].number}: choose precision float32, "
                "or bfloat16 where the device has it."
            )
        return self._descent.x0(x, guided, i)

    def _residuals(
        self, batch: Batch, z: Tensor, time: Tensor, i: int, groups: tuple[str, ...]
    ) -> dict[str, Any]:
        """What the ControlNets add to the UNet at this step."""
        down: list[Tensor] = []
        middle: Any = 0.0
        for control, network, picture in zip(
            self._spec.controls, self._networks.controlnets, batch.controls
        ):
            if not is_active(control, i, len(self._descent)):
                continue
            led = tuple(group for group in groups if group == PROMPT or not control.is_guess)
            one, mid = network(
                of_groups(z, groups, led),
                time,
                controlnet_cond=picture.repeat(len(led), 1, 1, 1),  # -> (led·f, 3, H, W)
                conditioning_scale=control.scale,
                guess_mode=control.is_guess,
                **self._prompts.condition(led, batch.frames),
                return_dict=False,
            )
            one, mid = (
                [among_groups(part, led, groups) for part in one],
                among_groups(mid, led, groups),
            )
            down = [a + b for a, b in zip(down, one)] if down else one
            middle = middle + mid
        return (
            {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
            if down
            else {}
        )

    def _batch(self, frames: list[Frame]) -> Batch:
        pictures = [conditions(self._spec, self._source, frame) for frame in frames]
        controls = [self._to_network(pictures_to_tensor(list(one))) for one in zip(*pictures)]
        source = None
        if self._networks.is_instruct:
            images = np.stack([self._source.read(frame, "image") for frame in frames])
            source = self._networks.encode(images) / self._networks.latent_scale
        return Batch(frames, controls, source)

    def _fresh(self, batch: Batch, x: Tensor, i: int) -> Tensor | None:
        """Noise of these frames for this step, where the solver takes any."""
        if not self._descent.needs_noise:
            return None
        seed, shape = self._spec.sampling.seed, tuple(x.shape[1:])
        return torch.stack(
            [keyed_noise(seed, frame.number, shape, f"step {i}") for frame in batch.frames]
        ).to(x)

    def _to_network(self, x: Tensor) -> Tensor:
        return x.to(self._networks.device, self._networks.dtype)


def is_active(control: Control, step: int, steps: int) -> bool:
    """Whether a ControlNet steers step 0..steps−1."""
    return control.start * steps <= step and step + 1 <= control.end * steps
