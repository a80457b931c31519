"""Pictures as prompts: IP-Adapters, whose image tokens are attended to beside the text's.

Ye et al., https://arxiv.org/abs/2308.06721. The networks are diffusers' own; their keys and values
hang on the attention layers that use them, so that they go wherever these go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from .file_type import kind, mistaken
from .weights import ModelError, read_weights, weight_files

ADAPTER = "an IP-Adapter"
BESIDE = "image_encoder"  # the folder of its image encoder, beside its file or one above
FACE_ID = "perceiver_resampler."
KEYS, VALUES = "reference_keys", "reference_values"  # their names on an attention layer


@dataclass
class Eye:
    """CLIP's image encoder, which looks at a picture once a job and stays on the CPU.

    Attributes:
        reads_states: whether the adapter takes the states of its last layer but one, not the
            embedding.
    """

    encoder: Any
    reads_states: bool

    def tokens(self, picture: np.ndarray) -> tuple[Tensor, Tensor]:
        """What an adapter takes of a picture (H, W, 3) uint8, and of none: (1, …) each."""
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        side = self.encoder.config.image_size
        prepare = CLIPImageProcessorPil(size=side, crop_size=side)
        pixels = prepare(picture, return_tensors="pt").pixel_values
        pixels = pixels.to(self.encoder.device, self.encoder.dtype)  # (1, 3, side, side)
        if not self.reads_states:
            embedding = self.encoder(pixels).image_embeds
            return embedding, torch.zeros_like(embedding)
        shown, none = (
            self.encoder(one, output_hidden_states=True).hidden_states[-2]
            for one in (pixels, torch.zeros_like(pixels))
        )
        return shown, none


def adapt(unet: Any, paths: Sequence[Path], allow_pickle: bool = False) -> None:
    """Lets a U-Net attend to a picture for each of the adapters, one after the other.

    Raises:
        ModelError: a file is broken, something else, or made for another family of models.
    """
    parts = [_parts(path, allow_pickle) for path in paths]
    for path, weights in zip(paths, parts, strict=True):
        _check(unet, path, weights["ip_adapter"])
    try:
        unet._load_ip_adapter_weights(parts, low_cpu_mem_usage=False)
    except (RuntimeError, KeyError) as error:
        said = str(error).splitlines()[0]
        raise ModelError(
            f"{paths[0]}: does not fit this model ({said}); choose another."
        ) from error
    for layer in unet.modules():
        own = cast(Any, getattr(layer, "processor", None))
        if hasattr(own, "to_k_ip"):
            layer.add_module(KEYS, own.to_k_ip)
            layer.add_module(VALUES, own.to_v_ip)
            layer.set_processor(_default())
    unet.requires_grad_(False)


def open_eye(adapter: Path, encoder: Path | None, unet: Any, index: int) -> Eye:
    """The image encoder of the adapter that was the `index`-th, in its own folder or beside it.

    Raises:
        ModelError: there is none, or one for other adapters.
    """
    from diffusers.models.embeddings import ImageProjection
    from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

    folder = encoder or _beside(adapter)
    weight_files(folder)
    network = CLIPVisionModelWithProjection.from_pretrained(folder, local_files_only=True)
    layer = unet.encoder_hid_proj.image_projection_layers[index]
    reads_states = not isinstance(layer, ImageProjection)
    given = network.config.hidden_size if reads_states else network.config.projection_dim
    if given != (wanted := _taken(layer)):
        raise ModelError(
            f"{folder}: gives {given} numbers, {adapter.name} takes {wanted}; choose the image "
            "encoder that the adapter was made with."
        )
    return Eye(network.float().eval().requires_grad_(False), reads_states)


def _taken(layer: nn.Module) -> int:
    """How many numbers a projection takes of a picture, or of each of its parts."""
    first = next(module for module in layer.modules() if isinstance(module, nn.Linear))
    return first.in_features


def _beside(adapter: Path) -> Path:
    for folder in (adapter.parent, adapter.parent.parent):
        if (folder / BESIDE / "config.json").is_file():
            return folder / BESIDE
    raise ModelError(
        f"{adapter}: has no {BESIDE} folder beside it; choose the folder of its image encoder."
    )


def _parts(path: Path, allow_pickle: bool) -> dict[str, dict[str, Tensor]]:
    weights = read_weights(path, allow_pickle)
    if kind(weights) != ADAPTER:
        raise mistaken(path, weights, ADAPTER)
    parts: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, weight in weights.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = weight
    if any(name.startswith(FACE_ID) or "lora" in name for part in parts.values() for name in part):
        raise ModelError(
            f"{path}: is a Face ID adapter, which needs a face recogniser; choose a plus-face one."
        )
    return parts


def _check(unet: Any, path: Path, weights: dict[str, Tensor]) -> None:
    layers = [module for name, module in unet.named_modules() if name.endswith(".attn2")]
    shapes = [tuple(own.shape) for name, own in weights.items() if name.endswith("to_k_ip.weight")]
    wanted = {(layer.inner_dim, unet.config.cross_attention_dim) for layer in layers}
    if len(shapes) != len(layers) or set(shapes) != wanted:
        raise ModelError(
            f"{path}: was made for another family of models; choose one for this model's."
        )


def _default() -> Any:
    from diffusers.models.attention_processor import AttnProcessor2_0

    return AttnProcessor2_0()
