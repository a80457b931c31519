"""What the file of a family defines: how its models are opened and asked."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor
    from torch.nn import Module

    from ..wire.job import Model
    from .checkpoints import Checkpoint
    from .families import Family, Query
    from .text_encoders import TextEncoder
    from .weights import Contents


class FamilyFile(Protocol):
    """The functions of a family's file, which is named in its row of FAMILIES."""

    def open_file(self, path: Path, contents: Contents, model: Model) -> Checkpoint:
        """The model of a single file."""
        ...

    def open_control(self, path: Path, contents: Contents, base: Checkpoint) -> Checkpoint:
        """The ControlNet of a single file, for models like `base`."""
        ...

    def check_control(self, control: Checkpoint, base: Checkpoint) -> None:
        """Lets pass a ControlNet that fits the model, or raises a ModelError."""
        ...

    def text_encoder(self, checkpoint: Checkpoint, encoders: list[Any]) -> TextEncoder:
        """What embeds prompts."""
        ...

    def other_name(self, name: str, config: Any) -> str:
        """The original layout's name of a layer of the denoiser, by diffusers' name."""
        ...

    def join(self, denoiser: Module, controlnet: Module) -> None:
        """Gives a ControlNet what it shares with its denoiser."""
        ...

    def control_input(self, networks: Any, network: Module, pictures: np.ndarray) -> Tensor:
        """What a ControlNet takes, a row a picture, of pictures (f, H, W, 3) uint8."""
        ...

    def predict(self, networks: Any, query: Query) -> Tensor:
        """The denoiser's word (groups·f, c, h, w): ε, v or x_0, as the scheduler's configuration
        says."""
        ...

    def to_latents(self, vae: Any, codes: Tensor) -> Tensor:
        """Latents of the VAE's codes (n, c, h, w)."""
        ...

    def to_codes(self, vae: Any, latents: Tensor) -> Tensor:
        """The VAE's codes of latents (n, c, h, w)."""
        ...


def rules_of(family: Family) -> FamilyFile:
    """The functions of a family's file."""
    return cast(FamilyFile, import_module(f".{family.file}", __package__))
