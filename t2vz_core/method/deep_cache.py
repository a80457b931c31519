"""The networks' deep layers, computed at every n-th step and remembered in between.

DeepCache: Ma et al., CVPR 2024, https://arxiv.org/abs/2312.00858. The coarse, deep features of a
U-Net hardly change from one step to the next. In between only its outermost blocks run, whose fine
features do change; the one coarse input they need is that of the last whole step, frame by frame
and group by group of guidance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

Features = dict[str, Tensor]
"""What the deep layers last said of some frames, (f, c, h, w) for each group of guidance."""


class DeepCache:
    """Whether the deep layers work just now, and what they said of the frames at hand."""

    def __init__(self, every: int, start: int) -> None:
        self._every = every
        self._start = start
        self._features: Features = {}
        self._groups: tuple[str, ...] = ()
        self.is_asleep = False

    @contextmanager
    def at(self, step: int, groups: tuple[str, ...], features: Features) -> Iterator[None]:
        """Meanwhile the networks are called for a step of the frames that `features` belongs to.

        Whether the deep layers run depends on the step alone, so that all frames and their anchor
        agree: they do up to `start`, where the frames begin, at every n-th step from there, and
        where a group was not there before.
        """
        is_due = step <= self._start or (step - self._start) % self._every == 0
        self.is_asleep = not is_due and all(group in features for group in groups)
        self._features, self._groups = features, groups
        try:
            yield
        finally:
            self.is_asleep = False
            self._features, self._groups = {}, ()

    def remember(self, made: Tensor) -> Tensor:
        """Keeps what the deep layers made (groups·f, c, h, w), and passes it on."""
        if self._every > 1:
            self._features.update(zip(self._groups, made.chunk(len(self._groups))))
        return made

    def remembered(self) -> Tensor:
        """What they made of these frames last."""
        return torch.cat([self._features[group] for group in self._groups])


@contextmanager
def deep_layers(networks: Sequence[nn.Module], every: int, start: int) -> Iterator[DeepCache]:
    """Lets the deep layers of a UNet, the first of the networks, and of its ControlNets sleep at
    some steps.

    Un-patched at the end, come what may.

    Args:
        every: of so many steps one is whole; 1: all.
        start: the step at which the frames begin.
    """
    state = DeepCache(every, start)
    patches = (
        [patch for network in networks for patch in _patches(network, state)] if every > 1 else []
    )
    before = [module.__dict__.get("forward") for module, _ in patches]
    try:
        for module, forward in patches:
            module.forward = forward
        yield state
    finally:
        for (module, _), forward in zip(patches, before):
            del module.forward
            if forward is not None:
                module.forward = forward


def _patches(network: Any, state: DeepCache) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
    """The deep modules of a network, and what each does instead of its own forward."""
    for block in network.down_blocks[1:]:
        yield block, _asleep(block, state, partial(_nothing_down, _outputs(block)))
    if network.mid_block is not None:
        yield network.mid_block, _asleep(network.mid_block, state, _nothing)
    if hasattr(network, "up_blocks"):
        *deeper, deepest_needed = network.up_blocks[:-1]
        for block in deeper:
            yield block, _asleep(block, state, lambda x: x)
        yield deepest_needed, _remembering(deepest_needed, state)
    else:
        shallow = 1 + _outputs(network.down_blocks[0])  # of conv_in and the first block
        for layer in (*network.controlnet_down_blocks[shallow:], network.controlnet_mid_block):
            yield layer, _asleep(layer, state, lambda x: x)


def _asleep(
    module: nn.Module, state: DeepCache, instead: Callable[[Tensor], Any]
) -> Callable[..., Any]:
    forward = module.forward

    def act(hidden_states: Tensor, *args: Any, **more: Any) -> Any:
        return instead(hidden_states) if state.is_asleep else forward(hidden_states, *args, **more)

    return act


def _remembering(module: nn.Module, state: DeepCache) -> Callable[..., Tensor]:
    forward = module.forward
    return lambda *args, **more: (
        state.remembered() if state.is_asleep else state.remember(forward(*args, **more))
    )


def _outputs(block: Any) -> int:
    """How many features a block on the way down leaves for the way up."""
    return len(block.resnets) + len(block.downsamplers or ())


def _nothing_down(count: int, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    return x, (_nothing(x),) * count


def _nothing(x: Tensor) -> Tensor:
    """Stands where nobody looks; anything may be added to it."""
    return x.new_zeros(1, 1, 1, 1)
