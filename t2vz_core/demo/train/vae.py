"""Stage 1: the autoencoder, pictures to latents an eighth the side and back."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, l1_loss, mse_loss

from . import dataset
from .loop import Plan, best_device, save_grid, train

PLAN = Plan(steps=4500, batch=8, rate=2e-3, sample_every=500)
CROP = 128  # of a picture's 256: a smaller part has other means for the norms than the whole


def network() -> AutoencoderKL:
    """Stable Diffusion's autoencoder, narrow: factor 8, 4 channels."""
    widths = (16, 32, 64, 64)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=2,  # few and wide: narrow groups normalise the colours away
        sample_size=128,
        mid_block_add_attention=False,
    )
    # begin with nearly noiseless latents: unit noise would drown all colour for the first thousands
    # of steps
    nn.init.zeros_(vae.quant_conv.weight.data[4:])
    nn.init.constant_(vae.quant_conv.bias.data[4:], -6.0)
    return vae


def run(out: Path, size: int, plan: Plan = PLAN, begin: Path | None = None) -> None:
    """Trains on the rendered pictures and writes OUT/vae, latents scaled to unit deviation."""
    device = best_device()
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(begin / "stable-diffusion" / "vae") if begin else network()
    vae = vae.to(device, torch.float32, memory_format=torch.channels_last)
    pictures = dataset.read(out / f"scenes-{size}", "colour", limit=12)
    held_out = dataset.photographs(dataset.describe(dataset.HELD_OUT, 16), 1, size)[0]

    def loss_of(model: nn.Module, batch: int) -> Tensor:
        return _loss(model, _crops(pictures, batch).to(device))

    def sample(model: nn.Module, step: int) -> None:
        truth = held_out.to(device) / 255
        seen = reconstruct(model, truth)
        print(f"step {step} held-out PSNR {psnr(seen, truth).mean():.2f} dB", flush=True)
        save_grid(out / "samples" / f"vae-{step:06d}.png", torch.cat([truth, seen]))

    vae = train(vae, loss_of, plan, out / "vae.pt", sample)
    vae.register_to_config(scaling_factor=float(1 / encode(vae, pictures[:2048]).std()))
    vae.save_pretrained(out / "vae")


def _crops(pictures: Tensor, batch: int) -> Tensor:
    """(batch, 3, CROP, CROP) in -1..1, half of them mirrored."""
    places = torch.randint(pictures.shape[-1] - CROP + 1, (batch, 2)).tolist()
    chosen = torch.randint(len(pictures), (batch,)).tolist()
    crops = [
        pictures[i, :, y : y + CROP, x : x + CROP] for i, (y, x) in zip(chosen, places, strict=True)
    ]
    half = batch // 2
    crops[:half] = [crop.flip(-1) for crop in crops[:half]]
    return torch.stack(crops).to(memory_format=torch.channels_last) / 127.5 - 1


def _loss(vae: nn.Module, truth: Tensor) -> Tensor:
    """Colours, and their steps to the right and down so that edges stay sharp; a whisper of KL.

    Three latent channels are drawn towards a thumbnail of the picture: colours are there from the
    first steps on, and the latents stay smooth, which the diffusion stage is thankful for.
    """
    posterior = vae.encode(truth).latent_dist
    seen = vae.decode(posterior.sample()).sample.float()
    edges = sum(l1_loss(seen.diff(dim=axis), truth.diff(dim=axis)) for axis in (2, 3))
    thumbnail = _opponents(posterior.mean[:, :3].float() - 2 * avg_pool2d(truth, 8))
    colours = _opponents(seen - truth)
    squared = 2 * mse_loss(seen, truth) + 0.1 * thumbnail.square().mean()
    return colours.abs().mean() + edges + squared + 1e-6 * posterior.kl().mean()


def _opponents(colour: Tensor) -> Tensor:
    """Brightness, red against green, yellow against blue: the last two vary less and would be
    learnt last."""
    r, g, b = colour.unbind(1)
    return torch.stack([(r + g + b) / 3, 2 * (r - g), r + g - 2 * b], 1)


@torch.no_grad()
def encode(vae: nn.Module, pictures: Tensor, batch: int = 32) -> Tensor:
    """Unscaled mean latents (n, 4, h/8, w/8) of uint8 pictures (n, 3, h, w)."""
    device, latents = next(vae.parameters()).device, []
    with torch.autocast(device.type, torch.bfloat16):
        for part in pictures.split(batch):
            latents.append(vae.encode(part.to(device) / 127.5 - 1).latent_dist.mean.float())
    return torch.cat(latents)


@torch.no_grad()
def reconstruct(vae: nn.Module, truth: Tensor) -> Tensor:
    """Pictures in 0..1 through the bottleneck and back."""
    return (vae.decode(vae.encode(truth * 2 - 1).latent_dist.mean).sample / 2 + 0.5).clamp(0, 1)


def psnr(seen: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each picture (n, 3, h, w) in 0..1."""
    return -10 * (seen - truth).square().mean((1, 2, 3)).log10()
