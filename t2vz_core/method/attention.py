"""Every frame attends to the anchor: softmax(Q^k (K^1)ᵀ/√d) V^1 in place of self-attention.

Khachatryan et al., https://arxiv.org/abs/2303.13439, section 3.3.2. K and V are projected of the
anchor alone, and the frames of a batch are folded into the length of the query, which is exact and
saves memory and time. What a frame shows and the anchor did not may be added to the keys (as in
FRESCO, https://arxiv.org/abs/2403.12962), so that new content does not have to be made of the old,
and so may key frames, each with a weight w: log w is added to its scores. Text attention stays what
it is; its K and V are projected once.

A batch is laid out group by group (groups of guidance), the frames of a group side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.ip_adapter import KEYS, VALUES
from ..runtime.token_cache import TokenCache
from .correspondence import Correspondence
from .regions import RegionalText
from .token_places import Places

# entries that weigh key frames; a head's size stays a multiple of 8, as fast kernels want it
WEIGHING = 8
LEAST = 1e-4
SLICE = 1024  # queries looked up at once where memory is short


@dataclass(frozen=True)
class AttentionTargets:
    """What a batch attends to at a step; the networks take it with every call.

    Attributes:
        step: of the denoising.
        seen: the tokens of the anchor and of key frames, which are the keys; none: each frame
            attends to itself.
        hidden: (f, h, w), 0..1: how much of each latent cell the anchor did not show; where it is
            more than half, the frame attends to itself too. None: nowhere.
        weights: (f, len(seen) − 1), how much each key frame counts for each frame, where the
            anchor counts 1.
        keeps: where the batch's own tokens are kept, for others that will attend to them.
        places: where the anchor's tokens are in the frames, in transformers; None: where they were.
        call: which of the networks' calls at this step it is for; controls may share a network.
    """

    step: int
    seen: tuple[TokenCache, ...] = ()
    hidden: Tensor | None = None
    weights: Tensor | None = None
    keeps: TokenCache | None = None
    places: Places | None = None
    call: int = 0


class CrossFrame:
    """How all attention layers of the networks look things up.

    Attributes:
        slice: queries that are looked up at once; 0: all of them.
    """

    def __init__(self) -> None:
        self.slice = 0
        self._targets: AttentionTargets | None = None
        self._call = 0

    def look(
        self,
        targets: AttentionTargets,
        _h: int,
        _w: int,
        regions: RegionalText | None,
        scales: tuple[float, ...] = (),
    ) -> dict[str, Any]:
        """What the networks are told with a call, so that their layers know what to attend to."""
        self._call = self._call + 1 if targets is self._targets else 0
        self._targets = targets
        own = replace(targets, call=self._call)
        told = {"targets": own, "regions": regions, "reference_scales": scales}
        return {"cross_attention_kwargs": told}

    def places(self, _surfaces: Sequence[Correspondence]) -> None:
        """A U-Net's keys tell no places."""

    def slice_queries(self) -> None:
        """Trades time for memory, where the device has no attention kernel that spares it."""
        self.slice = SLICE


@contextmanager
def cross_frame(networks: list[nn.Module]) -> Iterator[CrossFrame]:
    """Lets every attention layer of the networks look across frames; un-patched at the end, come
    what may.

    Within it the networks take `cross_attention_kwargs={"targets": AttentionTargets(…)}`.
    """
    state = CrossFrame()
    layers = [
        (f"{n}.{name}", module)
        for n, network in enumerate(networks)
        for name, module in _attentions(network)
    ]
    before = [layer.processor for _, layer in layers]
    try:
        for name, layer in layers:
            is_text = name.endswith("attn2")
            layer.processor = _ToText() if is_text else _ToAnchor(name, state)
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
        self._layer = layer
        self._state = state

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        *_: Any,
        targets: AttentionTargets,
        regions: RegionalText | None = None,
        reference_scales: tuple[float, ...] = (),
        **__: Any,
    ) -> Tensor:
        keys, values = self._keys_values(attn, hidden_states, targets)
        if targets.seen and targets.hidden is not None:
            new = tokens_of(targets.hidden, hidden_states.shape[1])
            if new.any():
                return _attend_new(
                    attn, hidden_states, keys, values, new, self._state.slice, targets.weights
                )
        return _attend(attn, hidden_states, keys, values, self._state.slice, targets.weights)

    def _keys_values(
        self, attn: Any, tokens: Tensor, targets: AttentionTargets
    ) -> tuple[Tensor, Tensor]:
        """K and V (groups or batch, heads, n, d) for the tokens (batch, n, c)."""
        key = f"{self._layer}#{targets.call}"
        if targets.keeps is not None:
            targets.keeps.put(targets.step, key, tokens)
        if targets.seen:
            seen = [one.get(targets.step, key, tokens.device) for one in targets.seen]
            tokens = torch.cat(seen, 1) if len(seen) > 1 else seen[0]
        return _heads(attn.to_k(tokens), attn), _heads(attn.to_v(tokens), attn)


