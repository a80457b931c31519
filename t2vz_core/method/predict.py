"""x̂_0, the picture that the networks see in latents of a noise level."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..conditions.controlnet import conditions
from ..fault import Fault
from ..job_folder.passes import Source
from ..models.families import Query, Steering
from ..models.networks import Networks
from ..wire.job import Control, Frame, JobSpec
from .attention import AttentionTargets, CrossFrame, cross_frame
from .deep_cache import DeepCache, Features, deep_layers
from .guidance import NOTHING, PROMPT, group_weights
from .joint_attention import JointCrossFrame, joint_cross_frame
from .prompts import Prompts
from .references import References
from .regions import Areas, Regions
from .solvers import Solver


@dataclass
class Conditions:
    """What steers some frames, made once for all their steps.

    Attributes:
        controls: what each ControlNet takes, a row a frame.
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
        attention: CrossFrame | JointCrossFrame,
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
        self._references = References(spec, source, networks)

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
                f"{steered.frames[0].number}: {self._networks.why_lost()}"
            )
        return self._solver.x0(x, guided, i)

    def conditions(self, frames: list[Frame]) -> Conditions:
        """What steers these frames, read from the job's passes."""
        pictures = [conditions(self._spec, self._source, frame) for frame in frames]
        controls = [
            self._networks.control_input(network, np.stack(one))
            for network, one in zip(self._networks.controlnets, zip(*pictures))
        ]
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
        """What the denoiser says of each guidance group, (groups·f, c, h, w) float32."""
        source = None
        if steered.source is not None:
            shown = [steered.source * (group != NOTHING) for group in groups]
            source = torch.cat(shown)  # -> (groups·f, c, h, w)
        query = Query(
            x=self._as_networks(x).repeat(len(groups), 1, 1, 1),  # -> (groups·f, c, h, w)
            time=self._solver.times[i],
            text=self._prompts.condition(groups, steered.frames),
            groups=len(groups),
            size_px=(self._spec.shot.height_px, self._spec.shot.width_px),
            controls=list(self._steering(steered, i, groups)),
            source=source,
            references=self._references.tokens(groups),
            look=partial(self._look, steered, targets, groups, *x.shape[2:]),
        )
        return self._networks.predict(query).float()

    def _look(
        self,
        steered: Conditions,
        targets: AttentionTargets,
        groups: tuple[str, ...],
        h: int,
        w: int,
        led: tuple[int, ...],
    ) -> dict[str, Any]:
        """What the networks are told for their attention, with the groups `led` of a batch."""
        some = tuple(groups[n] for n in led)
        regions = self._regions.text(some, steered.areas, targets.step, len(self._solver))
        scales = self._references.scales(targets.step, len(self._solver))
        return self.attention.look(targets, h, w, regions, scales)

    def _steering(self, steered: Conditions, i: int, groups: tuple[str, ...]) -> Iterator[Steering]:
        """The ControlNets that steer this step, and which groups each leads."""
        for control, network, shown in zip(
            self._spec.controls, self._networks.controlnets, steered.controls
        ):
            if is_active(control, i, len(self._solver)):
                led = [
                    n for n, group in enumerate(groups) if group == PROMPT or not control.is_guess
                ]
                yield Steering(
                    network, shown, control.scale, tuple(led), control.is_guess, control.kind
                )

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
    patched = [networks.denoiser, *dict.fromkeys(networks.controlnets)]
    kind = networks.kind
    every = spec.sampling.deep_every if kind.has_deep_layers else 1
    look = cross_frame if kind.denoiser == "unet" else joint_cross_frame
    with look(patched) as attention, deep_layers(patched, every, start) as deep:
        yield Predictor(spec, source, networks, solver, attention, deep)


def is_active(control: Control, step: int, steps: int) -> bool:
    """Whether a ControlNet steers step 0..steps−1."""
    return control.start * steps <= step and step + 1 <= control.end * steps
