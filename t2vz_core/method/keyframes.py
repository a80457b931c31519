"""Key frames of a shot, which others attend to beside the anchor, the nearer by the map the more.

Every n-th frame is one (`Coherence.anchor_every`); it attends to the anchor alone, so that its
tokens can be made again at any time without those of others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..geometry.latent_maps import identity_map
from ..runtime.token_cache import TokenCache
from ..wire.job import Frame, JobSpec
from ..wire.rules import attends_to_keyframes
from .attention import AttentionTargets
from .correspondence import Correspondence
from .predict import Conditions, Predictor

NEAREST = 0.1  # cells; what is nearer is as near
REMEMBERED = 2  # key frames that are attended to: the one before and the one after


@dataclass
class Way:
    """The way down of the anchor or of a key frame, to which others attend.

    Attributes:
        conditions: what steers it.
        targets: what it attends to, at any step.
        tokens: its own, of the steps that are kept.
        x: its latents (1, c, h, w) by level.
        surface: where its surfaces lay in the anchor.
    """

    conditions: Conditions
    targets: AttentionTargets
    tokens: TokenCache
    x: dict[float, Tensor] = field(default_factory=dict)
    surface: Correspondence | None = None

    @property
    def frame(self) -> Frame:
        """The frame whose way it is."""
        return self.conditions.frames[0]


class Attended:
    """The anchor of a shot and its last two key frames, as the frames to come attend to them.

    Args:
        known: key frames of the range before, which need not walk again; kept up to date.
    """

    def __init__(self, predict: Predictor, anchor: Way, spec: JobSpec, known: list[Way]) -> None:
        self.anchor = anchor
        self._predict = predict
        self._spec = spec
        self._known = known
        self._keyframes: list[Way] = []

    def remember(self, keyframe: Way) -> None:
        """Lets the frames to come attend to this one too."""
        self._keyframes = [*self._keyframes, keyframe][-REMEMBERED:]
        others = [way for way in self._known if way.frame != keyframe.frame]
        self._known[:] = [*others, keyframe][-REMEMBERED:]

    def recall(self, frame: Frame) -> bool:
        """As `remember`, where the key frame's way is known; False where it is not."""
        way = next((way for way in self._known if way.frame == frame), None)
        if way is not None:
            self.remember(way)
        return way is not None

    def shrink(self) -> bool:
        """Keeps the tokens of one step only from now on; False where that is so already."""
        ways = (self.anchor, *self._keyframes)
        return any([way.tokens.shrink() for way in ways])

    def targets_of(
        self, surfaces: Sequence[Correspondence], keeps: TokenCache | None = None
    ) -> Callable[[int], AttentionTargets]:
        """What frames attend to, step by step; tokens that were not kept are made again.

        Args:
            surfaces: where the frames' surfaces lay in the anchor.
            keeps: for the tokens of a key frame, which attends to the anchor alone.
        """
        if self._spec.coherence.attention == "self":
            return AttentionTargets
        ways = [self.anchor]
        is_among = attends_to_keyframes(self._spec) and keeps is None
        if is_among:
            ways += self._keyframes
        hidden = None
        if self._spec.coherence.attention == "anchor+hidden":
            hidden = torch.stack([1 - one.visible for one in surfaces])
            hidden = hidden.to(self._predict.device)
        weights = self._weights(surfaces) if len(ways) > 1 else None
        seen = tuple(way.tokens for way in ways)
        is_moved = self._spec.coherence.moves_keys
        places = self._predict.attention.places(surfaces) if is_moved else None
        targets = AttentionTargets(0, seen, hidden, weights, keeps, places)

        def at(step: int) -> AttentionTargets:
            for way in ways:
                if not way.tokens.has(step):
                    self._predict(
                        way.x[step], step, way.conditions, replace(way.targets, step=step)
                    )
            return replace(targets, step=step)

        return at

    def _weights(self, surfaces: Sequence[Correspondence]) -> Tensor:
        """(f, n), how much each key frame counts for each frame."""
        others = [way.surface for way in self._keyframes if way.surface]
        near = torch.stack([nearness(one, others) for one in surfaces])
        return (self._spec.coherence.anchor_weight * near).to(self._predict.device)


def nearness(here: Correspondence, others: Sequence[Correspondence]) -> Tensor:
    """How near each of the `others` is to a frame, (n,), 0..1; with that of the anchor itself they
    sum to 1.

    By the inverse of how far the cells moved in the mean.
    """
    rows, columns = here.visible.shape
    anchor = identity_map(rows, columns)
    positions = torch.stack([anchor, *(one.positions for one in others)])
    away = (here.positions - positions).norm(dim=-1)  # -> (1 + n, h, w)
    near = 1 / away.mean((1, 2)).clamp_min(NEAREST)  # -> (1 + n,)
    return (near / near.sum())[1:]