class _ToText:
    """Text attention of one layer, to the shared prompt, to the regions' own (regions.py) and to
    reference pictures (models/ip_adapter.py).

    K and V are kept for as long as the same embeddings come.
    """

    def __init__(self) -> None:
        self._pairs: dict[str, tuple[Tensor, tuple[Tensor, Tensor]]] = {}

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | tuple[Tensor, list[Tensor]],
        *_: Any,
        targets: AttentionTargets | None = None,
        regions: RegionalText | None = None,
        reference_scales: tuple[float, ...] = (),
        **__: Any,
    ) -> Tensor:
        text, shown = encoder_hidden_states, []
        if isinstance(text, tuple):  # of a U-Net with adapters
            text, shown = text
        heard = _seen(attn, hidden_states, *self._projected("shared", text, attn))
        if regions is not None:
            heard = self._with_regions(attn, hidden_states, heard, regions)
        for i, (scale, picture) in enumerate(zip(reference_scales, shown)):
            if scale:
                heard = heard + scale * _reference(attn, hidden_states, i, picture)
        return _out(heard, attn)

    def _with_regions(
        self, attn: Any, tokens: Tensor, shared: Tensor, regions: RegionalText
    ) -> Tensor:
        masks = regions.masks(tokens.shape[1]).to(shared)  # -> (f, r, n)
        groups = len(regions.tokens) // masks.shape[1]
        keys, values = self._projected("regions", regions.tokens, attn)
        heard = (1 - masks.sum(1)).repeat(groups, 1)[..., None] * shared
        for r in masks.any(2).any(0).nonzero()[:, 0].tolist():
            own = slice(r * groups, (r + 1) * groups)
            part = _seen(attn, tokens, keys[own], values[own])
            heard = heard + masks[:, r].repeat(groups, 1)[..., None] * part
        return heard

    def _projected(self, name: str, text: Tensor, attn: Any) -> tuple[Tensor, Tensor]:
        """K and V (batch, heads, L, d) of the embeddings (batch, L, d)."""
        kept = self._pairs.get(name)
        if kept is None or kept[0] is not text:
            pair = _heads(attn.to_k(text), attn), _heads(attn.to_v(text), attn)
            kept = self._pairs[name] = (text, pair)
        return kept[1]


def _reference(attn: Any, tokens: Tensor, i: int, picture: Tensor) -> Tensor:
    """What the tokens see of the i-th reference, (groups, 1, L, d)."""
    picture = picture.flatten(1, 2)  # -> (groups, L, d)
    keys = getattr(attn, KEYS)[i](picture)
    values = getattr(attn, VALUES)[i](picture)
    return _seen(attn, tokens, _heads(keys, attn), _heads(values, attn))


def _attend(
    attn: Any,
    tokens: Tensor,
    keys: Tensor,
    values: Tensor,
    slice_at: int = 0,
    weights: Tensor | None = None,
) -> Tensor:
    """Attention of the tokens (groups·f, n, c) to keys and values (groups, heads, m, d)."""
    return _out(_seen(attn, tokens, keys, values, slice_at, weights), attn)


