"""GGUF files: weights in blocks of two to eight bits, widened layer by layer while they work.

The package gguf reads them, and diffusers widens them; the first is an option of the engine:
`python -m pip install gguf`. Only denoisers are read; text encoders in GGUF name their weights
otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from .weights import Contents, ModelError

SUFFIX = ".gguf"


def open_gguf(path: Path) -> Contents:
    """What a GGUF file holds; quantised tensors are read as diffusers' `GGUFParameter`.

    Raises:
        ModelError: the package gguf is not installed, the file is broken, or its numbers have a
            format that diffusers does not know.
    """
    try:
        from gguf import GGUFReader  # pyright: ignore[reportMissingImports]  # for those who want it
    except ImportError as error:
        raise ModelError(
            f"{path}: is a GGUF file; to read it, install the package gguf into the engine's "
            "environment (python -m pip install gguf), or take a .safetensors file."
        ) from error
    try:
        tensors = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
    except Exception as error:  # what its reader makes of a broken file is up to it
        raise ModelError(f"{path}: is broken ({error}); copy or download it again.") from error
    shapes = {name: [*map(int, reversed(one.shape))] for name, one in tensors.items()}
    return Contents(shapes, {}, lambda name: _read(path, tensors[name]))


def _read(path: Path, tensor: Any) -> Tensor:
    from diffusers.quantizers.gguf.utils import SUPPORTED_GGUF_QUANT_TYPES, GGUFParameter

    data = torch.from_numpy(tensor.data.copy())
    if tensor.tensor_type.name in ("F32", "F16"):
        return data
    if tensor.tensor_type not in SUPPORTED_GGUF_QUANT_TYPES:
        raise ModelError(
            f"{path}: is quantised as {tensor.tensor_type.name}, which this engine does not read; "
            "take a file in Q4_K, Q5_K, Q6_K or Q8_0."
        )
    made: Any = GGUFParameter  # its types lack what its `__new__` takes
    return made(data, quant_type=tensor.tensor_type)


def is_quantised(weight: Tensor) -> bool:
    """Whether a weight is one of a GGUF file, in blocks."""
    return hasattr(weight, "quant_type")


def whole(weight: Tensor) -> Tensor:
    """Such a weight widened, float32."""
    from diffusers.quantizers.gguf.utils import dequantize_gguf_tensor

    return dequantize_gguf_tensor(weight).float()


def quantise(layer: nn.Linear, weight: Tensor, dtype: torch.dtype) -> None:
    """Makes a layer one of such weights, that works in `dtype`."""
    from diffusers.quantizers.gguf.utils import GGUFLinear

    layer.__class__ = GGUFLinear
    cast(Any, layer).compute_dtype = dtype
    layer.weight = cast(nn.Parameter, weight)  # of another shape: its bytes
