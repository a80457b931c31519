"""Prompts to embeddings: CLIP text encoders, prompts of any length, clip skip, SDXL's pooled
vector."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor

from ..wire.prompt_syntax import PLAIN, WEBUI, Reading, read
from .prompt_chunks import Chunk, Word, chunks
from .weights import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import CLIPTextModel, CLIPTokenizer

MARKS = 2  # the first and the last of the tokens that an encoder reads only mark the ends


@dataclass(frozen=True)
class Embedding:
    """Texts as a denoiser reads them.

    Attributes:
        tokens: (n, L, d).
        pooled: (n, p), with SDXL.
        lengths: how many of the tokens of each row are its text's, where they differ.
    """

    tokens: Tensor
    pooled: Tensor | None = None
    lengths: tuple[int, ...] | None = None


class TextEncoder(Protocol):
    """What embeds prompts: the tokenizers and text encoders of a model."""

    tokenizers: list[Any]
    encoders: list[Any]

    def embed(self, texts: Sequence[str], clip_skip: int = 0, syntax: str = PLAIN) -> Embedding:
        """Embeds texts, `clip_skip` layers left out at the end of each encoder; `syntax` says how
        brackets are read."""
        ...


class Text:
    """The tokenizers and text encoders of a model, one of each or, with SDXL, two."""

    def __init__(
        self,
        tokenizers: list[CLIPTokenizer],
        encoders: list[CLIPTextModel],
        zeroes_empty: bool = False,
    ) -> None:
        self.tokenizers, self.encoders = tokenizers, encoders
        self._zeroes_empty = zeroes_empty
        self._taught: list[dict[str, Word]] = [{} for _ in tokenizers]

    @property
    def room(self) -> int:
        """Tokens of a prompt that are read at once."""
        return min(encoder.config.max_position_embeddings for encoder in self.encoders) - MARKS

    def teach(self, word: str, vectors: Sequence[Tensor]) -> None:
        """Lets prompts say `word`, whatever its case, for some vectors (n, d) in place of tokens;
        one entry of `vectors` for each encoder."""
        for i, own in enumerate(vectors):
            self._taught[i][word.lower()] = _add_tokens(self.tokenizers[i], self.encoders[i], own)

    def embed(self, texts: Sequence[str], clip_skip: int = 0, syntax: str = PLAIN) -> Embedding:
        """Embeds texts in chunks of what an encoder reads (CLIP: 77), laid end to end, as many as
        the longest needs.

        `clip_skip` layers are left out at the end of each encoder; SDXL always leaves out the last
        one. `syntax` says how brackets are read (wire/prompt_syntax.py); weights multiply the
        token states, whose mean is then restored, as WebUI does.

        Raises:
            ModelError: the encoder has not that many layers.
        """
        readings = [read(text, syntax) for text in texts]
        has_norm = len(self.encoders) == 1  # SDXL was trained without the encoders' last norm
        outputs = []
        for i, encoder in enumerate(self.encoders):
            ids, weights = self._chunks(i, readings, syntax)
            skip = self._skip(encoder, clip_skip)
            states, pooled = _encode(encoder, ids, skip, has_norm)
            outputs.append((weighed(states, weights), pooled))
        tokens = torch.cat([tokens for tokens, _ in outputs], dim=-1)  # -> (n, chunks, room + 2, d)
        tokens = tokens.flatten(1, 2)  # -> (n, L, d)
        if len(self.encoders) == 1:
            return Embedding(tokens)
        pooled = outputs[-1][1][:, 0]
        if self._zeroes_empty:
            says = torch.tensor(
                [bool(text) for text in texts], dtype=tokens.dtype, device=tokens.device
            )
            tokens, pooled = tokens * says[:, None, None], pooled * says[:, None]
        return Embedding(tokens, pooled)

    def _skip(self, encoder: CLIPTextModel, clip_skip: int) -> int:
        skip, layers = clip_skip + (len(self.encoders) > 1), encoder.config.num_hidden_layers
        if skip >= layers:
            raise ModelError(
                f"prompt.clip_skip: the text encoder has {layers} layers, "
                f"{clip_skip} cannot be left out."
            )
        return skip

    def _chunks(self, i: int, readings: Sequence[Reading], syntax: str) -> tuple[Tensor, Tensor]:
        """Token numbers and weights (n, chunks, room + 2) of the texts, for the i-th encoder."""
        tokenizer, room = self.tokenizers[i], self.room
        comma = tokenizer.get_vocab().get(",</w>") if syntax == WEBUI else None
        words = partial(_words, tokenizer, self._taught[i])
        rows = [chunks(reading, words, room, comma) for reading in readings]
        count = max(len(row) for row in rows)
        marks: Any = tokenizer  # its types allow several of each, CLIP's has one
        begin, end, pad = marks.bos_token_id, marks.eos_token_id, marks.pad_token_id
        padded = [
            chunk.padded(room, begin, end, pad)
            for row in rows
            for chunk in (*row, *[Chunk()] * (count - len(row)))
        ]
        shape = (len(rows), count, room + MARKS)
        ids, weights = ([both[k] for both in padded] for k in (0, 1))
        return torch.tensor(ids).view(shape), torch.tensor(weights).view(shape)


def weighed(states: Tensor, weights: Tensor) -> Tensor:
    """Token states (n, chunks, tokens, d) times the tokens' weights (n, chunks, tokens), the mean
    of each chunk as it was."""
    if (weights == 1).all():
        return states
    heavy = states * weights[..., None].to(states)
    before, after = (each.float().mean((2, 3), keepdim=True) for each in (states, heavy))
    return heavy * (before / after).to(states)


def _words(tokenizer: CLIPTokenizer, taught: dict[str, Word], text: str) -> Iterator[Word]:
    """The tokens of a text one by one, those of a taught word together."""
    pattern = "|".join(re.escape(word) for word in sorted(taught, key=len, reverse=True))
    pieces = re.split(rf"(?<!\w)({pattern})(?!\w)", text, flags=re.IGNORECASE) if taught else [text]
    for i, piece in enumerate(pieces):
        if i % 2:
            yield taught[piece.lower()]
        else:
            ids = tokenizer(piece, add_special_tokens=False, verbose=False).input_ids
            yield from ([id] for id in ids)


def _add_tokens(tokenizer: CLIPTokenizer, encoder: CLIPTextModel, vectors: Tensor) -> Word:
    """Numbers of new tokens with these vectors (n, d)."""
    first = _embeddings(encoder).num_embeddings
    encoder.resize_token_embeddings(first + len(vectors), mean_resizing=False)
    table = _embeddings(encoder).weight
    table.data[first:] = vectors.to(table)
    # Published configurations name a wrong end, which transformers takes for the highest number
    inner: Any = getattr(encoder, "text_model", encoder)
    inner.eos_token_id = tokenizer.eos_token_id
    return list(range(first, first + len(vectors)))


def _embeddings(encoder: CLIPTextModel) -> torch.nn.Embedding:
    return cast(torch.nn.Embedding, encoder.get_input_embeddings())


def _encode(
    encoder: CLIPTextModel, ids: Tensor, skip: int, has_norm: bool
) -> tuple[Tensor, Tensor]:
    """Token states (n, chunks, tokens, d), without the last `skip` layers, and pooled vectors (n,
    chunks, p)."""
    output = encoder(ids.flatten(0, 1).to(encoder.device), output_hidden_states=True)
    states = output.hidden_states[-1 - skip]
    if has_norm:
        states = getattr(encoder, "text_model", encoder).final_layer_norm(states)
    pooled = output.text_embeds if hasattr(output, "text_embeds") else output.pooler_output
    return states.unflatten(0, ids.shape[:2]), pooled.unflatten(0, ids.shape[:2])
