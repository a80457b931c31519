"""Every frame attends to the anchor: softmax(Q^k (K^1)ᵀ/√d) V^1 in place of self-attention.

Khachatryan et al., https://arxiv.org/abs/2303.13439, section 3.3.2. K and V are projected of the anchor alone, and
the frames of a batch are folded into the length of the query, which is exact and saves memory and time. Text
attention stays what it is; its K and V, the same for all frames and steps, are projected once.

A batch is laid out group by group (groups of guidance), the frames of a group side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .memory import Memory

ALONE, ANCHOR, FRAMES = "alone", "anchor", "frames"


class CrossFrame:
    """What all attention layers of the networks look at just now.

    Attributes:
        memory: the anchor's K and V.
        role: of the batch: `ALONE` attends to itself, `ANCHOR` does so and is kept, `FRAMES` attend to the anchor.
        step: of the denoising.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.role = ALONE
        self.step = 0

    def keys_values(self, layer: str, tokens: Tensor, attn: Any) -> tuple[Tensor, Tensor]:
        """K and V (groups or batch, heads, n, d) for the tokens (batch, n, c) of a layer."""
        if self.role == FRAMES:
            return self.memory.get(self.step, layer, tokens.device)
        pair = _heads(attn.to_k(tokens), attn), _heads(attn.to_v(tokens), attn)
        if self.role == ANCHOR:
            self.memory.put(self.step, layer, pair)
        return pair


@contextmanager
def cross_frame(networks: list[nn.Module], memory: Memory) -> Iterator[CrossFrame]:
    """Lets every attention layer of the networks look across frames; un-patched at the end, come what may."""
    state = CrossFrame(memory)
    layers = [(f"{n}.{name}", module) for n, net in enumerate(networks) for name, module in _attentions(net)]
    before = [layer.processor for _, layer in layers]
    try:
        for name, layer in layers:
            layer.processor = _ToText() if name.endswith("attn2") else _ToAnchor(name, state)
        yield state
    finally:
        for (_, layer), processor in zip(layers, before):
            layer.processor = processor


def _attentions(network: nn.Module) -> list[tuple[str, Any]]:
    """The self- and text attention layers of a network, by name."""
    return [(name, module) for name, module in network.named_modules() if name.endswith((".attn1", ".attn2"))]


class _ToAnchor:
    """Self-attention of one layer, with the anchor's K and V."""

    def __init__(self, layer: str, state: CrossFrame) -> None:
        self._layer, self._state = layer, state

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        keys, values = self._state.keys_values(self._layer, hidden_states, attn)
        return _attend(attn, hidden_states, keys, values)


class _ToText:
    """Text attention of one layer; K and V are kept for as long as the same embeddings come."""

    def __init__(self) -> None:
        self._text: Tensor | None = None

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, *_: Any, **__: Any
    ) -> Tensor:
        if self._text is not encoder_hidden_states:
            self._text = encoder_hidden_states
            self._pair = _heads(attn.to_k(self._text), attn), _heads(attn.to_v(self._text), attn)
        return _attend(attn, hidden_states, *self._pair)


def _attend(attn: Any, tokens: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of the tokens (groups·f, n, c) to keys and values (groups, heads, m, d)."""
    groups, (batch, n, _) = keys.shape[0], tokens.shape
    query = attn.to_q(tokens).reshape(groups, batch // groups * n, -1)  # -> (groups, f·n, heads·d)
    seen = F.scaled_dot_product_attention(_heads(query, attn), keys, values)
    seen = seen.transpose(1, 2).reshape(batch, n, -1)
    return attn.to_out[1](attn.to_out[0](seen))


def _heads(tokens: Tensor, attn: Any) -> Tensor:
    """(batch, n, heads·d) -> (batch, heads, n, d)"""
    return tokens.unflatten(2, (attn.heads, -1)).transpose(1, 2)
