"""The families of models that are read: a family is one file and a row of FAMILIES.

docs/models.md tells how to add one. The row says what a family is; its file, by the function names
of `family_file.FamilyFile`, how it is opened and asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from .text_encoders import Embedding

ClassPath = tuple[str, str]
"""A module and the name of a class in it; imported when it is built, since both are slow."""

UNET: ClassPath = ("diffusers.models.unets.unet_2d_condition", "UNet2DConditionModel")
AUTOENCODER: ClassPath = ("diffusers.models.autoencoders.autoencoder_kl", "AutoencoderKL")
CONTROLNET: ClassPath = ("diffusers.models.controlnets.controlnet", "ControlNetModel")
CLIP: ClassPath = ("transformers.models.clip.modeling_clip", "CLIPTextModel")
CLIP_PROJECTED: ClassPath = (
    "transformers.models.clip.modeling_clip",
    "CLIPTextModelWithProjection",
)
QWEN3: ClassPath = ("transformers.models.qwen3.modeling_qwen3", "Qwen3Model")
ZIMAGE: ClassPath = (
    "diffusers.models.transformers.transformer_z_image",
    "ZImageTransformer2DModel",
)
ZIMAGE_CONTROL: ClassPath = (
    "diffusers.models.controlnets.controlnet_z_image",
    "ZImageControlNetModel",
)


@dataclass(frozen=True)
class Steering:
    """One control of some frames.

    Attributes:
        network: its ControlNet.
        input: what `control_input` made of its pictures, a row a frame.
        groups: of guidance, by place in the query, that it steers.
        kind: of its condition, by which a union ControlNet knows it.
    """

    network: Any
    input: Tensor
    scale: float
    groups: tuple[int, ...]
    is_guess: bool = False
    kind: str = "depth"


@dataclass(frozen=True)
class Query:
    """What a denoiser is asked at one step.

    Attributes:
        x: (groups·f, c, h, w) latents, group by group.
        time: the timestep, 1000 (noise) to 0.
        text: a row for each row of `x`, or one a group where its frames share it.
        groups: of guidance.
        size_px: height, width of the pictures.
        source: (groups·f, c, h, w) latents of pictures that are edited (InstructPix2Pix).
        references: for each IP-Adapter what it takes of its picture, (groups, 1, …).
        look: further arguments of the networks, for their attention, with some of the groups.
    """

    x: Tensor
    time: float
    text: Embedding
    groups: int
    size_px: tuple[int, int]
    controls: Sequence[Steering] = ()
    source: Tensor | None = None
    references: Sequence[Tensor] = ()
    look: Callable[[tuple[int, ...]], dict[str, Any]] = lambda _: {}


@dataclass(frozen=True)
class Family:
    """A row of FAMILIES.

    Attributes:
        title: its name for people.
        file: of this package that knows it.
        classes: of its parts; the denoiser is "unet" or "transformer".
        half: the number format that it keeps to on a GPU.
        multiple_px: sides of pictures are multiples of this.
        controls: the kinds of control that its ControlNets read; empty: any.
        file_kind: what file_type.py calls a single file of its denoiser alone.
        has_deep_layers: whether its deep layers can be left out (deep_every).
    """

    title: str
    file: str
    classes: dict[str, ClassPath] = field(hash=False)
    half: str = "float16"
    multiple_px: int = 8
    controls: tuple[str, ...] = ()
    file_kind: str = ""
    has_deep_layers: bool = True

    @property
    def denoiser(self) -> str:
        """The name of the part that takes the noise away."""
        return "unet" if "unet" in self.classes else "transformer"


_STABLE_DIFFUSION = {
    "unet": UNET,
    "vae": AUTOENCODER,
    "controlnet": CONTROLNET,
    "text_encoder": CLIP,
}

FAMILIES: dict[str, Family] = {
    "sd1": Family("Stable Diffusion 1", "stable_diffusion", _STABLE_DIFFUSION),
    # SD 2 overflows in float16
    "sd2": Family("Stable Diffusion 2", "stable_diffusion", _STABLE_DIFFUSION, half="bfloat16"),
    "sdxl": Family(
        "Stable Diffusion XL",
        "stable_diffusion",
        {**_STABLE_DIFFUSION, "text_encoder_2": CLIP_PROJECTED},
    ),
    "z-image": Family(
        "Z-Image",
        "z_image",
        {
            "transformer": ZIMAGE,
            "vae": AUTOENCODER,
            "controlnet": ZIMAGE_CONTROL,
            "text_encoder": QWEN3,
        },
        half="bfloat16",
        multiple_px=16,
        controls=("depth", "pose", "edges", "outline"),
        file_kind="a Z-Image network",
        has_deep_layers=False,
    ),
}
