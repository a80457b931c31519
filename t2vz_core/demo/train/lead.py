"""What leads a UNet: a ControlNet, and what it is shown of the rendered pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn

from ..captions import Description
from .diffusion import Predict
from .grow import grown_controlnet


@dataclass(frozen=True)
class Control:
    """One thing that leads a `share` of every batch.

    `rows` of the rendered pictures have it, `show(rows, mirrored)` is what its ControlNet sees, (n,
    3, h, w) in 0..1; `tried` are held-out descriptions and what it shows of them.
    """

    kind: str
    share: float
    rows: Tensor
    show: Callable[[Tensor, bool], Tensor]
    tried: tuple[Sequence[Description], Tensor]


def begun(
    exported: Path, small: Path | None, kind: str, unet: UNet2DConditionModel
) -> ControlNetModel:
    """A ControlNet as an earlier run left it, or grown from one for half the side; a new one begins
    as depth's, or the first of all as the UNet's half."""
    for name in (kind, "depth"):
        kept = f"controlnet-{name}"
        if (exported / kept).exists():
            return ControlNetModel.from_pretrained(exported / kept, dtype=torch.float32)
        if small and (small / kept).exists():
            return grown_controlnet(
                ControlNetModel.from_pretrained(small / kept, dtype=torch.float32)
            )
    controlnet = ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=(16, 32, 48, 64)
    )
    awaken(controlnet)
    return controlnet


def awaken(controlnet: ControlNetModel) -> None:
    """A ControlNet begins as nothing, to spare a finished UNet; beside one that still learns it
    need not wait."""
    for module in controlnet.controlnet_cond_embedding.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    for outlet in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
        nn.init.normal_(outlet.weight, std=0.1 * outlet.in_channels**-0.5)


def controlled(
    unet: UNet2DConditionModel, leads: Sequence[tuple[ControlNetModel, Tensor]]
) -> Predict:
    """The UNet, the first rows of its batch led by the first ControlNet and its pictures, and so
    on; the rest free."""

    def predict(latents: Tensor, times: Tensor, words: Tensor) -> Tensor:
        if not leads:
            return unet(latents, times, words).sample
        parts, start = [], 0
        for controlnet, pictures in leads:
            rows = slice(start, start + len(pictures))
            seen_at = times[rows] if times.ndim else times
            parts.append(
                controlnet(latents[rows], seen_at, words[rows], pictures, return_dict=False)
            )
            start = rows.stop
        downs, middles = zip(*parts, strict=True)
        down = [_padded(torch.cat(level), len(latents)) for level in zip(*downs, strict=True)]
        middle = _padded(torch.cat(middles), len(latents))
        return unet(
            latents,
            times,
            words,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample

    return predict


def _padded(rows: Tensor, count: int) -> Tensor:
    """(led, …) -> (count, …), zeros below."""
    return torch.cat([rows, rows.new_zeros(count - len(rows), *rows.shape[1:])])
