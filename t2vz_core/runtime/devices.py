"""Where the networks run, and in which number format: decided once, when a model is loaded."""

from __future__ import annotations

from typing import Any

import torch

OWN_MEMORY = ("cuda", "xpu")  # kinds of devices with memory that is not the computer's


def chosen_device(name: str = "auto") -> torch.device:
    """The device of a name; "auto": the GPU that this torch can use, else the processor.

    Each build of torch knows one kind: `cuda` is NVIDIA's, and AMD's in the ROCm build; `xpu`
    Intel's; `mps` Apple's.
    """
    if name != "auto":
        return torch.device(name)
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def chosen_dtype(precision: str, device: torch.device, half: str) -> torch.dtype:
    """The number format of a precision; "auto": float32 on the processor, `half` on a GPU.

    A family that overflows in float16 keeps to bfloat16, or float32 where the GPU has none.
    """
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cpu" or (
        device.type == "cuda" and "GTX 16" in torch.cuda.get_device_name(device)
    ):
        return torch.float32  # those cards compute float16 to black pictures
    if half == "float16":
        return torch.float16
    return torch.bfloat16 if _has_bfloat16(device) else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "xpu":
        return torch.xpu.is_bf16_supported(including_emulation=False)
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def vae_dtype(config: dict[str, Any], family: str, dtype: torch.dtype) -> torch.dtype:
    """The VAE's number format: SDXL's overflows in float16, unless its configuration says that it
    was repaired."""
    overflows = family == "sdxl" and config.get("force_upcast", True)
    return torch.float32 if overflows and dtype == torch.float16 else dtype