def _seen(
    attn: Any,
    tokens: Tensor,
    keys: Tensor,
    values: Tensor,
    slice_at: int = 0,
    weights: Tensor | None = None,
) -> Tensor:
    """The same before the layer's last projection, (groups·f, n, heads·d)."""
    groups, d = keys.shape[0], keys.shape[-1]
    batch, n, _ = tokens.shape
    query = attn.to_q(tokens)
    query = query.reshape(groups, batch // groups * n, -1)  # -> (groups, f·n, heads·d)
    query = _heads(query, attn)  # -> (groups, heads, f·n, d)
    if weights is not None:
        by_query = weights.repeat_interleave(n, 0)  # -> (f·n, s)
        query, keys, values = _weighed(query, keys, values, by_query)
    seen = _look_up(query, keys, values, d, slice_at)
    return seen.transpose(1, 2).reshape(batch, n, -1)


def _look_up(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    d: int,
    slice_at: int,
    mask: Tensor | None = None,
) -> Tensor:
    """softmax(Q Kᵀ/√d) V, the first d entries of each, so many queries at once."""
    parts = query.split(slice_at or query.shape[2], 2)
    seen = [
        F.scaled_dot_product_attention(part, keys, values, attn_mask=mask, scale=d**-0.5)
        for part in parts
    ]
    whole = seen[0] if len(seen) == 1 else torch.cat(seen, dim=2)
    return whole[..., :d]


def _weighed(
    query: Tensor, keys: Tensor, values: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Adds log w to the scores of the keys of key frames, without a mask as large as all scores.

    A score is a dot product: log w is a further entry of the query, where the keys of that frame
    have a one.

    Args:
        query: (batch, heads, q, d).
        keys, values: (batch, heads, (1 + s)·n, d), the anchor's and those of s key frames.
        weights: (q, s) or (batch, 1, 1, s).
    """
    sources, d = weights.shape[-1], query.shape[-1]
    logs = weights.clamp_min(LEAST).log() * d**0.5  # attention divides scores by √d
    logs = F.pad(logs, (0, WEIGHING - sources)).to(query)
    ones = torch.eye(sources)
    ones = F.pad(ones, (0, WEIGHING - sources, 1, 0))  # -> (1 + s, 8), the anchor's are 0
    ones = ones.repeat_interleave(keys.shape[2] // (1 + sources), 0).to(keys)
    query = torch.cat([query, logs.expand(*query.shape[:3], -1)], -1)
    keys = torch.cat([keys, ones.expand(*keys.shape[:2], -1, -1)], -1)
    return query, keys, F.pad(values, (0, WEIGHING))


def tokens_of(hidden: Tensor, count: int) -> Tensor:
    """Which tokens (f, count) of a layer are more than half hidden, by the cells' hidden part (f,
    h, w).

    A layer's tokens are the cells, halved any number of times, rounded up.
    """
    h, w = hidden.shape[1:]
    while h * w > count:
        h = (h + 1) // 2
        w = (w + 1) // 2
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
    frames = len(new)
    groups = len(tokens) // frames
    d = keys.shape[-1]
    query = _heads(attn.to_q(tokens), attn)  # -> (groups·f, heads, n, d)
    keys = keys.repeat_interleave(frames, 0)
    values = values.repeat_interleave(frames, 0)
    if weights is not None:
        by_frame = weights.repeat(groups, 1)[:, None, None]  # -> (groups·f, 1, 1, s)
        query, keys, values = _weighed(query, keys, values, by_frame)
    own, is_used = _new_tokens(tokens, new)  # -> (groups·f, most, c), (f, most)
    beyond = (0, keys.shape[-1] - d)
    keys = torch.cat([keys, F.pad(_heads(attn.to_k(own), attn), beyond)], 2)
    values = torch.cat([values, F.pad(_heads(attn.to_v(own), attn), beyond)], 2)
    known = is_used.new_ones(frames, keys.shape[2] - is_used.shape[1])
    mask = torch.cat([known, is_used], 1)  # -> (f, m + most)
    mask = mask[:, None, None].repeat(groups, 1, 1, 1)  # -> (groups·f, 1, 1, m + most)
    seen = _look_up(query, keys, values, d, slice_at, mask)
    return _out(seen.transpose(1, 2).flatten(2), attn)


def _new_tokens(tokens: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Those of the tokens (groups·f, n, c) that are `new` (f, n), padded to as many in every frame.

    Returns:
        (groups·f, most, c), and which of them are not padding (f, most).
    """
    most = int(new.sum(1).max())
    chosen = new.long().argsort(dim=1, descending=True, stable=True)[:, :most]  # -> (f, most)
    by_group = tokens.unflatten(0, (-1, len(new)))  # -> (groups, f, n, c)
    index = chosen[None, :, :, None].expand(len(by_group), -1, -1, by_group.shape[3])
    own = by_group.gather(2, index)  # -> (groups, f, most, c)
    return own.flatten(0, 1), new.gather(1, chosen)


def _out(seen: Tensor, attn: Any) -> Tensor:
    """The layer's way out: a projection and a dropout that is off."""
    projection, dropout = attn.to_out
    return dropout(projection(seen))


def _heads(tokens: Tensor, attn: Any) -> Tensor:
    """(batch, n, heads·d) -> (batch, heads, n, d)"""
    return tokens.unflatten(2, (attn.heads, -1)).transpose(1, 2)
