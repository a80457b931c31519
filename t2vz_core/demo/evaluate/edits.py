"""Whether InstructPix2Pix changes what a sentence asks, and leaves the rest."""

from collections import defaultdict
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import max_pool2d
from transformers import CLIPTextModel

from ..captions import Description
from ..train.dataset import HELD_OUT, describe, photographs
from ..train.diffusion import develop, read_words
from ..train.instruct import edit, instructions
from ..train.loop import save_grid
from ..train.vae import encode, psnr
from .model import BATCH, Model

SHARD = HELD_OUT + 3
CHANGED = 0.06  # two renderings that differ by more than this at a pixel show the change there
LEAST = 0.1  # of the picture stays, or there is no background to speak of


def measure_edits(model: Model, count: int, guidance: float, grid: Path) -> dict[str, float]:
    """Shares of edits, by kind, that end nearer to the asked picture than to the source; PSNR of
    what stays."""
    before = describe(SHARD, count)
    asked, after = instructions(before, SHARD)
    sources, targets = (photographs(shown, SHARD, model.size)[0] for shown in (before, after))
    unet = UNet2DConditionModel.from_pretrained(
        model.folder / "instruct-pix2pix" / "unet", dtype=torch.float32
    )
    reader = CLIPTextModel.from_pretrained(
        model.folder / "instruct-pix2pix" / "text_encoder", dtype=torch.float32
    )
    latents, drawn = encode(model.base.vae, sources), []
    for start in range(0, count, BATCH):
        rows = slice(start, start + BATCH)
        with torch.no_grad():
            words, empty = (
                read_words(reader, model.base.tokenizer, texts) for texts in (asked[rows], [""])
            )
        given = model.noise(len(words), 2000 + start), latents[rows], words, empty.expand_as(words)
        drawn.append(edit(unet, *given, text=guidance))
    pictures, sources, targets = (
        develop(model.base.vae, torch.cat(drawn)),
        sources / 255,
        targets / 255,
    )
    save_grid(grid, torch.cat([sources[:8], pictures[:8]]))
    kinds = [_kind(one, other) for one, other in zip(before, after, strict=True)]
    return verdicts(kinds, pictures, sources, targets)


def verdicts(
    kinds: list[str], pictures: Tensor, sources: Tensor, targets: Tensor
) -> dict[str, float]:
    changed = ((sources - targets).abs().amax(1, keepdim=True) > CHANGED).float()
    stays = (max_pool2d(changed, 9, 1, 4) == 0)[:, 0]
    right, kept = defaultdict(list), []
    for kind, picture, source, target, where, still in zip(
        kinds, pictures, sources, targets, changed, stays, strict=True
    ):
        right["changed"].append(_error(picture, target, where) < _error(picture, source, where))
        right[f"changed_{kind}"].append(right["changed"][-1])
        if still.float().mean() > LEAST:
            kept.append(psnr(picture[None, :, still, None], source[None, :, still, None]).item())
    shares = {name: sum(verdicts) / len(verdicts) for name, verdicts in right.items()}
    return shares | {
        "background_psnr_db": sum(kept) / len(kept),
        "with_background": len(kept) / len(kinds),
    }


def _kind(before: Description, after: Description) -> str:
    """What was asked to change."""
    if before.things == after.things:
        return "ground" if before.ground != after.ground else "sky"
    return "colour" if before.things[0].colour != after.things[0].colour else "finish"


def _error(one: Tensor, two: Tensor, where: Tensor) -> float:
    """Mean squared difference of pictures (3, h, w) where the mask (1, h, w) is 1."""
    return float(((one - two).square() * where).sum() / where.sum().clamp_min(1))
