"""Textual inversions: words that a file of vectors teaches the text encoders.

Gal et al., https://arxiv.org/abs/2208.01618. A file holds (n, d) vectors for one encoder, under
`emb_params` (WebUI) or its word (diffusers), or for SDXL's two under `clip_l` and `clip_g`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .file_type import mistaken
from .weights import ModelError, read_weights

if TYPE_CHECKING:
    from torch import Tensor

    from .text_encoders import Text

INVERSION = "a textual inversion"
BY_ENCODER = ("clip_l", "clip_g")


def teach(text: Text, path: Path, word: str = "", allow_pickle: bool = False) -> str:
    """Teaches the text encoders the word of a file, by its own name where `word` is empty; returns
    the word.

    Raises:
        ModelError: the file is broken, something else, made for another family of models, or longer
            than a prompt.
    """
    vectors = _vectors(path, allow_pickle)
    widths = [encoder.config.hidden_size for encoder in text.encoders]
    theirs = [own.shape[-1] for own in vectors]
    if theirs != widths:
        raise ModelError(
            f"{path}: was made for other text encoders (vectors of {theirs}, this model's of "
            f"{widths}); choose one made for this family of models."
        )
    if len(vectors[0]) > text.room:
        raise ModelError(
            f"{path}: has {len(vectors[0])} vectors, a prompt has room for {text.room}."
        )
    word = word.strip() or path.stem
    text.teach(word, vectors)
    return word


def _vectors(path: Path, allow_pickle: bool) -> list[Tensor]:
    """One (n, d) for each encoder, in the encoders' order."""
    weights = read_weights(path, allow_pickle)
    found = [weights[name] for name in BY_ENCODER if name in weights] or [*weights.values()]
    has_one_name = len(weights) == 1 or set(weights) == set(BY_ENCODER)
    if not has_one_name or any(own.ndim > 2 for own in found):
        raise mistaken(path, weights, INVERSION)
    return [own.reshape(-1, own.shape[-1]) for own in found]
