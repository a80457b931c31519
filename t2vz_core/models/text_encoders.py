"""Prompts to embeddings: CLIP text encoders, prompts of any length, clip skip, SDXL's pooled
vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .weights import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import CLIPTextModel, CLIPTokenizer

MARKS = 2  # the first and the last of the tokens that an encoder reads only mark the ends


@dataclass(frozen=True)
class Embedding:
    """Texts as a UNet reads them: `tokens` (n, L, d) and, with SDXL, `pooled` (n, p)."""

    tokens: Tensor
    pooled: Tensor | None = None


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

    def embed(self, texts: Sequence[str], clip_skip: int = 0) -> Embedding:
        """Embeds texts in chunks of what an encoder reads (CLIP: 77), laid end to end, as many as
        the longest needs.

        `clip_skip` layers are left out at the end of each encoder; SDXL always leaves out the last
        one.

        Raises:
            ModelError: the encoder has not that many layers.
        """
        room = min(encoder.config.max_position_embeddings for encoder in self.encoders) - MARKS
        by_encoder = [self._chunks(tokenizer, texts, room) for tokenizer in self.tokenizers]
        has_norm = len(self.encoders) == 1  # SDXL was trained without the encoders' last norm
        outputs = [
            _encode(encoder, ids, self._skip(encoder, clip_skip), has_norm)
            for encoder, ids in zip(self.encoders, by_encoder)
        ]
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

    @staticmethod
    def _chunks(tokenizer: CLIPTokenizer, texts: Sequence[str], room: int) -> Tensor:
        """Token numbers (n, chunks, room + 2): begin, up to `room` tokens, end, padding."""
        ids = [tokenizer(text, add_special_tokens=False, verbose=False).input_ids for text in texts]
        count = max(1, *(-(-len(one) // room) for one in ids))
        begin, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
        rows = [
            [begin, *chunk, end, *[pad] * (room - len(chunk))]
            for one in ids
            for chunk in (one[i * room : (i + 1) * room] for i in range(count))
        ]
        return torch.tensor(rows).view(len(texts), count, room + MARKS)


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
