"""Text2Video-Zero, Khachatryan et al., ICCV 2023, https://arxiv.org/abs/2303.13439: both its loops
on one page.

Symbols are the paper's: x_t^k is the latent of frame k at noise level t; frame 1 is the anchor;
T′ < T are the levels between which the frames part from it; W_k warps along the motion.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..job_folder.anchors import Painted
from ..job_folder.passes import Source
from ..models.networks import Networks
from ..runtime.token_cache import TokenCache
from ..wire.job import Frame, JobSpec
from ..wire.rules import attends_to_keyframes
from .attention import AttentionTargets
from .background import smooth, smooth_level
from .frame_maps import FrameMaps, ShotMaps
from .fusion import Gallery, carried, fuse, fusion_steps, is_fused, shown
from .keyframes import Attended, Way
from .motion import warp
from .noise import keyed_noise
from .predict import Predictor
from .shots import ShotPlan
from .solvers import Solver
from .start import Held, first_step, held


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
        levels: tuple[int, float],
        predict: Predictor,
        plan: ShotPlan,
        tick: Callable[[int], None],
    ) -> None:
        self.spec, self.source, self.networks = spec, source, networks
        self.solver, self.predict, self.tick = solver, predict, tick
        self.T, self.T_ = levels
        self.shape = networks.latent_shape(spec.shot.height_px, spec.shot.width_px)
        self.fusion = fusion_steps(spec, networks.is_instruct, self.T, len(solver))
        self.first = first_step(spec, self.solver)
        self.smoothed = spec.coherence.smoothing_until if spec.coherence.smoothing else 0.0
        is_carried = self.fusion.part > 0 or self.smoothed > 0
        self.maps = ShotMaps(
            spec, source, plan.anchor, plan.since, self.shape[1:], networks.is_instruct, is_carried
        )
        self.tokens = TokenCache(self.frame_steps)
        self.gallery = Gallery()
        self.attended: Attended | None = None

    @property
    def anchor_steps(self) -> int:
        """How many steps the anchor takes."""
        return len(self.solver) - self.first

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
        """x^1 ~ N(0, I), or its noised picture, all the way down, seeing only itself.

        Args:
            seen_from: the level from which on other frames attend to it.
        """
        conditions = self.predict.conditions([frame])
        way = Way(conditions, AttentionTargets(0, keeps=self.tokens), self.tokens)
        first, steps = self.first, len(self.solver)
        step, starts = self.solver.begin(first), self.held([frame])
        x = way.x[first] = starts.at(first) if starts else self.noise(frame)
        for i in range(first, steps):
            targets = AttentionTargets(i, keeps=self.tokens if i >= seen_from else None)
            x0 = self.predict(x, i, conditions, targets)
            if i < self.T_ < i + 1:
                way.x[self.T_] = self.solver.between(x, x0, i, self.T_)
            x = step(x, x0, i, self.fresh([frame], x0, i))
            x = way.x[i + 1] = starts.hold(x, i + 1) if starts else x
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
        starts = self.held(frames)
        x = starts.at(self.T) if starts else torch.cat([self.x_T(one) for one in maps])
        path: dict[float, Tensor] = {self.T: x}
        said = shows.x0 if shows else x
        for i in range(self.T, steps):
            mask = self.fusion.mask(i, shows)
            if self.fusion.asks(i, mask):
                said = self.predict(x, i, conditions, targets(i))
            x0 = said if shows is None or mask is None else fuse(said, shows.x0, mask)
            x = step(x, x0, i, self.fresh(frames, x0, i))
            if shows and is_fused(i, steps, self.smoothed):
                x = self.smooth(maps, x, x0, i + 1, shows.x0)
            if starts:
                x = starts.hold(x, i + 1)
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
        shared = self.solver.shared(T, T_) if spec.coherence.keeps_variance else None
        moved = warp(spec, maps.motion, x1[T])
        return smooth(x, moved, maps.still.to(x), spec.coherence.smoothing, shared)

    def smooth(self, maps: list[FrameMaps], x: Tensor, x0: Tensor, i: int, shows: Tensor) -> Tensor:
        """The latents x at level i, their background drawn towards the anchor's picture and noise.

        Args:
            shows: (f, c, h, w), the finished frames carried to these.
        """
        assert self.attended, "the anchor goes first"
        x1, (a, b) = self.attended.anchor.x, self.solver.scales(i)
        noise = (x1[i] - a * x1[len(self.solver)]) / max(b, 1e-3)
        moved = torch.cat([warp(self.spec, one.surface, noise) for one in maps])
        still = torch.stack([one.still_surface for one in maps if one.still_surface is not None])
        still = still[:, None].to(x)  # -> (f, 1, h, w)
        return smooth_level(x, x0, (shows, moved), still, (a, b), self.spec.coherence)

    def show(self, maps: FrameMaps, painted: Painted) -> None:
        """Lets the frames to come be made of a finished one."""
        if maps.pixels:
            self.gallery.hang(shown(self.networks, painted.x_0, painted.picture, maps.pixels))

    def held(self, frames: list[Frame]) -> Held | None:
        """The pictures that frames start from, noised as their latents are."""
        is_shared = self.spec.motion.mode == "none"
        noise = (lambda _: self.noise(self.maps.anchor)) if is_shared else self.noise
        return held(self.spec, self.source, self.networks, self.solver, frames, noise)

    def noise(self, frame: Frame) -> Tensor:
        """ε^k (1, c, h, w), the frame's own."""
        noise = keyed_noise(self.spec.sampling.seed, frame.number, self.shape)
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
