"""A job becomes frames: the levels of its solver, then shot after shot. Both loops of the paper are
in sampler.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from ..job_folder.passes import Source
from ..models.families import Family
from ..models.networks import Networks
from ..runtime.memory_budget import MemoryBudget
from ..wire.events import LOG
from ..wire.job import JobSpec
from ..wire.rules import keyframe_every
from .background import demand_masks
from .flow import solver_of
from .predict import predictor
from .progress import Progress, Watch
from .sampler import Sampler
from .share import Alone, Share
from .shot import Shot
from .shots import shots
from .solvers import Solver
from .start import first_step, kept


@torch.inference_mode()
def generate(
    spec: JobSpec,
    source: Source,
    networks: Networks,
    numbers: Sequence[int],
    watch: Watch,
    chunk: int = 0,
    share: Share | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Makes the frames `numbers` of a job, each as soon as it is done.

    The anchor of each shot is denoised once, by itself, and its tokens are kept; then come the
    other frames, `chunk` at a time (0: as many as memory allows). No frame depends on the chunk it
    is in. What `share` has of anchor and key frames is taken from there, and what others make is
    left out.

    Yields:
        (scene frame number, (H, W, 3) uint8 sRGB), in the order of the job.

    Raises:
        Fault: a pass is missing, the memory does not suffice or the networks fail, in one sentence.
    """
    demand_masks(spec)
    log = partial(watch.note, rank=LOG)
    spec = within_reach(spec, networks.kind, watch.note)
    shape = networks.latent_shape(spec.shot.height_px, spec.shot.width_px)
    solver = solver_of(spec, networks.scheduler_config)
    levels = noise_levels(spec, solver, log)
    plans = list(shots(spec.frames, numbers, keyframe_every(spec, networks.is_instruct)))
    first = first_step(spec, solver)
    progress = Progress(watch, plans, len(solver) - first, len(solver) - levels[0])
    share = share or Alone()
    for plan in plans:
        with predictor(spec, source, networks, solver, levels[0]) as predict:
            sampler = Sampler(spec, source, networks, solver, levels, predict, plan, progress.steps)
            reliefs, known = _reliefs(networks, sampler), share.session.frame_bytes
            cells = shape[1] * shape[2]
            budget = MemoryBudget(networks.device, chunk, cells, log, reliefs, known)
            for frame, picture in Shot(sampler, plan, budget, progress, share).frames():
                yield frame.number, kept(spec, source, frame, picture)
                progress.decoded()


def anchor_numbers(spec: JobSpec, numbers: Sequence[int], is_instruct: bool) -> list[int]:
    """The anchor and key frames of the shots in which the frames `numbers` are."""
    found = []
    for plan in shots(spec.frames, numbers, keyframe_every(spec, is_instruct)):
        keyframes = [span.keyframe.number for span in plan.spans if span.keyframe]
        found += [plan.anchor.number, *keyframes]
    return found


def within_reach(spec: JobSpec, kind: Family, note: Callable[[str], None]) -> JobSpec:
    """The job without what this family of models cannot do, of which it is told."""
    if kind.has_deep_layers:
        return spec
    if spec.sampling.deep_every > 1:
        note(f"{kind.title} has no deep layers that could be left out: every step is whole.")
        spec = replace(spec, sampling=replace(spec.sampling, deep_every=1))
    if spec.coherence.anchor_weight:
        note(f"{kind.title} attends to the anchor alone; key frames are fused, not attended to.")
        spec = replace(spec, coherence=replace(spec.coherence, anchor_weight=0.0))
    if spec.regions:
        note(
            f"{kind.title} reads one prompt for all of the picture: objects' own words are "
            "left out."
        )
        spec = replace(spec, regions=())
    return spec


def noise_levels(spec: JobSpec, solver: Solver, note: Callable[[str], None]) -> tuple[int, float]:
    """The levels T and T′ of the way down; without motion, or from pictures, frames part at the
    very beginning."""
    if spec.motion.mode == "none" or spec.start.is_picture:
        first = first_step(spec, solver)
        return first, first
    T, T_ = solver.parting(spec.motion)
    if told := solver.told(spec.motion, T, T_):
        note(told)
    return T, T_


def _reliefs(networks: Networks, sampler: Sampler) -> list[tuple[str, Callable[[], Any]]]:
    """What can be given up for memory, the cheapest first."""
    return [
        ("the anchor is denoised again beside the other frames", sampler.shrink),
        ("attention is looked up in slices", sampler.predict.attention.slice_queries),
        ("text encoder and VAE wait in the computer's memory", networks.offload),
        ("pictures are decoded in tiles", networks.vae.enable_tiling),
        ("the networks wait in the computer's memory too, and work block by block", networks.lend),
    ]
