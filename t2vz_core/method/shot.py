"""One shot in the making: the anchor, then key frames and the frames between them.

Anchor and key frames are painted once, by whoever comes first, and stored; the anchor's way down is
walked again, once in a session, where frames are to attend to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from torch import Tensor

from ..job_folder.anchors import Painted
from ..models.networks import Networks
from ..runtime.memory_budget import MemoryBudget
from ..wire.job import Frame
from ..wire.rules import attends_to_keyframes
from .frame_maps import FrameMaps
from .fusion import HUNG
from .keyframes import REMEMBERED, Attended
from .progress import DECODING, Progress
from .sampler import Sampler
from .share import Share
from .shots import ShotPlan


class Shot:
    """Takes a plan's frames one after the other, and paints what is not stored."""

    def __init__(
        self,
        sampler: Sampler,
        plan: ShotPlan,
        budget: MemoryBudget,
        progress: Progress,
        share: Share,
    ) -> None:
        self._sampler = sampler
        self._plan = plan
        self._budget = budget
        self._progress = progress
        self._share = share
        self._is_attending = attends_to_keyframes(sampler.spec)

    def frames(self) -> Iterator[tuple[Frame, np.ndarray]]:
        """The wanted frames that are this run's, and their pictures (H, W, 3) uint8, in the order
        of the job."""
        plan, sampler = self._plan, self._sampler
        anchor = self._share.anchor(plan.anchor.number, lambda: self._painted(self._begin()))
        if plan.anchor.number in plan.wanted:
            yield plan.anchor, anchor.picture
        sampler.show(sampler.maps.of(plan.anchor), anchor)
        first = plan.first_span(self._share.has, HUNG + REMEMBERED * self._is_attending)
        self._progress.spare(first * sampler.frame_steps)
        for i, span in enumerate(plan.spans[first:]):
            keyframe = None
            if span.keyframe:
                is_only_shown = first > 0 and i < HUNG
                keyframe = self._keyframe(span.keyframe, is_only_shown)
            yield from self._between(span.between)
            if keyframe and span.keyframe and span.keyframe.number in plan.wanted:
                yield span.keyframe, keyframe.picture

    def _between(self, frames: tuple[Frame, ...]) -> Iterator[tuple[Frame, np.ndarray]]:
        if frames:
            self._begin()  # first, since it measures how many frames fit
        for taken, x_0 in self._budget.chunked(frames, self._sampler.between, self._take):
            for frame, x in zip(taken, x_0):
                yield frame, self._picture(x)

    def _take(self, frames: list[Frame]) -> list[Frame]:
        taken = self._share.take(frames)
        self._progress.spare((len(frames) - len(taken)) * (self._sampler.frame_steps + DECODING))
        return taken

    def _begin(self) -> Tensor:
        """x_0 (1, c, h, w) of the anchor, whose way down is there from now on."""
        sampler, session = self._sampler, self._share.session
        if sampler.attended is None:
            if session.anchor is None or session.anchor.frame != self._plan.anchor:
                session.forget()
                seen_from = sampler.T if self._plan.frames else len(sampler.solver)
                walk = partial(sampler.anchor, self._plan.anchor, seen_from)
                session.anchor = self._budget.measured(walk)
                session.frame_bytes = self._budget.frame_bytes
            else:
                self._progress.spare(sampler.anchor_steps)
            way, known = session.anchor, session.keyframes
            sampler.tokens = way.tokens
            sampler.attended = Attended(sampler.predict, way, sampler.spec, known)
        return sampler.attended.anchor.x[len(sampler.solver)]

    def _keyframe(self, frame: Frame, is_only_shown: bool) -> Painted:
        """A key frame that the frames to come are made of, stored or painted now."""
        maps, made = self._sampler.maps.of(frame), None
        if self._is_attending and not is_only_shown:
            self._begin()
            if not (self._sampler.attended and self._sampler.attended.recall(frame)):
                made = self._paint(maps)  # for its tokens, though its picture may be stored
        elif self._share.has(frame.number):
            self._progress.spare(self._sampler.frame_steps)
        keyframe = self._share.anchor(frame.number, lambda: made or self._paint(maps))
        self._sampler.show(maps, keyframe)
        return keyframe

    def _paint(self, maps: FrameMaps) -> Painted:
        self._begin()
        return self._painted(self._budget.attempt(partial(self._sampler.keyframe, maps)))

    def _painted(self, x: Tensor) -> Painted:
        """A finished frame x (1, c, h, w)."""
        return Painted(x, self._picture(x[0]))

    def _picture(self, x: Tensor) -> np.ndarray:
        return self._budget.attempt(partial(picture, self._sampler.networks, x))


def picture(networks: Networks, x: Tensor) -> np.ndarray:
    """The picture (H, W, 3) uint8 of a latent (c, h, w)."""
    return next(networks.decode(x[None]))
