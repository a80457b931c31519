"""Every frame attends to the anchor: softmax(Q^k (K^1)ᵀ/√d) V^1 in place of self-attention.

Khachatryan et al., https://arxiv.org/abs/2303.13439, section 3.3.2. K and V are projected of the
anchor alone, and the frames of a batch are folded into the length of the query, which is exact and
saves memory and time. What a frame shows and the anchor did not may be added to the keys (as in
FRESCO, https://arxiv.org/abs/2403.12962), so that new content does not have to be made of the old,
and so may further anchors, each with a weight w: log w is added to its scores. Text attention stays
what it is; its K and V are projected once.

A batch is laid out group by group (groups of guidance), the frames of a group side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..runtime.token_cache import Memory

ALONE, ANCHOR, FRAMES = "alone", "anchor", "frames"

# entries that weigh further anchors; a head's size stays a multiple of 8, as fast kernels want it
WEIGHING = 8
LEAST = 1e-4


@dataclass
class Sight:
    """What the frames of a batch attend to beside the anchor.

    Attributes:
        hidden: (f, h, w), 0..1: how much of each latent cell the anchor did not show; where it is
            more than half, the frame attends to itself too. None: nowhere.
        further: the tokens of further anchors.
        weights: (f, len(further)), how much each counts for each frame, where the anchor counts 1.
        keeps: for the tokens of this batch, a further anchor that others will attend to.
    """

    hidden: Tensor | None = None
    further: tuple[Memory, ...] = ()
    weights: Tensor | None = None
    keeps: Memory | None = None


class CrossFrame:
    """What all attention layers of the networks look at just now.

    Attributes:
        memory: the anchor's tokens, of which its K and V are projected.
        role: of the batch: `ALONE` attends to itself, `ANCHOR` does so and is kept, `FRAMES` attend
            to the anchor.
        step: of the denoising.
        sight: what the batch attends to beside the anchor.
        slice: queries that are looked up at once; 0: all of them.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.role = ALONE
        self.step = 0
        self._kept: Memory | None = None
        self.sight = Sight()
        self.slice = 0

    def turn(self, step: int, role: str, sight: Sight | None = None) -> None:
        """From now on it is about a step of a batch with this role."""
        self.step, self.role, self.sight = step, role, sight or Sight()
        self._kept = self.memory if role == ANCHOR else self.sight.keeps
        if self._kept is not None:
            self._kept.begin(step)

    def slice_queries(self) -> None:
        """Trades time for memory, where the device has no attention kernel that spares it."""
        self.slice = 1024

    def keys_values(self, layer: str, tokens: Tensor, attn: Any) -> tuple[Tensor, Tensor]:
        """K and V (groups or batch, heads, n, d) for the tokens (batch, n, c) of a layer."""
        if self._kept is not None:
            self._kept.put(self.step, layer, tokens)
        if self.role == FRAMES:
            known = [
                one.get(self.step, layer, tokens.device)
                for one in (self.memory, *self.sight.further)
            ]
            tokens = torch.cat(known, 1) if len(known) > 1 else known[0]
        return _heads(attn.to_k(tokens), attn), _heads(attn.to_v(tokens), attn)


@contextmanager
def cross_frame(networks: list[nn.Module], memory: Memory) -> Iterator[CrossFrame]:
    """Lets every attention layer of the networks look across frames; un-patched at the end, come
    what may."""
    state = CrossFrame(memory)
    layers = [
        (f"{n}.{name}", module)
        for n, net in enumerate(networks)
        for name, module in _attentions(net)
    ]
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
    return [
        (name, module)
        for name, module in network.named_modules()
        if name.endswith((".attn1", ".attn2"))
    ]


class _ToAnchor:
    """Self-attention of one layer, with the anchor's K and V."""

    def __init__(self, layer: str, state: CrossFrame) -> None:
        self._layer, self._state = layer, state

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        keys, values = self._state.keys_values(self._layer, hidden_states, attn)
        is_frames, sight = self._state.role == FRAMES, self._state.sight
        weights = sight.weights if is_frames and sight.further else None
        if is_frames and sight.hidden is not None:
            new = tokens_of(sight.hidden, hidden_states.shape[1])
            if new.any():
                return _attend_new(
                    attn, hidden_states, keys, values, new, self._state.slice, weights
                )
        return _attend(attn, hidden_states, keys, values, self._state.slice, weights)


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


