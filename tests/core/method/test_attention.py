"""Every frame attends to the anchor of its own guidance group."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from t2vz_core.method.attention import AttentionTargets, cross_frame
from t2vz_core.runtime.token_cache import DEVICE, HOST, ONE_STEP, TokenCache

TOKENS, WIDTH, TEXT_WIDTH = 12, 8, 6


class Block(nn.Module):
    """Self-attention, then text attention, named as in a UNet."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = nn.ModuleDict({
            "attn1": Attention(WIDTH, heads=2, dim_head=4),
            "attn2": Attention(WIDTH, cross_attention_dim=TEXT_WIDTH, heads=2, dim_head=4),
        })  # fmt: skip

    def forward(self, tokens: Tensor, text: Tensor, targets: AttentionTargets) -> Tensor:
        tokens = tokens + self.block["attn1"](tokens, targets=targets)
        return tokens + self.block["attn2"](tokens, text, targets=targets)


def plainly(network: Block, anchor: Tensor, frames: Tensor, text: Tensor) -> Tensor:
    """The formula, frame by frame: softmax(Q^k (K^1)ᵀ/√d) V^1 with K^1, V^1 of the same group."""
    groups, count = len(anchor), len(frames) // len(anchor)
    out = []
    for row, tokens in enumerate(frames):
        own = anchor[row // count]
        tokens = tokens + one(network.block["attn1"], tokens, own)
        out.append(tokens + one(network.block["attn2"], tokens, text[row // count]))
    assert len(out) == groups * count
    return torch.stack(out)


def one(attn: Attention, tokens: Tensor, seen: Tensor) -> Tensor:
    heads = []
    for q, k, v in zip(
        *(part.chunk(2, -1) for part in (attn.to_q(tokens), attn.to_k(seen), attn.to_v(seen)))
    ):
        heads.append(F.softmax(q @ k.T / q.shape[-1] ** 0.5, -1) @ v)
    return attn.to_out[0](torch.cat(heads, -1))


@torch.no_grad()
def ours(
    network: Block,
    anchor: Tensor,
    frames: Tensor,
    text: Tensor,
    store: str = DEVICE,
    slice_at: int = 0,
) -> Tensor:
    tokens = TokenCache(1, store)
    with cross_frame([network]) as state:
        state.slice = slice_at
        with tokens.keeping(0):
            network(anchor, text, AttentionTargets(0, keeps=tokens))
        return network(frames, text, AttentionTargets(0, (tokens,)))


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_frames_attend_to_the_anchor_of_their_guidance_group(groups: int, count: int) -> None:
    network, anchor = Block(), torch.randn(groups, TOKENS, WIDTH)
    frames, text = torch.randn(groups * count, TOKENS, WIDTH), torch.randn(groups, 4, TEXT_WIDTH)
    with torch.no_grad():
        expected = plainly(network, anchor, frames, text)
    assert torch.allclose(ours(network, anchor, frames, text), expected, atol=1e-6)


@pytest.mark.parametrize("store, slice_at", [(HOST, 0), (ONE_STEP, 0), (DEVICE, 5)])
def test_where_the_anchor_is_kept_and_slicing_change_nothing(store: str, slice_at: int) -> None:
    network, anchor = Block(), torch.randn(2, TOKENS, WIDTH)
    frames, text = torch.randn(6, TOKENS, WIDTH), torch.randn(2, 4, TEXT_WIDTH)
    changed = ours(network, anchor, frames, text, store, slice_at)
    assert torch.allclose(changed, ours(network, anchor, frames, text), atol=1e-6)


def test_every_frame_may_have_a_text_of_its_own() -> None:
    network, anchor = Block(), torch.randn(1, TOKENS, WIDTH)
    frames, texts = torch.randn(3, TOKENS, WIDTH), torch.randn(3, 4, TEXT_WIDTH)
    tokens = TokenCache(1)
    seen = AttentionTargets(0, (tokens,))
    with torch.no_grad(), cross_frame([network]):
        with tokens.keeping(0):
            network(anchor, texts[:1], AttentionTargets(0, keeps=tokens))
        together = network(frames, texts, seen)
        pairs = zip(frames, texts)
        alone = torch.cat([network(frame[None], text[None], seen) for frame, text in pairs])
    assert torch.allclose(together, alone, atol=1e-6)


def leave_in_peace() -> None:
    """Nothing goes wrong."""


def fail() -> None:
    raise RuntimeError("in the middle")


@pytest.mark.parametrize("act", [leave_in_peace, fail])
def test_the_networks_come_back_as_they_were_whatever_happens(act: Callable[[], None]) -> None:
    networks = [Block(), Block()]
    before = [layer.processor for network in networks for layer in network.block.values()]
    try:
        with cross_frame(networks):
            assert all(
                layer.processor not in before
                for network in networks
                for layer in network.block.values()
            )
            act()
    except RuntimeError:
        pass
    after = [layer.processor for network in networks for layer in network.block.values()]
    assert all(a is b for a, b in zip(after, before))
