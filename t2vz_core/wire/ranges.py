"""Frame numbers in a line: `1-8,12,20-40:2`, as farms write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .parse import WireError

PART = re.compile(r"(-?\d{1,7})(?:-(-?\d{1,7})(?::(\d{1,7}))?)?")


def numbers_in(text: str) -> tuple[int, ...]:
    """The numbers of a range expression, in order, each once.

    Raises:
        WireError: it is none.
    """
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = PART.fullmatch(part)
        if match is None:
            raise WireError(f"{text!r} is no range such as 1-16 or 1-8,12,20-40:2")
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        step = int(match[3] or 1)
        if last < first or not step:
            raise WireError(f"{part!r} ends before it begins")
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def with_negatives(arguments: Sequence[str], *options: str) -> list[str]:
    """A command line on which `--frames -5--1` is an option with its value, as argparse does not
    see by itself."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in options and re.match(r"-\d", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def in_a_line(numbers: Sequence[int]) -> str:
    """The numbers, in order, as a range expression."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
