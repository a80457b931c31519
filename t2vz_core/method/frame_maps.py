"""What the scene tells of a frame beside its conditions, read once, before the frame's loop."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..job_folder.passes import Source
from ..wire.job import Frame, JobSpec
from .background import background
from .correspondence import Correspondence, correspond, pixel_correspondence, surface_mode


@dataclass(frozen=True)
class FrameMaps:
    """Where what a frame shows lay in its anchor.

    Attributes:
        motion: cell by cell, by what moves the noise.
        surface: cell by cell, by what is seen.
        pixels: the same at picture size; None where finished frames are not carried along.
        still: (h, w), the part of each cell that is background there and here, along `motion`;
            None where nothing is smoothed.
        still_surface: the same along `surface`.
    """

    motion: Correspondence
    surface: Correspondence
    pixels: Correspondence | None = None
    still: Tensor | None = None
    still_surface: Tensor | None = None

    @property
    def frame(self) -> Frame:
        """The frame it is about."""
        return self.motion.frame


@dataclass(frozen=True)
class ShotMaps:
    """The passes of a shot, and what is asked of them.

    Attributes:
        anchor: of the shot.
        since: frame number -> how many frames of the job after the anchor.
        size: h and w of a latent, in cells.
        is_instruct: whether the pictures are edits of the scene's own.
        is_carried: whether finished frames are carried along at picture size.
    """

    spec: JobSpec
    source: Source
    anchor: Frame
    since: dict[int, int]
    size: tuple[int, int]
    is_instruct: bool
    is_carried: bool

    def of(self, frame: Frame) -> FrameMaps:
        """What the passes tell of a frame.

        Raises:
            Fault: a pass is missing or unreadable.
        """
        spec, source, since = self.spec, self.source, self.since[frame.number]
        mode = surface_mode(spec, frame, self.is_instruct)
        motion = correspond(spec, source, frame, since, *self.size)
        surface = correspond(spec, source, frame, since, *self.size, mode)
        pixels = None
        if self.is_carried:
            pixels = pixel_correspondence(spec, source, frame, since, self.is_instruct)
        if not spec.coherence.smoothing:
            return FrameMaps(motion, surface, pixels)
        still = background(source, motion, self.anchor)
        return FrameMaps(motion, surface, pixels, still, background(source, surface, self.anchor))
