"""In-betweens by exact flow: every n-th frame is painted, the others are carried along the scene's
own maps from the painted ones before and after, the nearer counting more.

A point takes its colour from the sides that show it. What neither shows is filled from around, or,
where it is more than a little, painted in the remaining steps of a start from pictures (start.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from ..geometry.pixel_maps import Array, Link, link, warp
from ..job_folder.passes import Source
from ..models.networks import Networks
from ..wire.job import Frame, JobSpec, Start
from .correspondence import Correspondence, correspond
from .fusion import filled, link_of
from .generate import generate
from .progress import Watch

HOLES = 0.01  # of a picture that neither side shows; more is painted
REPAINT = 0.5  # how strongly: the part of the steps that it takes

Finished = Callable[[int], Array | None]
Pictures = Iterator[tuple[int, Array]]


@dataclass(frozen=True)
class Side:
    """A painted frame beside an in-between.

    Attributes:
        picture: (H, W, 3) uint8.
        link: where the in-between's points lie in it.
        weight: how much it counts, the nearer the more; both sides sum to 1.
    """

    picture: Array
    link: Link
    weight: float


def blended(sides: Sequence[Side]) -> tuple[Array, Array]:
    """What painted frames show of an in-between, blended where both do; the rest filled from
    around.

    Returns:
        picture (H, W, 3) uint8, and which of its pixels (H, W) bool any side shows.
    """
    total, weights = np.zeros(()), np.zeros(())
    for side in sides:
        weight = (side.weight * side.link.visible).astype(np.float32)[..., None]
        moved = warp(side.picture, side.link.map, cv2.INTER_CUBIC).astype(np.float32)
        total, weights = total + weight * moved, weights + weight
    known = weights[..., 0] > 0
    picture = np.round(total / np.maximum(weights, 1e-6)).astype(np.uint8)
    return filled(picture, known), known


def painted(spec: JobSpec) -> list[int]:
    """The numbers of the frames that are painted: of each shot every n-th, and the last."""
    every = spec.coherence.paint_every
    numbers = []
    for shot in _shots(spec.frames):
        chosen = shot[::every]
        last = [] if chosen[-1] is shot[-1] else [shot[-1]]
        numbers += [frame.number for frame in (*chosen, *last)]
    return numbers


def paintings(spec: JobSpec, numbers: Sequence[int]) -> list[int]:
    """The frames that are painted so that the frames `numbers` can be shown: themselves, or those
    between which they lie."""
    if spec.coherence.paint_every == 1:
        return list(numbers)
    keys = painted(spec)
    sides = [[n] if n in set(keys) else neighbours(keys, n) for n in numbers]
    return sorted({n for side in sides for n in side})


def animate(
    spec: JobSpec,
    source: Source,
    networks: Networks,
    numbers: Sequence[int],
    watch: Watch,
    chunk: int = 0,
    finished: Finished = lambda _: None,
) -> Pictures:
    """The frames `numbers` of a job, painted or carried; arguments and errors as of `generate`.

    Args:
        finished: the picture (H, W, 3) uint8 of a frame made before, or None.
    """
    if spec.coherence.paint_every == 1:
        yield from generate(spec, source, networks, numbers, watch, chunk)
        return
    for shot in _shots(spec.frames):
        wanted = [frame.number for frame in shot if frame.number in set(numbers)]
        if wanted:
            yield from _Shot(
                spec, source, networks, shot, wanted, watch, chunk, finished
            ).pictures()


@dataclass
class _Shot:
    """The frames of one shot in the making."""

    spec: JobSpec
    source: Source
    networks: Networks
    frames: Sequence[Frame]
    wanted: Sequence[int]
    watch: Watch
    chunk: int
    finished: Finished
    shown: dict[int, Array] = field(default_factory=dict)

    def pictures(self) -> Pictures:
        """The wanted frames, each as soon as it is there."""
        keys = [n for n in painted(self.spec) if n in {frame.number for frame in self.frames}]
        between = [n for n in self.wanted if n not in keys]
        sides = {n: neighbours(keys, n) for n in between}
        needed = {n for n in self.wanted if n in keys}.union(*sides.values())
        for number in sorted(needed - set(self.wanted)):
            self._recall(number)
        missing = sorted(needed - self.shown.keys())
        for number, picture in self._generate(self.spec, self.source, missing):
            self.shown[number] = picture
            if number in self.wanted:
                yield number, picture
        yield from self._carried(sides)

    def _carried(self, sides: dict[int, tuple[int, int]]) -> Pictures:
        holes: dict[int, tuple[Array, Array]] = {}
        for number, (before, after) in sides.items():
            picture, known = self._between(number, before, after)
            if 1 - known.mean() > HOLES:
                holes[number] = picture, known
            else:
                yield number, picture
        if holes:
            yield from self._repainted(holes)

    def _between(self, number: int, before: int, after: int) -> tuple[Array, Array]:
        here, part = self._pixels(number), (number - before) / (after - before)
        sides = []
        for side, weight in ((before, 1 - part), (after, part)):
            there = self._pixels(side)
            way = there.since / here.since
            sides.append(Side(self.shown[side], link(link_of(here), link_of(there), way), weight))
        return blended(sides)

    def _repainted(self, holes: dict[int, tuple[Array, Array]]) -> Pictures:
        """Carried pictures whose holes are painted; all else in them stays."""
        anchor = self.frames[0].number
        arrays = {(n, "start"): picture for n, (picture, _) in holes.items()}
        arrays |= {(n, "repaint"): np.uint8(255) * ~known for n, (_, known) in holes.items()}
        if not self._recall(anchor):
            made = self._generate(self.spec, self.source, [anchor])
            self.shown |= dict(made)
        arrays[anchor, "start"] = self.shown[anchor]
        arrays[anchor, "repaint"] = np.zeros(self.shown[anchor].shape[:2], np.uint8)
        frames = tuple(_with_arrays(frame, arrays) for frame in self.frames)
        tied = replace(self.spec.coherence, fusion=0.0, anchor_weight=0.0, smoothing=0.0)
        start = Start("picture", REPAINT)
        spec = replace(self.spec, frames=frames, coherence=tied, start=start, repaints=())
        yield from self._generate(spec, replace(self.source, arrays=arrays), sorted(holes))

    def _recall(self, number: int) -> bool:
        """Whether a frame that was made is at hand from now on."""
        if number not in self.shown and (picture := self.finished(number)) is not None:
            self.shown[number] = picture
        return number in self.shown

    def _generate(self, spec: JobSpec, source: Source, numbers: list[int]) -> Pictures:
        if numbers:
            yield from generate(spec, source, self.networks, numbers, self.watch, self.chunk)

    def _pixels(self, number: int) -> Correspondence:
        """Where the points of a frame lay in the shot's anchor, pixel by pixel."""
        since = next(i for i, frame in enumerate(self.frames) if frame.number == number)
        frame, shot = self.frames[since], self.spec.shot
        size = shot.height_px, shot.width_px
        pixels = correspond(self.spec, self.source, frame, since, *size, "map")
        return replace(pixels, ids=self.source.read(frame, "ids"))


def neighbours(keys: Sequence[int], number: int) -> tuple[int, int]:
    """The painted frames before and after an in-between."""
    after = next(i for i, one in enumerate(keys) if one > number)
    return keys[after - 1], keys[after]


def _with_arrays(frame: Frame, arrays: Mapping[tuple[int, str], Array]) -> Frame:
    """The frame, which starts from those of the arrays that are its own."""
    names = {name: name for number, name in arrays if number == frame.number}
    return replace(frame, passes=replace(frame.passes, **names), start_strengths=())


def _shots(frames: Sequence[Frame]) -> list[list[Frame]]:
    groups: list[list[Frame]] = []
    for frame in frames:
        if frame.is_anchor or not groups:
            groups.append([])
        groups[-1].append(frame)
    return groups
