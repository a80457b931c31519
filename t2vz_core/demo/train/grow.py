"""Networks for pictures of twice the side, grown from trained ones (after Karras et al. 2018, arXiv
1710.10196).

A level of full size is put around the old network, which goes on seeing what it always saw: the
averages of two by two. The new level begins as nothing but that averaging and its reverse.
"""

import re
from collections.abc import Iterable

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn

Weights = dict[str, Tensor]
DOWN = re.compile(r"(\bdown_blocks\.)(\d+)\.")


def grown_unet(old: UNet2DConditionModel) -> UNet2DConditionModel:
    """The UNet with one level more at the top, for latents of twice the side."""
    widths = old.config.block_out_channels
    new = UNet2DConditionModel.from_config(
        old.config,
        sample_size=2 * old.config.sample_size,
        block_out_channels=(widths[0], *widths),
        down_block_types=("DownBlock2D", *old.config.down_block_types),
        up_block_types=(*old.config.up_block_types, "UpBlock2D"),
    )
    _fill(new, _moved_down(old.state_dict(), ("down_blocks",)))
    _average(new.down_blocks[0])
    _spread(new.up_blocks[-2].upsamplers[0].conv)
    for block in new.up_blocks[-1].resnets:
        _pass_through(block)
    return new


def grown_controlnet(old: ControlNetModel) -> ControlNetModel:
    """The ControlNet of a grown UNet; its new outlets say nothing yet."""
    widths = old.config.block_out_channels
    new = ControlNetModel.from_config(
        old.config,
        block_out_channels=(widths[0], *widths),
        down_block_types=("DownBlock2D", *old.config.down_block_types),
    )
    _fill(new, _moved_down(old.state_dict(), ("down_blocks", "controlnet_down_blocks")))
    _average(new.down_blocks[0])
    return new


def grown_lora(weights: Weights) -> Weights:
    """A LoRA for the grown UNet, by its keys in a file; the new level is not changed."""
    return {
        DOWN.sub(lambda found: f"{found[1]}{int(found[2]) + 1}.", name): weight
        for name, weight in weights.items()
    }


@torch.no_grad()
def with_top(new: UNet2DConditionModel, trained: UNet2DConditionModel) -> UNet2DConditionModel:
    """The grown UNet `new`, its top level as another one has learnt it since it grew; what reads
    more channels than that one's latents stays."""
    last = len(new.up_blocks) - 1
    top = ("conv_", "down_blocks.0.", f"up_blocks.{last - 1}.upsamplers.", f"up_blocks.{last}.")
    known = {name: weight for name, weight in trained.state_dict().items() if name.startswith(top)}
    first = known.pop("conv_in.weight")
    new.load_state_dict(known, strict=False)
    new.conv_in.weight[:, : first.shape[1]] = first
    return new


def _moved_down(weights: Weights, lists: Iterable[str]) -> Weights:
    """Names of blocks one level lower; of outlets two, for the new level has as many."""
    step = {"down_blocks": 1, "controlnet_down_blocks": 2}
    moved = {}
    for name, weight in weights.items():
        head, *rest = name.split(".")
        if head in lists:
            name = ".".join([head, str(int(rest[0]) + step[head]), *rest[1:]])
        moved[name] = weight
    return moved


def _fill(new: nn.Module, weights: Weights) -> None:
    _, strange = new.load_state_dict(weights, strict=False)
    if strange:
        raise ValueError(f"The old network has no place for {strange[0]} in the grown one.")


@torch.no_grad()
def _average(block: nn.Module) -> None:
    """The residual block adds nothing, and the way down averages two by two."""
    _silence(block.resnets[0])
    conv = block.downsamplers[
        0
    ].conv  # 3 x 3, stride 2, one pixel of padding: centres at even pixels
    tent = torch.tensor([0.25, 0.5, 0.25])
    conv.weight.copy_(torch.eye(conv.in_channels)[:, :, None, None] * (tent[:, None] * tent))
    conv.bias.zero_()


@torch.no_grad()
def _spread(conv: nn.Conv2d) -> None:
    """Nothing but what the repeated pixels of the level below are, smoothed."""
    tent = torch.tensor([0.25, 0.5, 0.25])
    conv.weight.copy_(torch.eye(conv.in_channels)[:, :, None, None] * (tent[:, None] * tent))
    conv.bias.zero_()


@torch.no_grad()
def _pass_through(block: nn.Module) -> None:
    """Of its input (hidden, skipped) the residual block hands on what is hidden."""
    _silence(block)
    shortcut = block.conv_shortcut
    shortcut.weight.copy_(torch.eye(shortcut.out_channels, shortcut.in_channels)[:, :, None, None])
    shortcut.bias.zero_()


@torch.no_grad()
def _silence(block: nn.Module) -> None:
    block.conv2.weight.zero_()
    block.conv2.bias.zero_()
