"""Frames attend to the anchor and, where they show what it did not, to themselves."""

import pytest
import torch
from diffusers.models.attention_processor import Attention
from torch import nn

from t2vz_core.method.attention import AttentionTargets, cross_frame, tokens_of
from t2vz_core.runtime.token_cache import TokenCache

GROUPS, N, WIDTH = 2, 16, 8


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = nn.ModuleDict({"attn1": Attention(WIDTH, heads=2, dim_head=4)})

    def forward(
        self, tokens: torch.Tensor, keys: torch.Tensor | None = None, **more: AttentionTargets
    ) -> torch.Tensor:
        return self.block["attn1"](tokens, keys, **more)


def _kept(network: nn.Module, tokens: torch.Tensor, *seen: TokenCache) -> TokenCache:
    """The tokens of a frame that attends to those that were seen before."""
    cache = TokenCache(1)
    with cache.keeping(0):
        network(tokens, targets=AttentionTargets(0, seen, keeps=cache))
    return cache


def _after_anchor(
    network: nn.Module, anchor: torch.Tensor, frames: torch.Tensor, hidden, slice_at: int = 0
) -> torch.Tensor:
    with torch.no_grad(), cross_frame([network]) as state:
        state.slice = slice_at
        seen = (_kept(network, anchor),)
        return network(frames, targets=AttentionTargets(0, seen, hidden))


def _inputs(count: int = 3) -> tuple[nn.Module, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A network, the anchor (groups, n, c), frames (groups·f, n, c) and what is hidden (f, 4,
    4)."""
    torch.manual_seed(1)
    hidden = torch.zeros(count, 4, 4)
    hidden[1, :, 3], hidden[2, 0, :2] = 1, 1
    return _Network(), torch.randn(GROUPS, N, WIDTH), torch.randn(GROUPS * count, N, WIDTH), hidden


def test_the_keys_are_the_anchor_s_tokens_and_the_frame_s_own_hidden_ones():
    network, anchor, frames, hidden = _inputs()
    seen = _after_anchor(network, anchor, frames, hidden)
    for group in range(GROUPS):
        for k in range(3):
            frame = frames[group * 3 + k][None]
            keys = torch.cat([anchor[group][None], frame[:, hidden[k].flatten() > 0.5]], 1)
            with torch.no_grad():
                assert torch.allclose(seen[group * 3 + k], network(frame, keys)[0], atol=1e-6)


def test_where_nothing_is_hidden_only_the_anchor_is_attended_to():
    network, anchor, frames, hidden = _inputs()
    only_anchor = _after_anchor(network, anchor, frames, None)
    assert torch.equal(
        _after_anchor(network, anchor, frames, torch.zeros_like(hidden)), only_anchor
    )
    assert torch.allclose(
        _after_anchor(network, anchor, frames, hidden)[0], only_anchor[0], atol=1e-6
    )


def test_a_frame_does_not_depend_on_what_is_hidden_in_its_neighbours():
    network, anchor, frames, hidden = _inputs()
    together = _after_anchor(network, anchor, frames, hidden)
    alone = _after_anchor(network, anchor, frames[2::3], hidden[2:])
    assert torch.allclose(together[2::3], alone, atol=1e-6)


def test_slicing_the_queries_changes_nothing():
    network, anchor, frames, hidden = _inputs()
    assert torch.allclose(
        _after_anchor(network, anchor, frames, hidden, slice_at=5),
        _after_anchor(network, anchor, frames, hidden),
        atol=1e-6,
    )


@pytest.mark.parametrize("is_hidden", [False, True])
def test_key_frames_count_by_their_weight_for_each_frame(is_hidden):
    network, anchor, frames, hidden = _inputs()
    others = torch.randn(2, GROUPS, N, WIDTH)
    weights = torch.tensor([[0.5, 0.25], [1.0, 0.001], [0.1, 0.9]])
    with torch.no_grad(), cross_frame([network]):
        first = _kept(network, anchor)
        caches = (first, *(_kept(network, tokens, first) for tokens in others))
        targets = AttentionTargets(0, caches, hidden if is_hidden else None, weights)
        seen = network(frames, targets=targets)
    attn = network.block["attn1"]
    for row, tokens in enumerate(frames):
        group, k = divmod(row, 3)
        own = tokens[hidden[k].flatten() > 0.5] if is_hidden else tokens[:0]
        keys = torch.cat([anchor[group], others[0, group], others[1, group], own])
        logs = torch.cat(
            [torch.zeros(N), *(w.log().expand(N) for w in weights[k]), torch.zeros(len(own))]
        )
        with torch.no_grad():
            q, key, value = (
                part.unflatten(1, (2, 4)).transpose(0, 1)
                for part in (attn.to_q(tokens), attn.to_k(keys), attn.to_v(keys))
            )
            expected = ((q @ key.mT / 2 + logs).softmax(-1) @ value).transpose(0, 1).flatten(1)
            assert torch.allclose(seen[row], attn.to_out[0](expected), atol=1e-5)


def test_tokens_of_coarser_layers_are_hidden_when_more_than_half_of_their_cells_are():
    hidden = torch.zeros(1, 6, 10)
    hidden[0, :, 7:] = 1
    assert tokens_of(hidden, 60)[0].reshape(6, 10)[0].tolist() == [False] * 7 + [True] * 3
    assert tokens_of(hidden, 15)[0].reshape(3, 5)[0].tolist() == [False, False, False, False, True]
    assert tokens_of(hidden, 6).shape == (1, 6)  # 6 × 10, 3 × 5, 2 × 3: odd sides are rounded up
