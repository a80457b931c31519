"""Every frame of a transformer attends to the anchor's picture, each part where it is by now.

In transformers text and picture attend to each other jointly, and a token's place is in its queries
and keys as rotations (RoPE, https://arxiv.org/abs/2104.09864). Of the anchor only the picture's
tokens are looked up: a frame's text stays its own. Their keys are taken before the rotation and
rotated, for each frame, to where the exact map says that what they show is now; what the frame
hides of them is masked. Unmoved, they would pull the frame's points towards those that merely lie
where these once lay (compare AlignedGen, NeurIPS 2025, and CharaConsist, ICCV 2025, which match by
features; the scene's matches are exact).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import SLICE, AttentionTargets, tokens_of
from .correspondence import Correspondence
from .token_places import Places, places_of


class JointCrossFrame:
    """How all attention layers of transformers look things up.

    Attributes:
        slice: queries that are looked up at once; 0: all of them.
        targets: what the batch at work attends to.
        count: tokens of a picture.
        new: (f, count) bool, which of the frames' tokens the anchor did not show; None: nowhere.
    """

    def __init__(self, axes: Sequence[int], theta: float, patch: int) -> None:
        self.slice = 0
        self.targets = AttentionTargets(0)
        self.count = 0
        self.new: Tensor | None = None
        self._patch = patch
        self._axes = axes
        self._theta = theta
        self._calls: Counter[str] = Counter()
        self._turned: tuple[Places, tuple[Tensor, Tensor]] | None = None

    def look(self, targets: AttentionTargets, h: int, w: int, *_: object) -> dict[str, Any]:
        """From now on it is about this batch and step, of latents of h × w cells; transformers take
        no more arguments, since they know no regions and no reference pictures."""
        self.targets = targets
        self.count = h * w // self._patch**2
        self.new = None if targets.hidden is None else tokens_of(targets.hidden, self.count)
        self._calls.clear()
        return {}

    def places(self, surfaces: Sequence[Correspondence]) -> Places:
        """Where the anchor's tokens are in frames."""
        return places_of(surfaces, self._patch)

    def slice_queries(self) -> None:
        """Trades time for memory, where the device has no attention kernel that spares it."""
        self.slice = SLICE

    def key(self, layer: str) -> str:
        """The layer's name and which of its calls at this step it is: guidance groups come one by
        one, and a ControlNet shares layers with its transformer."""
        self._calls[layer] += 1
        return f"{layer}#{self._calls[layer]}"

    def turn(self, device: torch.device) -> tuple[Tensor, Tensor] | None:
        """The rotations (f, n, d/2) that take the anchor's tokens to their places, and which of
        these are shown (f, n); None: they are where they were."""
        places = self.targets.places
        if places is None:
            return None
        if self._turned is None or self._turned[0] is not places:
            turns = rotations(places.moved, self._axes, self._theta).to(device)
            self._turned = places, (turns, places.shown.to(device))
        return self._turned[1]


def rotations(moved: Tensor, axes: Sequence[int], theta: float) -> Tensor:
    """Rotations exp(i·angle) (f, n, d/2) by places (f, n, 2) x y, in tokens.

    Args:
        axes: how many entries of a head turn with time, y and x; their sum is d.
        theta: the base of the frequencies.
    """
    along = (torch.zeros_like(moved[..., 0]), moved[..., 1], moved[..., 0])
    angles = []
    for size, by in zip(axes, along):
        frequencies = theta ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
        angles.append(by[..., None].double() * frequencies.to(moved.device))
    angle = torch.cat(angles, -1).float()
    return torch.polar(torch.ones_like(angle), angle)


@contextmanager
def joint_cross_frame(networks: list[nn.Module]) -> Iterator[JointCrossFrame]:
    """Lets every attention layer of a transformer, the first of the networks, and of its
    ControlNets look across frames; un-patched at the end, come what may."""
    config: Any = networks[0].config
    state = JointCrossFrame(config.axes_dims, config.rope_theta, config.all_patch_size[0])
    layers: dict[Any, str] = {}  # a ControlNet's shared ones by their transformer's names
    for n, network in enumerate(networks):
        for name, module in network.named_modules():
            if name.endswith(".attention") and "context_refiner" not in name:
                layers.setdefault(module, f"{n}.{name}")
    before = {layer: layer.processor for layer in layers}
    try:
        for layer, name in layers.items():
            layer.processor = _ToAnchor(name, state)
        yield state
    finally:
        for layer, processor in before.items():
            layer.processor = processor


