"""The text that each frame is denoised with, embedded once per job."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.text_encoders import Embedding
from ..wire.job import Frame, JobSpec
from .guidance import PROMPT


class Prompts:
    """Embeddings of a job's prompts; between two keys they travel in a straight line."""

    def __init__(self, spec: JobSpec, networks: Any) -> None:
        keys = [(key.number, key.text) for key in spec.prompt.keys]
        first = spec.frames[0].number
        if not keys or (spec.prompt.text and keys[0][0] > first):
            keys.insert(0, (first, spec.prompt.text))
        self._numbers = [number for number, _ in keys]
        self._negative = len(keys)
        embedded = networks.embed(
            [*(text for _, text in keys), spec.prompt.negative],
            spec.prompt.clip_skip,
            spec.prompt.syntax,
        )
        self._tokens, self._pooled = embedded.tokens, embedded.pooled
        self._lengths = embedded.lengths and _lengths(embedded.lengths)
        self._kept: dict[tuple[str, ...], Tensor] = {}

    def condition(self, groups: tuple[str, ...], frames: list[Frame]) -> Embedding:
        """The text of a batch (groups·f, …).

        Where nothing travels, the tokens are (groups, L, d), the same object every time:
        attention.py knows that the frames of a group share them.
        """
        travels = len(self._numbers) > 1
        if travels:
            tokens = torch.cat([self._mixed(self._tokens, group, frames) for group in groups])
        else:
            tokens = self._shared(groups, frames[:1])
        pooled = None
        if self._pooled is not None:
            pooled = torch.cat([self._mixed(self._pooled, group, frames) for group in groups])
        lengths = None
        if self._lengths:
            own, negative = self._lengths
            each = [own if group == PROMPT else negative for group in groups]
            lengths = tuple(np.repeat(each, len(frames) if travels else 1).tolist())
        return Embedding(tokens, pooled, lengths)

    def _shared(self, groups: tuple[str, ...], any_frame: list[Frame]) -> Tensor:
        if groups not in self._kept:
            self._kept[groups] = torch.cat(
                [self._mixed(self._tokens, group, any_frame) for group in groups]
            )
        return self._kept[groups]

    def _mixed(self, values: Tensor, group: str, frames: list[Frame]) -> Tensor:
        """One row per frame of the embeddings of this group."""
        if group != PROMPT:
            return values[[self._negative] * len(frames)]
        before, after, part = zip(*(self._between(frame.number) for frame in frames))
        weight = torch.tensor(part, device=values.device, dtype=values.dtype).view(
            -1, *[1] * (values.ndim - 1)
        )
        return torch.lerp(values[list(before)], values[list(after)], weight)

    def _between(self, number: int) -> tuple[int, int, float]:
        """The keys before and after a frame, and how far it is from the one to the other."""
        after = next((i for i, key in enumerate(self._numbers) if key > number), None)
        if after == 0 or after is None:
            only = 0 if after == 0 else len(self._numbers) - 1
            return only, only, 0.0
        before, end = self._numbers[after - 1], self._numbers[after]
        return after - 1, after, (number - before) / (end - before)


def _lengths(each: tuple[int, ...]) -> tuple[int, int]:
    """Tokens of the prompt, the longest where it travels, and of the negative prompt, the last."""
    *keys, negative = each
    return max(keys), negative
