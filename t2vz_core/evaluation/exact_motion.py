"""What a job's passes say of every frame: where its points were, and what is foreground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..fault import Fault
from ..geometry import pixel_maps
from ..geometry.pixel_maps import Array, Link
from ..job_folder.passes import Source
from ..wire.job import Frame


@dataclass(frozen=True)
class ExactMotion:
    """The geometry of a job's frames, against which pictures are measured.

    Attributes:
        anchors: index of each frame's anchor in `frames`.
        to_anchor: where each frame's points were in its anchor.
        flow: to the frame before and to the next, where the job has it.
        foreground: (H, W) bool, where there are masks.
        depth: (H, W), where there is depth.
        disturbed: (H, W) bool, where the light may have changed, if that is known.
    """

    frames: tuple[Frame, ...]
    anchors: tuple[int, ...]
    to_anchor: tuple[Link, ...]
    flow: tuple[tuple[Link | None, Link | None], ...]
    foreground: tuple[Array | None, ...]
    depth: tuple[Array | None, ...]
    disturbed: tuple[Array | None, ...]

    def hidden(self, i: int) -> Array | None:
        """(H, W) bool: what frame i shows of surfaces and its anchor did not; None where the
        objects are not known."""
        to = self.to_anchor[i]
        return None if to.ids is None else ~to.visible & (to.ids > 0)

    def link(self, i: int, j: int) -> Link | None:
        """From frame i to frame j; None across a cut."""
        if self.anchors[i] != self.anchors[j]:
            return None
        if abs(i - j) == 1 and (flow := self.flow[i][j > i]):
            return flow
        if j == self.anchors[i]:
            return self.to_anchor[i]
        way = (j - self.anchors[i]) / max(i - self.anchors[i], 1)
        return pixel_maps.link(self.to_anchor[i], self.to_anchor[j], way)


def read_motion(frames: Sequence[Frame], source: Source) -> ExactMotion:
    """The geometry of a job's frames.

    Raises:
        Fault: a frame has no map.
    """
    return ExactMotion(
        tuple(frames),
        tuple(_anchors(frames)),
        tuple(_to_anchor(source, f) for f in frames),
        tuple((_flow(source, f, "flow_back"), _flow(source, f, "flow_ahead")) for f in frames),
        tuple(source.read(f, "mask") > 0 if f.passes.mask else None for f in frames),
        tuple(source.read(f, "depth") if f.passes.depth else None for f in frames),
        tuple(source.read(f, "disturbed") > 0 if f.passes.disturbed else None for f in frames),
    )


def _anchors(frames: Sequence[Frame]) -> list[int]:
    anchors, at = [], 0
    for i, frame in enumerate(frames):
        if frame.passes.map is None:
            raise Fault(
                f"Frame {frame.number} has no map pass, without which nothing can be measured: "
                "capture the shot again with its motion taken from the geometry, or with fusion."
            )
        at = i if frame.is_anchor else at
        anchors.append(at)
    return anchors


def _to_anchor(source: Source, frame: Frame) -> Link:
    ids = source.read(frame, "ids") if frame.passes.ids else None
    return Link(source.read(frame, "map"), source.read(frame, "visible") > 0, ids)


def _flow(source: Source, frame: Frame, name: str) -> Link | None:
    if getattr(frame.passes, name) is None:
        return None
    flow = source.read(frame, name)
    return Link(pixel_maps.grid(*flow.shape[:2]) + flow[..., :2], flow[..., 2] > 0)