class _ToAnchor:
    """Joint attention of one layer; the first tokens of a batch are its picture's."""

    def __init__(self, layer: str, state: JointCrossFrame) -> None:
        self._layer = layer
        self._state = state

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        freqs_cis: Tensor | None = None,
    ) -> Tensor:
        """The frames of one group of guidance (f, n + m, c): n tokens of the picture, m others.

        Their texts are equally long, so there is nothing to mask.
        """
        state, targets = self._state, self._state.targets
        key = state.key(self._layer)
        if targets.keeps is not None:
            targets.keeps.put(targets.step, key, hidden_states[:, : state.count])
        query = _turned(_heads(attn.to_q(hidden_states), attn, attn.norm_q), freqs_cis)
        keys, values = _keys_values(attn, hidden_states, freqs_cis)
        mask = None
        if targets.seen:
            anchor = targets.seen[0].get(targets.step, key, hidden_states.device)
            keys, values, mask = self._beside(attn, anchor, keys, values, freqs_cis)
        seen = _look_up(query, keys, values, state.slice, mask)
        seen = seen.transpose(1, 2).flatten(2).to(hidden_states.dtype)  # -> (f, n + m, c)
        return attn.to_out[0](seen)

    def _beside(
        self, attn: Any, anchor: Tensor, keys: Tensor, values: Tensor, freqs: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys and values of the anchor's picture, of the frames' own other tokens, and of what is
        new in them; and which of these each frame may look at (f, 1, 1, all)."""
        frames, count, new = len(keys), self._state.count, self._state.new
        shown = torch.ones(frames, count, dtype=torch.bool, device=keys.device)
        freqs = None if freqs is None else freqs[:, :count]
        if freqs is not None and (turned := self._state.turn(keys.device)):
            freqs, shown = freqs * turned[0], turned[1]
        theirs, what = _keys_values(attn, anchor, freqs)  # each frame turns the same keys
        what = what.expand(frames, -1, -1, -1)
        own = [(theirs, what), (keys[:, :, count:], values[:, :, count:])]
        allowed = [shown, shown.new_ones(frames, keys.shape[2] - count)]
        if new is not None and new.any():
            chosen, is_used = _first(new)
            index = chosen[:, None, :, None].expand(-1, keys.shape[1], -1, keys.shape[3])
            own.append((keys.gather(2, index), values.gather(2, index)))
            allowed.append(is_used)
        mask = torch.cat(allowed, 1)
        keys, values = (torch.cat(parts, 2) for parts in zip(*own))
        return keys, values, None if mask.all() else mask[:, None, None]


def _first(new: Tensor) -> tuple[Tensor, Tensor]:
    """The places (f, most) of what is true in (f, n), and which of them are; the shorter are
    filled up."""
    most = int(new.sum(1).max())
    chosen = new.long().argsort(dim=1, descending=True, stable=True)[:, :most]
    return chosen, new.gather(1, chosen)


def _keys_values(attn: Any, tokens: Tensor, freqs: Tensor | None) -> tuple[Tensor, Tensor]:
    """K, rotated, (f, heads, n, d) and V of tokens (f, n, c), or of the same tokens (1, n, c) for
    all frames."""
    keys = _turned(_heads(attn.to_k(tokens), attn, attn.norm_k), freqs)
    return keys, _heads(attn.to_v(tokens), attn)


def _heads(tokens: Tensor, attn: Any, norm: Any = None) -> Tensor:
    """(f, n, heads·d) -> (f, heads, n, d)"""
    heads = tokens.unflatten(2, (attn.heads, -1))
    return (heads if norm is None else norm(heads)).transpose(1, 2)


def _turned(x: Tensor, freqs: Tensor | None) -> Tensor:
    """(f, heads, n, d) rotated, neighbouring entries being one complex number."""
    if freqs is None:
        return x
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))  # -> (f, heads, n, d/2)
    return torch.view_as_real(pairs * freqs[:, None]).flatten(3).type_as(x)


def _look_up(
    query: Tensor, keys: Tensor, values: Tensor, slice_at: int, mask: Tensor | None
) -> Tensor:
    """softmax(Q Kᵀ/√d) V (f, heads, n, d), so many queries at once."""
    parts = query.split(slice_at or query.shape[2], 2)
    seen = [F.scaled_dot_product_attention(one, keys, values, attn_mask=mask) for one in parts]
    return seen[0] if len(seen) == 1 else torch.cat(seen, dim=2)