def _attend(
    attn: Any,
    tokens: Tensor,
    keys: Tensor,
    values: Tensor,
    slice_at: int = 0,
    weights: Tensor | None = None,
) -> Tensor:
    """Attention of the tokens (groups·f, n, c) to keys and values (groups, heads, m, d)."""
    groups, d, (batch, n, _) = keys.shape[0], keys.shape[-1], tokens.shape
    query = _heads(
        attn.to_q(tokens).reshape(groups, batch // groups * n, -1), attn
    )  # -> (groups, heads, f·n, d)
    if weights is not None:
        query, keys, values = _weighed(query, keys, values, weights.repeat_interleave(n, 0))
    seen = _look_up(query, keys, values, d, slice_at).transpose(1, 2).reshape(batch, n, -1)
    return attn.to_out[1](attn.to_out[0](seen))


def _look_up(
    query: Tensor, keys: Tensor, values: Tensor, d: int, slice_at: int, mask: Tensor | None = None
) -> Tensor:
    """softmax(Q Kᵀ/√d) V, the first d entries of each, so many queries at once."""
    parts = query.split(slice_at or query.shape[2], 2)
    seen = [
        F.scaled_dot_product_attention(part, keys, values, attn_mask=mask, scale=d**-0.5)
        for part in parts
    ]
    return (seen[0] if len(seen) == 1 else torch.cat(seen, dim=2))[..., :d]


def _weighed(
    query: Tensor, keys: Tensor, values: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Adds log w to the scores of the keys of further anchors, without a mask as large as all
    scores.

    A score is a dot product: log w is a further entry of the query, where the keys of that anchor
    have a one.

    Args:
        query: (batch, heads, q, d).
        keys, values: (batch, heads, (1 + s)·n, d), the anchor's and those of s further ones.
        weights: (q, s) or (batch, 1, 1, s).
    """
    sources, d = weights.shape[-1], query.shape[-1]
    logs = F.pad(
        weights.clamp_min(LEAST).log() * d**0.5, (0, WEIGHING - sources)
    )  # attention divides scores by √d
    ones = F.pad(
        torch.eye(sources), (0, WEIGHING - sources, 1, 0)
    )  # -> (1 + s, 8), the anchor's are 0
    ones = ones.repeat_interleave(keys.shape[2] // (1 + sources), 0)
    query = torch.cat([query, logs.to(query).expand(*query.shape[:3], -1)], -1)
    keys = torch.cat([keys, ones.to(keys).expand(*keys.shape[:2], -1, -1)], -1)
    return query, keys, F.pad(values, (0, WEIGHING))


def tokens_of(hidden: Tensor, count: int) -> Tensor:
    """Which tokens (f, count) of a layer are more than half hidden, by the cells' hidden part (f,
    h, w).

    A layer's tokens are the cells, halved any number of times, rounded up.
    """
    h, w = hidden.shape[1:]
    while h * w > count:
        h, w = (h + 1) // 2, (w + 1) // 2
    return F.adaptive_avg_pool2d(hidden.float(), (h, w)).flatten(1) > 0.5


def _attend_new(
    attn: Any,
    tokens: Tensor,
    keys: Tensor,
    values: Tensor,
    new: Tensor,
    slice_at: int = 0,
    weights: Tensor | None = None,
) -> Tensor:
    """As `_attend`, each frame attending also to those of its own tokens that are `new` (f, n)."""
    frames, most, d = len(new), int(new.sum(1).max()), keys.shape[-1]
    query, (keys, values) = (
        _heads(attn.to_q(tokens), attn),
        (x.repeat_interleave(frames, 0) for x in (keys, values)),
    )
    if weights is not None:
        query, keys, values = _weighed(
            query, keys, values, weights.repeat(len(query) // frames, 1)[:, None, None]
        )
    chosen = new.long().argsort(dim=1, descending=True, stable=True)[
        :, :most
    ]  # -> (f, most); the shorter are padded
    is_used = new.gather(1, chosen)
    is_used = torch.cat([is_used.new_ones(frames, keys.shape[2]), is_used], 1)  # -> (f, m + most)
    own = tokens.unflatten(0, (-1, frames))  # -> (groups, f, n, c)
    own = own.gather(2, chosen[None, :, :, None].expand(len(own), -1, -1, own.shape[3])).flatten(
        0, 1
    )
    more = [F.pad(_heads(to(own), attn), (0, keys.shape[-1] - d)) for to in (attn.to_k, attn.to_v)]
    keys, values = torch.cat([keys, more[0]], 2), torch.cat([values, more[1]], 2)
    mask = is_used[:, None, None].repeat(
        len(tokens) // frames, 1, 1, 1
    )  # -> (groups·f, 1, 1, m + most)
    seen = _look_up(query, keys, values, d, slice_at, mask)
    return attn.to_out[1](attn.to_out[0](seen.transpose(1, 2).flatten(2)))


def _heads(tokens: Tensor, attn: Any) -> Tensor:
    """(batch, n, heads·d) -> (batch, heads, n, d)"""
    return tokens.unflatten(2, (attn.heads, -1)).transpose(1, 2)
