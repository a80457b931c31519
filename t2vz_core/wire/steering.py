"""What steers a job beside its prompt and controls: words for single objects, pictures to start
from and pictures to look like; docs/steering.md has a recipe for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .parse import WireError, numeric, one_of, words
from .prompt_syntax import read


@dataclass(frozen=True)
class Region:
    """What some objects look like, in words of their own; needs ids passes."""

    ids: tuple[int, ...] = numeric((), 1, 2**31 - 1, "the objects' numbers in the ids passes")
    text: str = words("", "what these objects show")
    negative: str = words("", "what they must not show; empty: as everywhere")
    strength: float = numeric(1.0, 0.0, 1.0, "how much its words count beside the prompt's")


@dataclass(frozen=True)
class Start:
    """What the frames are made of: noise alone, or their own pictures (image passes)."""

    source: str = one_of("noise", ("noise", "picture"), "what the frames start from")
    strength: float = numeric(
        0.6, 0.0, 1.0, "how much of a picture is made anew; 0: nothing, byte for byte, 1: all"
    )

    @property
    def is_picture(self) -> bool:
        """Whether frames start from their pictures."""
        return self.source == "picture"


@dataclass(frozen=True)
class Repaint:
    """How much of some objects is made anew, where frames start from their pictures; needs ids
    passes."""

    ids: tuple[int, ...] = numeric((), 1, 2**31 - 1, "the objects' numbers in the ids passes")
    strength: float = numeric(0.6, 0.0, 1.0, "how much of them is made anew; 0: nothing, 1: all")


@dataclass(frozen=True)
class Reference:
    """A picture that the frames are to look like, through an IP-Adapter (arXiv 2308.06721)."""

    picture: str = words("", "a picture file in the job folder, or its whole path")
    adapter: str = words("", "the IP-Adapter's .safetensors file")
    encoder: str = words("", "folder of its image encoder; empty: image_encoder beside the adapter")
    scale: float = numeric(0.6, 0.0, 2.0, "how strongly it counts beside the prompt")
    start: float = numeric(0.0, 0.0, 1.0, "part of the steps after which it begins")
    end: float = numeric(1.0, 0.0, 1.0, "part of the steps after which it ends")


Strengths = Sequence[tuple[float, ...]]  # frame by frame; empty where they are the job's own


def check_regions(regions: Sequence[Region], syntax: str, given: Strengths) -> None:
    """Refuses regions without objects or words.

    Raises:
        WireError: one sentence that begins with the field's path.
    """
    for i, region in enumerate(regions):
        here = f"regions[{i}]"
        if not region.ids:
            raise WireError(f"{here}.ids: must name at least one object of the ids passes")
        if not region.text.strip():
            raise WireError(f"{here}.text: must say what the objects show, or leave the region out")
        for name in ("text", "negative"):
            if read(getattr(region, name), syntax, f"{here}.{name}").loras:
                raise WireError(f"{here}.{name}: names a LoRA, which belongs into the prompt")
    _check_count(given, "region_strengths", len(regions), "of the regions")


def check_references(references: Sequence[Reference]) -> None:
    """Refuses references without files.

    Raises:
        WireError: one sentence that begins with the field's path.
    """
    for i, reference in enumerate(references):
        for name in ("picture", "adapter"):
            if not getattr(reference, name).strip():
                raise WireError(f"references[{i}].{name}: must name a file")


def check_start(start: Start, repaints: Sequence[Repaint], given: Strengths) -> None:
    """Refuses a start from which nothing would be painted.

    Raises:
        WireError: one sentence that begins with the field's path.
    """
    _check_count(given, "start_strengths", 1 + len(repaints), "of start and repaints")
    for i, repaint in enumerate(repaints):
        if not repaint.ids:
            raise WireError(f"repaints[{i}].ids: must name at least one object of the ids passes")
        if not start.is_picture:
            raise WireError(f"repaints[{i}]: needs start.source 'picture', not 'noise'")
    own = (start.strength, *(one.strength for one in repaints))
    if start.is_picture and not any(any(each or own) for each in given):
        raise WireError(
            "start.strength: must be above 0, or above 0 for an object, or nothing is painted"
        )


def _check_count(given: Strengths, name: str, count: int, whose: str) -> None:
    for i, each in enumerate(given):
        if len(each) not in (0, count):
            raise WireError(f"frames[{i}].{name}: must have the {count} {whose}, not {len(each)}")
