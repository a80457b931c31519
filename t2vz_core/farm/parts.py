"""A job cut into parts that a farm's tasks make: each begins at one frame and ends before the next.

A part is named by its first frame. A farm groups the parts into tasks as it likes; a task is told
its own parts and all there are. The first part also has what lies before it, the last one the rest,
so that every frame is in one, whatever the shot turns out to be.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from ..fault import Fault
from ..wire.job import JobSpec
from ..wire.ranges import in_a_line

EVERY = 8  # frames in a part where nothing asks for another length


def starts(spec: JobSpec) -> tuple[int, ...]:
    """The first frame of each part: at each anchor and, from there, as often as key frames are."""
    every = spec.coherence.anchor_every or EVERY
    found, since = [], 0
    for frame in spec.frames:
        since = 0 if frame.is_anchor or not found else since + 1
        if since % every == 0:
            found.append(frame.number)
    return tuple(found)


def shots(spec: JobSpec) -> tuple[int, ...]:
    """The first frame of each shot, its anchor."""
    first, *others = spec.frames
    return (first.number, *(frame.number for frame in others if frame.is_anchor))


def frames_of(spec: JobSpec, parts: Sequence[int], of: Sequence[int]) -> str:
    """The frames of the job within `parts`, of all the parts `of`, as a range expression; "" where
    there are none.

    Raises:
        Fault: a part is none of those there are.
    """
    if unknown := set(parts) - set(of):
        raise Fault(f"{in_a_line(list(unknown))} begins no part; parts begin at {in_a_line(of)}.")
    beginnings, wanted = sorted(of), set(parts)

    def part_of(number: int) -> int:
        return beginnings[max(0, bisect_right(beginnings, number) - 1)]

    inside = [frame.number for frame in spec.frames if part_of(frame.number) in wanted]
    return in_a_line(inside)


def stepped(numbers: Sequence[int]) -> str:
    """Parts as a short range expression: `1-233:8`, where they are evenly spaced."""
    steps = {two - one for one, two in pairwise(numbers)}
    if len(numbers) > 2 and len(steps) == 1:
        return f"{numbers[0]}-{numbers[-1]}:{steps.pop()}"
    return ",".join(map(str, numbers))
