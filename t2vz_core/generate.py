"""Text2Video-Zero, Khachatryan et al., ICCV 2023, https://arxiv.org/abs/2303.13439: a job becomes frames.

Symbols are the paper's: x_t^k is the latent of frame k at noise level t; frame 1 is the anchor; T′ < T are the
levels between which the frames part from it; W_k warps along the motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .attention import cross_frame
from .background import demand_masks, shared_background, smooth
from .chunks import chunks
from .denoise import Denoiser, Path
from .diffusion import Descent
from .geometry import mask_to_cells
from .memory import Memory
from .motion import Place, place, warp
from .noise import keyed_noise
from .passes import Source
from .progress import Tally
from .scenes import scenes
from .wire.job import Frame, JobSpec


@torch.inference_mode()
def generate(
    spec: JobSpec, source: Source, networks: Any, numbers: list[int], watch: Any, chunk: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """Makes the frames `numbers` of a job, each as soon as it is done.

    The anchor of each scene is denoised once, by itself, and its keys and values are kept; then come the other
    frames, `chunk` at a time (0: as many as memory allows). No frame depends on the chunk it is in.

    Yields:
        (scene frame number, (H, W, 3) uint8 sRGB), in the order of the shot.
    """
    demand_masks(spec)
    descent = Descent(spec.sampling, networks.scheduler_config)
    T, T_ = noise_levels(spec, descent, watch)
    c, h, w = 4, spec.shot.height_px // 8, spec.shot.width_px // 8
    todo = list(scenes(spec.frames, numbers))
    tally = Tally(watch, todo, len(descent), len(descent) - T)
    for scene in todo:
        with cross_frame([networks.unet, *networks.controlnets], Memory()) as attention:
            denoiser = Denoiser(spec, source, networks, descent, attention, tally.steps)

            # One frame from pure noise, x^1 ~ N(0, I), all the way down by itself.
            noise = keyed_noise(spec.sampling.seed, scene.anchor.number, (c, h, w))[None].to(networks.device)
            x1 = denoiser.anchor(scene.anchor, noise, kept_from=T if scene.frames else len(descent))
            if scene.is_anchor_wanted:
                yield from tally.decoded([scene.anchor], networks.decode(x1.x[-1]))

            for frames in chunks(scene.frames, chunk, networks):
                places = [place(spec, source, frame, scene.since[frame.number], h, w) for frame in frames]
                # Motion dynamics and background smoothing, 3.3.1 and 3.3.3: x_T^k of x_T′^1.
                x_T = torch.cat([start(spec, source, descent, T, T_, here, scene.anchor, x1) for here in places])
                # Cross-frame attention, 3.3.2, from T down to 0.
                x_0 = denoiser.frames(places, x_T, T, x1)
                yield from tally.decoded(frames, networks.decode(x_0))


def start(
    spec: JobSpec, source: Source, descent: Descent, T: int, T_: int, here: Place, anchor: Frame, x1: Path
) -> Tensor:
    """x_T^k (1, c, h, w): the anchor's latent at T′ moved along the motion and noised back up to T."""
    if spec.motion.mode == "none":
        x = x1.x[T]  # all frames from one noise, as the paper does with ControlNet
    else:
        fresh = keyed_noise(spec.sampling.seed, here.frame.number, tuple(x1.x[0].shape[1:]))[None].to(x1.x[0])
        x = descent.up(warp(spec, here, x1.x[T_]), T_, T, fresh, spec.motion.is_faithful)
    if not spec.coherence.smoothing:
        return x
    masks = (mask_to_cells(torch.from_numpy(source.read(f, "mask").copy())) for f in (here.frame, anchor))
    background = shared_background(*masks, here.cells, here.visible).to(x)
    # Both terms are nearly noise: what x_T^k has of the anchor is √A of it.
    shared = (descent.alpha_bar[T] / descent.alpha_bar[T_]).sqrt().item()
    moved = warp(spec, here, x1.x[T])
    correlation = shared if spec.coherence.keeps_variance else None
    return smooth(x[0], moved[0], background, spec.coherence.smoothing, correlation)[None]


def noise_levels(spec: JobSpec, descent: Descent, watch: Any) -> tuple[int, int]:
    """The steps whose noise levels are nearest to T and T′; without motion, frames part at the very beginning."""
    motion = spec.motion
    if motion.mode == "none":
        return 0, 0
    T = descent.nearest(motion.level_to)
    T_ = max(descent.nearest(motion.level_from), T + 1)
    times = [*descent.times, 0]
    if (times[T], times[T_]) != (motion.level_to, motion.level_from):
        watch.note(
            f"With {len(descent)} steps the noise levels nearest to T = {motion.level_to} and "
            f"T′ = {motion.level_from} are {times[T]:.0f} and {times[T_]:.0f}; these are used."
        )
    return T, T_
