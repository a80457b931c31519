"""The least time a video can take on a card: its floating point operations at the card's measured
matrix rate."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from t2vz_core.models.networks import Networks

from .speed_sides import PAPER_LEVELS, Case

SIDE = 8192  # of the matrices that the rate is measured with
REPEATS = 50


def floor(case: Case, device: str) -> dict[str, Any]:
    """Operations of a whole video as published, in 10¹², and the seconds that they take at the
    least."""
    networks = case.load(device)
    steps = case.steps
    early = sum(
        level > PAPER_LEVELS[1] for level in range(1, 1000, 1000 // steps)
    )  # of them the anchor's alone
    rows = 2 * (steps + (steps - early) * (case.frames - 1))
    step, picture = operations(networks, case.side_px)
    work = rows * step + case.frames * picture
    rate = matrix_rate(networks.device, networks.dtype)
    return {"tera": work / 1e12, "tera_per_s": rate / 1e12, "floor": work / rate}


def operations(networks: Networks, side_px: int) -> tuple[float, float]:
    """Floating point operations of one latent through the UNet once, and of one picture decoded."""
    side, like = side_px // 8, {"device": networks.device, "dtype": networks.dtype}
    x, config = torch.randn(1, 4, side, side, **like), networks.unet.config
    text = torch.randn(1, 77, config.cross_attention_dim, **like)
    more = {}
    if networks.family == "sdxl":
        pooled = networks.embed([""]).pooled
        more = {
            "added_cond_kwargs": {
                "text_embeds": pooled,
                "time_ids": networks.size_ids(side_px, side_px)[None],
            }
        }
    with torch.inference_mode():
        with FlopCounterMode(display=False) as unet:
            networks.unet(x, torch.tensor(500, device=networks.device), text, **more)
        with FlopCounterMode(display=False) as vae:
            networks.vae.decode(x.to(networks.vae.dtype))
    return unet.get_total_flops(), vae.get_total_flops()


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating point operations a second of a large matrix product."""
    side, repeats = (SIDE, REPEATS) if device.type == "cuda" else (512, 3)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    a @ b
    _wait(device)
    began = time.perf_counter()
    for _ in range(repeats):
        a @ b
    _wait(device)
    return repeats * 2 * side**3 / (time.perf_counter() - began)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
