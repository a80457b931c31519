"""Where the networks run, and in which number format: decided once, when a model is loaded."""

from __future__ import annotations

from typing import Any

import torch


def chosen_device(name: str = "auto") -> torch.device:
    """The device of a name; "auto": an NVIDIA or AMD card, else Apple's GPU, else the processor."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def chosen_dtype(precision: str, device: torch.device, family: str) -> torch.dtype:
    """The number format of a precision; "auto": float32 on the processor, half precision on a GPU.

    SD 2 overflows in float16, so it gets bfloat16, or float32 where the GPU has none.
    """
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cpu" or (
        device.type == "cuda" and "GTX 16" in torch.cuda.get_device_name(device)
    ):
        return torch.float32  # those cards compute float16 to black pictures
    if family != "sd2":
        return torch.float16
    has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float32


def vae_dtype(config: dict[str, Any], family: str, dtype: torch.dtype) -> torch.dtype:
    """The VAE's number format: SDXL's overflows in float16, unless its configuration says that it
    was repaired."""
    overflows = family == "sdxl" and config.get("force_upcast", True)
    return torch.float32 if overflows and dtype == torch.float16 else dtype
