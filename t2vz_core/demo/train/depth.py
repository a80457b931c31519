"""Stage 3: a ControlNet that follows depth, inverse and near = white, as the add-on paints it."""

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

PLAN = Plan(steps=2500, batch=16, rate=5e-4, sample_every=250)


def run(out: Path, size: int, plan: Plan = PLAN) -> None:
    """Trains beside the frozen UNet, and exports OUT/export/controlnet-depth as it goes."""
    near = dataset.read(out / f"scenes-{size}", "nearness")
    held_out = dataset.photographs(dataset.describe(dataset.HELD_OUT, 16), 1, size)[1]

    def image(rows: Tensor) -> Tensor:
        return _as_captured(near[rows].float() / 255)

    run_controlnet(out, size, plan, "depth", image, (held_out / 255).repeat(1, 3, 1, 1))


def _as_captured(near: Tensor) -> Tensor:
    """A shot's range is wider than one frame's and may end before the horizon: shift and scale, then (b, 3, h, w)."""
    far, nearest = 0.15 * torch.rand(len(near), 1, 1, 1), 1 + 0.3 * torch.rand(len(near), 1, 1, 1)
    return ((near - far) / (nearest - far)).clamp(0, 1).repeat(1, 3, 1, 1)


def run_controlnet(out: Path, size: int, plan: Plan, name: str, image, held_out: Tensor) -> None:
    """Trains one ControlNet on `image(rows)`, (b, 3, h, w) in 0..1; `held_out` (16, 3, h, w) is drawn in samples."""
    device = best_device()
    torch.manual_seed(0)
    base = StableDiffusionPipeline.from_pretrained(out / "export" / "stable-diffusion", dtype=torch.float32).to(device)
    for part in (base.unet, base.text_encoder, base.vae):
        part.requires_grad_(False)
    controlnet = ControlNetModel.from_unet(base.unet, conditioning_embedding_out_channels=(16, 32, 48, 64)).to(device)
    base.unet.set_attn_processor(AttnProcessor())
    controlnet.set_attn_processor(AttnProcessor())
    latents, shown = load_latents(base.vae, out, size), dataset.descriptions(out / f"scenes-{size}")
    rng = Random(RANK)

    def loss_of(model: nn.Module, batch: int) -> Tensor:
        rows, mirrored = torch.randint(len(shown), (batch,)), int(torch.randint(2, (1,)))
        pictures = image(rows).flip(-1) if mirrored else image(rows)
        with torch.no_grad():
            words = read_words(base.text_encoder, base.tokenizer, [tell(shown[row], rng) for row in rows])
        return noise_loss(controlled(base.unet, model, pictures.to(device)), latents[mirrored, rows].to(device), words)

    def sample(model: nn.Module, step: int) -> None:
        export.network(out / "export" / f"controlnet-{name}", model)
        captions = [plain_caption(it) for it in dataset.describe(dataset.HELD_OUT, 16)]
        words, empty = (read_words(base.text_encoder, base.tokenizer, texts) for texts in (captions, [""] * 16))
        noise = torch.randn(16, 4, size // 8, size // 8, generator=torch.Generator().manual_seed(0)).to(device)
        predict = controlled(base.unet, model, held_out.to(device).repeat(2, 1, 1, 1))
        pictures = develop(base.vae, draw(predict, noise, words, empty))
        save_grid(out / "samples" / f"{name}-{step:06d}.png", torch.cat([held_out, pictures.cpu()]))

    train(controlnet, loss_of, plan, out / f"{name}.pt", sample)


def controlled(unet: UNet2DConditionModel, controlnet: ControlNetModel, pictures: Tensor) -> Predict:
    """The UNet led by a ControlNet that sees `pictures`."""

    def predict(latents: Tensor, times: Tensor, words: Tensor) -> Tensor:
        down, middle = controlnet(latents, times, words, pictures, return_dict=False)
        return unet(
            latents, times, words, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample

    return predict
