"""x̂_0, the picture that the networks see in latents of a noise level."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..conditions.controlnet import conditions
from ..fault import Fault
from ..job_folder.passes import Source, pictures_to_tensor
from ..models.networks import Networks
from ..wire.job import Control, Frame, JobSpec
from .attention import AttentionTargets, CrossFrame, cross_frame
from .deep_cache import DeepCache, Features, deep_layers
from .guidance import NOTHING, PROMPT, among_groups, group_weights, of_groups
from .prompts import Prompts
from .regions import Areas, Regions
from .solvers import Solver


@dataclass
class Conditions:
    """What steers some frames, made once for all their steps.

    Attributes:
        controls: one (f, 3, H, W) within 0..1 per ControlNet.
        source: (f, c, h, w) latents of the source pictures, InstructPix2Pix.
        areas: where words of objects' own count.
        features: what the networks' deep layers last said of them.
    """

    frames: list[Frame]
    controls: list[Tensor]
    source: Tensor | None
    areas: Areas | None = None
    features: Features = field(default_factory=dict)


class Predictor:
    """Networks, ControlNets and prompts of a job, asked for x̂_0."""

    def __init__(
        self,
        spec: JobSpec,
        source: Source,
        networks: Networks,
        solver: Solver,
        attention: CrossFrame,
        deep: DeepCache,
    ) -> None:
        self.device = networks.device
        self.attention = attention
        self._spec = spec
        self._source = source
        self._networks = networks
        self._solver = solver
        self._deep = deep
        self._prompts = Prompts(spec, networks)
        self._regions = Regions(spec, networks)

    def __call__(self, x: Tensor, i: int, steered: Conditions, targets: AttentionTargets) -> Tensor:
        """x̂_0 (f, c, h, w) of the latents x (f, c, h, w) at level i.

        Raises:
            Fault: the networks say what is not a number.
        """
        weights = self._weights(i)
        groups = tuple(weights)
        keeping = targets.keeps.keeping(i) if targets.keeps else nullcontext()
        with keeping, self._deep.at(i, groups, steered.features):
            output = self._output(x, i, steered, targets, groups)
        parts = output.chunk(len(groups))
        guided = reduce(torch.add, (weights[group] * part for group, part in zip(groups, parts)))
        if not torch.isfinite(guided).all():
            raise Fault(
                f"The networks lost themselves at step {i + 1} (not a number) while making frame "
                f"{steered.frames[0].number}: choose precision float32, or bfloat16 where the "
                "device has it."
            )
        return self._solver.x0(x, guided, i)

    def conditions(self, frames: list[Frame]) -> Conditions:
        """What steers these frames, read from the job's passes."""
        pictures = [conditions(self._spec, self._source, frame) for frame in frames]
        controls = [self._as_networks(pictures_to_tensor(list(one))) for one in zip(*pictures)]
        areas = self._regions.areas(self._source, frames)
        return Conditions(frames, controls, self._source_latents(frames), areas)

    def _source_latents(self, frames: list[Frame]) -> Tensor | None:
        if not self._networks.is_instruct:
            return None
        images = np.stack([self._source.read(frame, "image") for frame in frames])
        return self._networks.encode(images) / self._networks.latent_scale

    def _weights(self, i: int) -> dict[str, float]:
        steps = len(self._solver)
        return group_weights(self._spec.sampling, i, steps, self._networks.is_instruct)

    def _output(
        self,
        x: Tensor,
        i: int,
        steered: Conditions,
        targets: AttentionTargets,
        groups: tuple[str, ...],
    ) -> Tensor:
        """What the UNet says of each guidance group, (groups·f, c, h, w) float32."""
        time = torch.tensor(self._solver.times[i], device=x.device)
        z = self._as_networks(x).repeat(len(groups), 1, 1, 1)  # -> (groups·f, c, h, w)
        text = self._text(steered, targets, groups)
        more = self._residuals(steered, z, time, targets, groups)
        if steered.source is not None:
            shown = [steered.source * (group != NOTHING) for group in groups]
            z = torch.cat([z, torch.cat(shown)], 1)  # -> (groups·f, 2c, h, w)
        return self._networks.unet(z, time, **text, **more, return_dict=False)[0].float()

    def _text(
        self, steered: Conditions, targets: AttentionTargets, groups: tuple[str, ...]
    ) -> dict[str, Any]:
        """What UNet and ControlNets read and look at for these groups."""
        steps = len(self._solver)
        regions = self._regions.text(groups, steered.areas, targets.step, steps)
        look = {"targets": targets, "regions": regions}
        text = self._prompts.condition(groups, steered.frames)
        return text | {"cross_attention_kwargs": look}

    def _residuals(
        self,
        steered: Conditions,
        z: Tensor,
        time: Tensor,
        targets: AttentionTargets,
        groups: tuple[str, ...],
    ) -> dict[str, Any]:
        """What the ControlNets add to the UNet at this step."""
        down: list[Tensor] = []
        middle: Any = 0.0
        steps = len(self._solver)
        for control, network, picture in zip(
            self._spec.controls, self._networks.controlnets, steered.controls
        ):
            if not is_active(control, targets.step, steps):
                continue
            led = tuple(group for group in groups if group == PROMPT or not control.is_guess)
            one, mid = network(
                of_groups(z, groups, led),
                time,
                controlnet_cond=picture.repeat(len(led), 1, 1, 1),  # -> (led·f, 3, H, W)
                conditioning_scale=control.scale,
                guess_mode=control.is_guess,
                **self._text(steered, targets, led),
                return_dict=False,
            )
            one = [among_groups(part, led, groups) for part in one]
            down = [a + b for a, b in zip(down, one)] if down else one
            middle = middle + among_groups(mid, led, groups)
        if not down:
            return {}
        return {
            "down_block_additional_residuals": down,
            "mid_block_additional_residual": middle,
        }

    def _as_networks(self, x: Tensor) -> Tensor:
        return x.to(self._networks.device, self._networks.dtype)


@contextmanager
def predictor(
    spec: JobSpec, source: Source, networks: Networks, solver: Solver, start: int
) -> Iterator[Predictor]:
    """The job's networks, patched to look across frames, and as they were again at the end.

    Args:
        start: the level at which the frames part from their anchor.
    """
    patched = [networks.unet, *networks.controlnets]
    with (
        cross_frame(patched) as attention,
        deep_layers(patched, spec.sampling.deep_every, start) as deep,
    ):
        yield Predictor(spec, source, networks, solver, attention, deep)


def is_active(control: Control, step: int, steps: int) -> bool:
    """Whether a ControlNet steers step 0..steps−1."""
    return control.start * steps <= step and step + 1 <= control.end * steps
