"""Stage 3: a ControlNet that follows depth, inverse and near = white, as the add-on paints it.

The other networks go on learning beside it: three quarters of every batch are led by depth, the rest by words alone.
"""

from pathlib import Path
from random import Random

import torch
from diffusers import ControlNetModel, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from ..captions import plain_caption
from . import dataset, export
from .diffusion import Predict, develop, draw, noise_loss, read_words
from .loop import RANK, Plan, best_device, save_grid, train
from .text import load_latents, tell

PLAN = Plan(steps=690, batch=16, rate=1e-3, sample_every=230, averaging=0.99, warmup=30)
LED = 0.75
SHOWN = 8


def run(out: Path, size: int, plan: Plan = PLAN) -> None:
    """Trains on all pictures and their depth; exports OUT/export/controlnet-depth and stable-diffusion as it goes."""
    device = best_device()
    torch.manual_seed(0)
    base = StableDiffusionPipeline.from_pretrained(out / "export" / "stable-diffusion", dtype=torch.float32).to(device)
    controlnet = ControlNetModel.from_unet(base.unet, conditioning_embedding_out_channels=(16, 32, 48, 64)).to(device)
    awaken(controlnet)
    model = nn.ModuleDict({"unet": base.unet, "text_encoder": base.text_encoder, "controlnet": controlnet})
    model.requires_grad_(True)
    for part in (base.unet, controlnet):
        part.set_attn_processor(AttnProcessor())
    near = dataset.read(out / f"scenes-{size}", "nearness")
    latents, shown = load_latents(base.vae, out, size), dataset.descriptions(out / f"scenes-{size}")
    held_out, rng = dataset.describe(dataset.HELD_OUT, SHOWN), Random(RANK)
    held_out_depth = (dataset.photographs(held_out, 1, size)[1] / 255).repeat(1, 3, 1, 1).to(device)

    def loss_of(model: nn.ModuleDict, batch: int) -> Tensor:
        rows, mirrored = torch.randint(len(shown), (batch,)), int(torch.randint(2, (1,)))
        pictures = as_captured(near[rows[: int(LED * batch)]].float() / 255)
        pictures = (pictures.flip(-1) if mirrored else pictures).to(device)
        words = read_words(model["text_encoder"], base.tokenizer, [tell(shown[row], rng) for row in rows])
        predict = controlled(model["unet"], model["controlnet"], pictures)
        return noise_loss(predict, latents[mirrored, rows].to(device), words)

    def sample(model: nn.ModuleDict, step: int) -> None:
        parts = {"vae": base.vae, "text_encoder": model["text_encoder"], "unet": model["unet"]}
        export.pipeline(out / "export" / "stable-diffusion", base.tokenizer, **parts)
        export.network(out / "export" / "controlnet-depth", model["controlnet"])
        texts = [plain_caption(it) for it in held_out], [""] * SHOWN
        words, empty = (read_words(model["text_encoder"], base.tokenizer, text) for text in texts)
        noise = torch.randn(SHOWN, *latents.shape[2:], generator=torch.Generator().manual_seed(0)).to(device)
        predict = controlled(model["unet"], model["controlnet"], held_out_depth.repeat(2, 1, 1, 1))
        pictures = develop(base.vae, draw(predict, noise, words, empty, steps=16))
        save_grid(out / "samples" / f"depth-{step:06d}.png", torch.cat([held_out_depth, pictures]))

    train(model, loss_of, plan, out / "depth.pt", sample)


def awaken(controlnet: ControlNetModel) -> None:
    """A ControlNet begins as nothing, to spare a finished UNet; beside one that still learns it need not wait."""
    for module in controlnet.controlnet_cond_embedding.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    for outlet in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
        nn.init.normal_(outlet.weight, std=0.1 * outlet.in_channels**-0.5)


def as_captured(near: Tensor) -> Tensor:
    """A shot's range is wider than one frame's and may end before the horizon: shift and scale, then (b, 3, h, w)."""
    far, nearest = 0.15 * torch.rand(len(near), 1, 1, 1), 1 + 0.3 * torch.rand(len(near), 1, 1, 1)
    return ((near - far) / (nearest - far)).clamp(0, 1).repeat(1, 3, 1, 1)


def controlled(unet: UNet2DConditionModel, controlnet: ControlNetModel, pictures: Tensor) -> Predict:
    """The UNet, the first rows of its batch led by a ControlNet that sees `pictures`, the others free."""
    led = len(pictures)

    def predict(latents: Tensor, times: Tensor, words: Tensor) -> Tensor:
        ledtimes = times[:led] if times.ndim else times
        down, middle = controlnet(latents[:led], ledtimes, words[:led], pictures, return_dict=False)
        down, middle = [_padded(part, len(latents)) for part in down], _padded(middle, len(latents))
        return unet(
            latents, times, words, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample

    return predict


def _padded(rows: Tensor, count: int) -> Tensor:
    """(led, …) -> (count, …), zeros below."""
    return torch.cat([rows, rows.new_zeros(count - len(rows), *rows.shape[1:])])
