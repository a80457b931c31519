"""Models of the real architectures with random weights, for which nothing has to be downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch

from tests.core.random_networks import TEXT_WIDTH, write_model, write_text_encoder

SD15: dict[str, Any] = {"sample_size": 64, "attention_head_dim": 8, "cross_attention_dim": 768}
SDXL: dict[str, Any] = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "attention_head_dim": (5, 10, 20),  # the number of heads, whatever its name says
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "cross_attention_dim": 2048,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
QUARTER = {
    **SD15,
    "block_out_channels": (80, 160, 320, 320),
    "norm_num_groups": 16,
    "cross_attention_dim": TEXT_WIDTH,
}
VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 512,
}
SIDES_PX = {"demo": 128, "tiny": 64, "tiny-xl": 64, "quarter": 256, "sd15": 512, "sdxl": 1024}


def write(name: str, folder: Path) -> str:
    """Writes the model of a name in `SIDES_PX`, if it is not there, and returns how a job names
    it."""
    if name not in SIDES_PX or name == "demo" or folder.exists():
        return str(folder) if folder.exists() else name
    is_xl = name in ("sdxl", "tiny-xl")
    write_model(folder, "sdxl" if is_xl else "sd1")
    torch.manual_seed(0)
    if name == "quarter":
        diffusers.UNet2DConditionModel(**QUARTER).save_pretrained(folder / "unet")
    elif name in ("sd15", "sdxl"):
        _write_whole(folder, is_xl)
    return str(folder)


def _write_whole(folder: Path, is_xl: bool) -> None:
    """The real sizes, in half precision; the VAE of SDXL as repaired for it."""
    repaired = {"force_upcast": False, "scaling_factor": 0.13025} if is_xl else {}
    diffusers.UNet2DConditionModel(**(SDXL if is_xl else SD15)).half().save_pretrained(
        folder / "unet"
    )
    diffusers.AutoencoderKL(**VAE, **repaired).half().save_pretrained(folder / "vae")
    write_text_encoder(folder / "text_encoder", "sd1", width=768)
    if is_xl:
        write_text_encoder(folder / "text_encoder_2", "sdxl", has_projection=True, width=1280)
