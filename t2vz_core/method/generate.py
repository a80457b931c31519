"""Text2Video-Zero, Khachatryan et al., ICCV 2023, https://arxiv.org/abs/2303.13439: a job becomes
frames.

Symbols are the paper's: x_t^k is the latent of frame k at noise level t; frame 1 is the anchor; T′
< T are the levels between which the frames part from it; W_k warps along the motion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..job_folder.passes import Source
from ..models.networks import Networks
from ..runtime.memory_budget import Room
from ..runtime.token_cache import Memory
from ..wire.job import Frame, JobSpec
from .attention import CrossFrame, cross_frame
from .background import background, demand_masks, smooth
from .deep_cache import deep_layers
from .denoise import Denoiser
from .fusion import fused_part, has_scene_shapes
from .keyframes import are_attended
from .motion import Place, place, warp
from .noise import keyed_noise
from .progress import Tally
from .shots import Scene, scenes
from .solvers import Descent


@torch.inference_mode()
def generate(
    spec: JobSpec,
    source: Source,
    networks: Networks,
    numbers: Sequence[int],
    watch: Any,
    chunk: int = 0,
) -> Iterator[tuple[int, np.ndarray]]:
    """Makes the frames `numbers` of a job, each as soon as it is done.

    The anchor of each scene is denoised once, by itself, and its tokens are kept; then come the
    other frames, `chunk` at a time (0: as many as memory allows). No frame depends on the chunk it
    is in.

    Yields:
        (scene frame number, (H, W, 3) uint8 sRGB), in the order of the shot.

    Raises:
        Fault: a pass is missing, the memory does not suffice or the networks fail, in one sentence.
    """
    demand_masks(spec)
    descent = Descent(spec.sampling, networks.scheduler_config)
    levels = noise_levels(spec, descent, watch.note)
    is_fused = fused_part(spec, has_scene_shapes(spec, networks.is_instruct)) > 0
    has_further = is_fused or are_attended(spec)
    todo = list(scenes(spec.frames, numbers, spec.coherence.anchor_every if has_further else 0))
    tally = Tally(watch, todo, len(descent), len(descent) - levels[0])
    for scene in todo:
        memory = Memory(len(descent) - levels[0])
        denoisers = [networks.unet, *networks.controlnets]
        with (
            cross_frame(denoisers, memory) as attention,
            deep_layers(denoisers, spec.sampling.deep_every, levels[0]) as deep,
        ):
            denoiser = Denoiser(spec, source, networks, descent, attention, deep, tally.steps)
            cells = spec.shot.height_px // 8 * spec.shot.width_px // 8
            room = Room(
                networks.device, chunk, cells, watch.note, _reliefs(networks, denoiser, attention)
            )
            for frames, x_0 in _latents(spec, source, scene, descent, levels, denoiser, room):
                for frame, x in zip(frames, x_0):
                    yield frame.number, room.attempt(partial(_picture, networks, x))
                    tally.decoded()


def _latents(
    spec: JobSpec,
    source: Source,
    scene: Scene,
    descent: Descent,
    levels: tuple[int, int],
    denoiser: Denoiser,
    room: Room,
) -> Iterator[tuple[list[Frame], Tensor]]:
    """x_0 (f, 4, h, w) of the frames of a scene, some at a time."""
    T, T_ = levels
    h, w = spec.shot.height_px // 8, spec.shot.width_px // 8

    def noise(frame: Frame) -> Tensor:
        return keyed_noise(spec.sampling.seed, frame.number, (4, h, w))[None].to(denoiser.device)

    def at(frame: Frame) -> Place:
        return place(spec, source, frame, scene.since[frame.number], h, w)

    # The anchor: pure noise, x^1 ~ N(0, I), all the way down, seeing only itself.
    x1 = room.measured(
        partial(
            denoiser.anchor, scene.anchor, noise(scene.anchor), T if scene.frames else len(descent)
        )
    )
    if scene.anchor.number in scene.wanted:
        yield [scene.anchor], x1.x[-1]

    def x_T(here: Place) -> Tensor:
        if spec.motion.mode == "none":
            x = x1.x[T]  # every frame from the anchor's noise, as the paper does with ControlNet
        else:
            # Motion dynamics, 3.3.1: the anchor's latent at T′ moves, then DDPM forward up to T.
            x = descent.up(
                warp(spec, here, x1.x[T_]), T_, T, noise(here.frame), spec.motion.is_faithful
            )
        if not spec.coherence.smoothing:
            return x
        # Background smoothing, 3.3.3. Both terms are nearly noise; what they share of it is √A.
        shared = (
            (descent.alpha_bar[T] / descent.alpha_bar[T_]).sqrt()
            if spec.coherence.keeps_variance
            else None
        )
        where = background(source, here, scene.anchor).to(x)
        return smooth(x, warp(spec, here, x1.x[T]), where, spec.coherence.smoothing, shared)

    def x_0(frames: list[Frame], *, is_further: bool = False) -> Tensor:
        places = [at(frame) for frame in frames]
        # Cross-frame attention, 3.3.2, all the way down from T.
        return denoiser.frames(
            places, torch.cat([x_T(here) for here in places]), T, x1, is_further=is_further
        )

    denoiser.show(at(scene.anchor), x1.x[-1])
    for span in scene.spans:
        if span.further:
            x = room.attempt(partial(x_0, [span.further], is_further=True))
            denoiser.show(at(span.further), x)
        yield from room.chunked(span.between, x_0)
        if span.further and span.further.number in scene.wanted:
            yield [span.further], x


def noise_levels(spec: JobSpec, descent: Descent, note: Callable[[str], None]) -> tuple[int, int]:
    """The steps with the noise levels nearest to T and T′; without motion, frames part at the very
    beginning."""
    motion = spec.motion
    if motion.mode == "none":
        return 0, 0
    T = descent.nearest(motion.level_to)
    T_ = max(descent.nearest(motion.level_from), T + 1)
    times = [*descent.times, 0]
    if (times[T], times[T_]) != (motion.level_to, motion.level_from):
        note(
            f"With {len(descent)} steps the noise levels nearest to T = {motion.level_to} and "
            f"T′ = {motion.level_from} are {times[T]:.0f} and {times[T_]:.0f}; these are used."
        )
    return T, T_


def _picture(networks: Networks, x: Tensor) -> np.ndarray:
    """The picture (H, W, 3) uint8 of a latent (4, h, w)."""
    return next(networks.decode(x[None]))


def _reliefs(
    networks: Networks, denoiser: Denoiser, attention: CrossFrame
) -> list[tuple[str, Callable[[], Any]]]:
    """What can be given up for memory, the cheapest first."""
    return [
        ("the anchor is denoised again beside the other frames", denoiser.shrink),
        ("attention is looked up in slices", attention.slice_queries),
        ("text encoder and VAE wait in the computer's memory", networks.offload),
        ("pictures are decoded in tiles", networks.vae.enable_tiling),
        ("the networks wait in the computer's memory too, and work block by block", networks.lend),
    ]
