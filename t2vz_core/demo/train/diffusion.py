"""What every diffusion stage shares: the noise schedule, the loss, words to vectors, and drawing
samples."""

from collections.abc import Callable, Sequence

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from torch import Tensor, nn

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]  # (noisy latents, times, words) -> noise
SNR_CAP = 5.0
OFFSET = 0.08  # of the noise is one shift for all of a channel


def schedule() -> DDIMScheduler:
    """Stable Diffusion 1.5's schedule, to the letter."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def noise_loss(predict: Predict, latents: Tensor, words: Tensor) -> Tensor:
    """Squared error of the predicted noise, min-SNR weighted (Hang et al. 2023, arXiv
    2303.09556)."""
    scheduler = schedule()
    # at its last time a noisy picture still shows how bright it was; shifts by chance hide that, or
    # pictures drawn from noise alone, which tells of none, would all be grey (Guttenberg 2023)
    noise = torch.randn_like(latents) + OFFSET * torch.randn_like(latents[..., :1, :1])
    # one time from each of n equal strata: less noise in the loss than independent times
    strata = torch.randperm(len(latents), device=latents.device)
    times = ((strata + torch.rand_like(latents[:, 0, 0, 0])) * (1000 / len(latents))).long()
    alpha = scheduler.alphas_cumprod.to(latents.device)[times]
    noisy = scheduler.add_noise(latents, noise, times)
    error = (predict(noisy, times, words).float() - noise).square().mean((1, 2, 3))
    ratio = alpha / (1 - alpha)
    return (error * (SNR_CAP / ratio).clamp_max(1)).mean()


def read_words(text_encoder: nn.Module, tokenizer: object, captions: Sequence[str]) -> Tensor:
    """Captions to word vectors (n, tokens, width)."""
    tokens = tokenizer(
        list(captions), padding="max_length", truncation=True, return_tensors="pt"
    ).input_ids
    return text_encoder(tokens.to(next(text_encoder.parameters()).device))[0]


@torch.no_grad()
def draw(
    predict: Predict,
    noise: Tensor,
    words: Tensor,
    empty: Tensor,
    guidance: float = 7.5,
    steps: int = 25,
) -> Tensor:
    """Scaled latents by DDIM with classifier-free guidance; `words` and `empty` are (n, tokens,
    width)."""
    scheduler = schedule()
    scheduler.set_timesteps(steps, device=noise.device)
    latents, both = noise, torch.cat([empty, words])
    for time in scheduler.timesteps:
        with torch.autocast(noise.device.type, torch.bfloat16):
            plain, told = predict(torch.cat([latents] * 2), time, both).float().chunk(2)
        latents = scheduler.step(plain + guidance * (told - plain), time, latents).prev_sample
    return latents


@torch.no_grad()
def develop(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Pictures (n, 3, h, w) in 0..1 of scaled latents."""
    return (vae.decode(latents / vae.config.scaling_factor).sample.float() / 2 + 0.5).clamp(0, 1)
