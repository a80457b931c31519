"""Prompts cut into chunks of as many tokens as a text encoder reads, each token with its weight.

Where WebUI's syntax is asked for, a chunk ends as there: at a BREAK, and after the last comma of
its last tokens, so that no phrase is cut in two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..wire.prompt_syntax import Reading, Span

BACKTRACK = 20  # how many tokens after a comma move on to the next chunk, at most

Word = list[int]  # the tokens of what must stay together: one, or those of a textual inversion
Words = Callable[[str], Iterable[Word]]


@dataclass
class Chunk:
    """Tokens that are read at once, and how much each weighs."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    comma: int | None = None  # how many tokens there are up to the last comma

    def add(self, word: Word, weight: float) -> None:
        self.ids += word
        self.weights += [weight] * len(word)

    def padded(self, room: int, begin: int, end: int, pad: int) -> tuple[list[int], list[float]]:
        """Tokens and weights (room + 2): begin, the tokens, end, padding."""
        rest = room - len(self.ids)
        return [begin, *self.ids, end, *[pad] * rest], [1.0, *self.weights, *[1.0] * (rest + 1)]


def chunks(reading: Reading, words: Words, room: int, comma: int | None) -> list[Chunk]:
    """The chunks of a prompt, one at least.

    Args:
        words: cuts a text into words of tokens.
        room: of a chunk, in tokens.
        comma: the token after which a full chunk may end; None: it ends where it is full.
    """
    parts = [_part(spans, words, room, comma) for spans in reading.parts]
    *others, last = parts
    found = [chunk for part in others for chunk in part or [Chunk()]]
    return [*found, *last] or [Chunk()]


def _part(spans: Iterable[Span], words: Words, room: int, comma: int | None) -> list[Chunk]:
    found: list[Chunk] = []
    for span in spans:
        for word in words(span.text):
            while not found or len(found[-1].ids) + len(word) > room:
                found.append(_next(found, word, room, comma))
            found[-1].add(word, span.weight)
            if word == [comma]:
                found[-1].comma = len(found[-1].ids)
    return found


def _next(found: list[Chunk], word: Word, room: int, comma: int | None) -> Chunk:
    """The chunk after a full one, which hands on what follows its last comma."""
    full = found[-1] if found else Chunk()
    at = full.comma
    is_cut = at is not None and len(full.ids) == room and room - at < BACKTRACK
    if at is None or not is_cut or word == [comma]:
        return Chunk()
    moved = Chunk(full.ids[at:], full.weights[at:])
    del full.ids[at:], full.weights[at:]
    return moved
