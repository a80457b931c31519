"""Qwen3 as the text encoder of Z-Image and FLUX.2 klein: its tokenizer, and prompts to embeddings.

A prompt is put as a question to the chat model; what its layers make of that question, before any
answer, is the embedding (https://arxiv.org/abs/2511.22699, section on the architecture).
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..wire.prompt_syntax import PLAIN, read
from .text_encoders import Embedding
from .weights import ModelError

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

CONFIGS = Path(__file__).parent / "configs"
LIMIT = 512  # tokens that the models were trained to read
QUESTION = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
ENDS = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")  # in the order of their numbers


class ChatText:
    """A chat model that embeds prompts; `question` is what it is asked, {} being the prompt."""

    def __init__(self, tokenizer: Qwen2Tokenizer, encoder: Any, question: str = QUESTION) -> None:
        self.tokenizers, self.encoders = [tokenizer], [encoder]
        self._question = question

    def embed(self, texts: Sequence[str], clip_skip: int = 0, syntax: str = PLAIN) -> Embedding:
        """Embeds texts: the states below the last layer, `clip_skip` layers further down.

        Rows are as long as the longest, filled with their last token; `lengths` says how long each
        is. `syntax` says how brackets are read (wire/prompt_syntax.py).

        Raises:
            ModelError: a text is too long or weighs its words, or the encoder has not that many
                layers.
        """
        encoder = self.encoders[0]
        layers = encoder.config.num_hidden_layers
        if clip_skip + 1 >= layers:
            raise ModelError(
                f"prompt.clip_skip: the text encoder has {layers} layers, "
                f"{clip_skip} cannot be left out."
            )
        rows = [self._states(_words(text, syntax), -2 - clip_skip) for text in texts]
        lengths = [len(row) for row in rows]
        longest = max(lengths)
        filled = [torch.cat([row, row[-1:].expand(longest - len(row), -1)]) for row in rows]
        return Embedding(torch.stack(filled), lengths=tuple(lengths))

    def _states(self, text: str, layer: int) -> Tensor:
        """(L, d) of one text."""
        encoder = self.encoders[0]
        ids = self.tokenizers[0](self._question.format(text), verbose=False).input_ids
        if len(ids) > LIMIT:
            raise ModelError(
                f"prompt.text: is {len(ids)} tokens long, this model reads {LIMIT}; shorten it."
            )
        numbers = torch.tensor([ids], device=encoder.device)
        return encoder(numbers, output_hidden_states=True, use_cache=False).hidden_states[layer][0]


def _words(text: str, syntax: str) -> str:
    """A prompt without what its syntax says beside words."""
    spans = [span for part in read(text, syntax).parts for span in part]
    if any(span.weight != 1 for span in spans):
        raise ModelError(
            "prompt.text: weighs its words, which this model's text encoder cannot; write them "
            "without brackets, or choose the plain syntax."
        )
    return " ".join(span.text for span in spans)


def tokenizer() -> Qwen2Tokenizer:
    """Qwen's own tokenizer, with the marks of a chat."""
    return of_merges(CONFIGS / "qwen_merges.txt.gz")


@cache
def of_merges(path: Path) -> Qwen2Tokenizer:
    """A tokenizer by its byte pair merges, a gzipped line each; every merge is a token."""
    from tokenizers import AddedToken
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

    lines = gzip.decompress(path.read_bytes()).decode()
    merges = [tuple(line.split(" ")) for line in lines.splitlines()]
    tokens = [*sorted(ByteLevel.alphabet()), *("".join(pair) for pair in merges), *_MARKS]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    pairs: Any = merges  # transformers' types lack pairs, which are what it keeps
    made = Qwen2Tokenizer(vocabulary, pairs, **ENDS)
    marks: Any = [AddedToken(mark, special=True, normalized=False) for mark in _MARKS]
    made.add_tokens(marks)
    return made
