"""Text2Video-Zero, Khachatryan et al., ICCV 2023, https://arxiv.org/abs/2303.13439: a job becomes
frames.

Symbols are the paper's: x_t^k is the latent of frame k at noise level t; frame 1 is the anchor;
T′ < T are the levels between which the frames part from it; W_k warps along the motion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..job_folder.anchors import Painted
from ..job_folder.passes import Source
from ..models.networks import Networks
from ..runtime.memory_budget import MemoryBudget
from ..runtime.token_cache import TokenCache
from ..wire.job import Frame, JobSpec
from ..wire.rules import attends_to_keyframes, fused_part, keyframe_every
from .attention import AttentionTargets
from .background import demand_masks, smooth, smooth_level
from .frame_maps import FrameMaps, ShotMaps
from .fusion import Gallery, carried, fuse, is_fused, shown
from .keyframes import Attended, Way
from .motion import warp
from .noise import keyed_noise
from .predict import Predictor, predictor
from .progress import Progress, Watch
from .share import Alone, Share
from .shot import Shot
from .shots import ShotPlan, shots
from .solvers import Solver

CHANNELS = 4  # of a latent
CELL_PX = 8  # a latent's cell is so many pixels wide and high


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
    solver = Solver(spec.sampling, networks.scheduler_config)
    levels = noise_levels(spec, solver, watch.note)
    plans = list(shots(spec.frames, numbers, keyframe_every(spec, networks.is_instruct)))
    progress = Progress(watch, plans, len(solver), len(solver) - levels[0])
    share = share or Alone()
    for plan in plans:
        with predictor(spec, source, networks, solver, levels[0]) as predict:
            sampler = Sampler(spec, source, networks, solver, levels, predict, plan, progress.steps)
            cells = spec.shot.height_px * spec.shot.width_px // CELL_PX**2
            reliefs, known = _reliefs(networks, sampler), share.session.frame_bytes
            budget = MemoryBudget(networks.device, chunk, cells, watch.note, reliefs, known)
            for frame, picture in Shot(sampler, plan, budget, progress, share).frames():
                yield frame.number, picture
                progress.decoded()


class Sampler:
    """The two ways down the noise levels, the anchor's and the other frames', in one shot.

    Args:
        levels: T and T′, counted from pure noise.
        tick: told after every step how many frames took it.
    """

    def __init__(
        self,
        spec: JobSpec,
        source: Source,
        networks: Networks,
        solver: Solver,
        levels: tuple[int, int],
        predict: Predictor,
        plan: ShotPlan,
        tick: Callable[[int], None],
    ) -> None:
        self.spec, self.networks = spec, networks
        self.solver, self.predict, self.tick = solver, predict, tick
        self.T, self.T_ = levels
        self.size = spec.shot.height_px // CELL_PX, spec.shot.width_px // CELL_PX
        self.fused = fused_part(spec, networks.is_instruct)
        self.smoothed = spec.coherence.smoothing_until if spec.coherence.smoothing else 0.0
        is_carried = self.fused > 0 or self.smoothed > 0
        self.maps = ShotMaps(
            spec, source, plan.anchor, plan.since, self.size, networks.is_instruct, is_carried
        )
        self.tokens = TokenCache(self.frame_steps)
        self.gallery = Gallery()
        self.attended: Attended | None = None

    @property
    def frame_steps(self) -> int:
        """How many steps a frame takes beside the anchor."""
        return len(self.solver) - self.T

    def keyframe(self, maps: FrameMaps) -> Tensor:
        """x_0 (1, c, h, w) of a frame that the frames to come are made of."""
        tokens = self.tokens.another() if attends_to_keyframes(self.spec) else None
        return self.frames([maps], tokens)

    def between(self, frames: list[Frame]) -> Tensor:
        """x_0 (f, c, h, w) of frames between key frames."""
        return self.frames([self.maps.of(frame) for frame in frames])

    def anchor(self, frame: Frame, seen_from: int) -> Way:
        """x^1 ~ N(0, I), all the way down, seeing only itself.

        Args:
            seen_from: the level from which on other frames attend to it.
        """
        conditions = self.predict.conditions([frame])
        way = Way(conditions, AttentionTargets(0, keeps=self.tokens), self.tokens)
        step = self.solver.begin(0)
        x = way.x[0] = self.noise(frame)
        for i in range(len(self.solver)):
            targets = AttentionTargets(i, keeps=self.tokens if i >= seen_from else None)
            x0 = self.predict(x, i, conditions, targets)
            x = way.x[i + 1] = step(x, x0, i, self.fresh([frame], x0, i))
            self.tick(1)
        return way

    def frames(self, maps: list[FrameMaps], keeps: TokenCache | None = None) -> Tensor:
        """x^k (f, c, h, w) from T down to 0, with cross-frame attention, 3.3.2, at every step.

        Args:
            keeps: for the tokens of a single frame to which those to come will attend.
        """
        assert self.attended, "the anchor goes first"
        steps, step = len(self.solver), self.solver.begin(self.T)
        frames = [one.frame for one in maps]
        conditions = self.predict.conditions(frames)
        targets = self.attended.targets_of([one.surface for one in maps], keeps)
        shows = carried(self.networks, self.gallery, [one.pixels for one in maps if one.pixels])
        x = torch.cat([self.x_T(one) for one in maps])
        path = {self.T: x}
        for i in range(self.T, steps):
            x0 = self.predict(x, i, conditions, targets(i))
            if shows and is_fused(i, steps, self.fused):
                is_whole = is_fused(i, steps, self.spec.coherence.fusion_disturbed)
                x0 = fuse(x0, shows.x0, shows.known if is_whole else shows.steady)
            x = step(x, x0, i, self.fresh(frames, x0, i))
            if shows and is_fused(i, steps, self.smoothed):
                x = self.smooth(maps, x, x0, i + 1, shows.x0)
            if keeps:
                path[i + 1] = x
            self.tick(len(frames))
        if keeps:
            self.attended.remember(Way(conditions, targets(self.T), keeps, path, maps[0].surface))
        return x

    def x_T(self, maps: FrameMaps) -> Tensor:
        """Motion dynamics, 3.3.1: the anchor's latent at T′ moves, then DDPM forward up to T."""
        assert self.attended, "the anchor goes first"
        spec, T, T_, x1 = self.spec, self.T, self.T_, self.attended.anchor.x
        if spec.motion.mode == "none":
            x = x1[T]  # every frame from the anchor's noise, as the paper does with ControlNet
        else:
            moved = warp(spec, maps.motion, x1[T_])
            x = self.solver.up(moved, T_, T, self.noise(maps.frame), spec.motion.is_faithful)
        if maps.still is None:
            return x
        # Background smoothing, 3.3.3. Both terms are nearly noise; what they share of it is √A.
        shared = (self.solver.alpha_bar[T] / self.solver.alpha_bar[T_]).sqrt()
        moved = warp(spec, maps.motion, x1[T])
        tied = spec.coherence
        still = maps.still.to(x)
        return smooth(x, moved, still, tied.smoothing, shared if tied.keeps_variance else None)

    def smooth(self, maps: list[FrameMaps], x: Tensor, x0: Tensor, i: int, shows: Tensor) -> Tensor:
        """The latents x at level i, their background drawn towards the anchor's picture and noise.

        Args:
            shows: (f, c, h, w), the finished frames carried to these.
        """
        assert self.attended, "the anchor goes first"
        x1, alpha_bar = self.attended.anchor.x, float(self.solver.alpha_bar[i])
        noise = x1[i] - alpha_bar**0.5 * x1[len(self.solver)]
        noise = noise / max(1 - alpha_bar, 1e-6) ** 0.5
        moved = torch.cat([warp(self.spec, one.surface, noise) for one in maps])
        still = torch.stack([one.still_surface for one in maps if one.still_surface is not None])
        still = still[:, None].to(x)  # -> (f, 1, h, w)
        return smooth_level(x, x0, (shows, moved), still, alpha_bar, self.spec.coherence)

    def show(self, maps: FrameMaps, painted: Painted) -> None:
        """Lets the frames to come be made of a finished one."""
        if maps.pixels:
            self.gallery.hang(shown(self.networks, painted.x_0, painted.picture, maps.pixels))

    def noise(self, frame: Frame) -> Tensor:
        """ε^k (1, c, h, w), the frame's own."""
        noise = keyed_noise(self.spec.sampling.seed, frame.number, (CHANNELS, *self.size))
        return noise[None].to(self.predict.device)

    def fresh(self, frames: list[Frame], x: Tensor, i: int) -> Tensor | None:
        """Noise of these frames for step i, shaped like x, where the solver takes any."""
        if not self.solver.needs_noise:
            return None
        seed, shape = self.spec.sampling.seed, tuple(x.shape[1:])
        noise = [keyed_noise(seed, frame.number, shape, f"step {i}") for frame in frames]
        return torch.stack(noise).to(x)

    def shrink(self) -> bool:
        """Keeps tokens of one step only from now on; False where that is so already."""
        return self.attended.shrink() if self.attended else self.tokens.shrink()


def anchor_numbers(spec: JobSpec, numbers: Sequence[int], is_instruct: bool) -> list[int]:
    """The anchor and key frames of the shots in which the frames `numbers` are."""
    found = []
    for plan in shots(spec.frames, numbers, keyframe_every(spec, is_instruct)):
        keyframes = [span.keyframe.number for span in plan.spans if span.keyframe]
        found += [plan.anchor.number, *keyframes]
    return found


def noise_levels(spec: JobSpec, solver: Solver, note: Callable[[str], None]) -> tuple[int, int]:
    """The steps with the noise levels nearest to T and T′; without motion, frames part at the very
    beginning."""
    motion = spec.motion
    if motion.mode == "none":
        return 0, 0
    T = solver.nearest(motion.level_to)
    T_ = max(solver.nearest(motion.level_from), T + 1)
    times = [*solver.times, 0]
    if (times[T], times[T_]) != (motion.level_to, motion.level_from):
        note(
            f"With {len(solver)} steps the noise levels nearest to T = {motion.level_to} and "
            f"T′ = {motion.level_from} are {times[T]:.0f} and {times[T_]:.0f}; these are used."
        )
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
