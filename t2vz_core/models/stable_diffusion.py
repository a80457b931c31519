"""Stable Diffusion 1, 2 and XL, and InstructPix2Pix: a U-Net, CLIP, a VAE and ControlNets.

Rombach et al., https://arxiv.org/abs/2112.10752; SDXL: https://arxiv.org/abs/2307.01952;
ControlNet: https://arxiv.org/abs/2302.05543.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .checkpoints import Checkpoint
from .families import Query
from .single_file import open_controlnet, open_whole
from .single_file_names import original
from .text_encoders import Text
from .union_controlnet import conditions_of, together
from .weights import Contents, ModelError

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from ..wire.job import Model

SHARED = ("cross_attention_dim", "block_out_channels", "layers_per_block")  # with a ControlNet


def open_file(path: Path, contents: Contents, model: Model) -> Checkpoint:
    """The model of a single file in the original layout."""
    return open_whole(path, contents)


def open_control(path: Path, contents: Contents, base: Checkpoint) -> Checkpoint:
    """The ControlNet of a single file, for models like `base`."""
    return open_controlnet(path, contents, base)


def check_control(control: Checkpoint, base: Checkpoint) -> None:
    """Lets pass a ControlNet that fits the model.

    Raises:
        ModelError: it was made for another family.
    """
    theirs, unet = control.configs["controlnet"], base.configs["unet"]
    if any(theirs[key] != unet[key] for key in SHARED if key in theirs and key in unet):
        raise ModelError(
            f"{control.path}: was not made for models like {base.path} ({base.family}); "
            "choose one that was."
        )


def text_encoder(checkpoint: Checkpoint, encoders: list[Any]) -> Text:
    """CLIP, one encoder or, with SDXL, two."""
    zeroes_empty = checkpoint.configs["model_index"].get("force_zeros_for_empty_prompt", False)
    return Text(checkpoint.tokenizers(), encoders, zeroes_empty)


def other_name(name: str, config: Any) -> str:
    """The original layout's name of a layer of the U-Net."""
    return original("unet", f"{name}.weight", config).removesuffix(".weight")


def join(denoiser: Module, controlnet: Module) -> None:
    """A ControlNet shares nothing with its U-Net."""


def control_input(networks: Any, network: Module, pictures: np.ndarray) -> Tensor:
    """The pictures themselves (f, 3, H, W), 0..1."""
    planes = torch.from_numpy(pictures).permute(0, 3, 1, 2)  # -> (f, 3, H, W)
    return (planes.float() / 255).to(networks.device, networks.dtype)


def to_latents(vae: Any, codes: Tensor) -> Tensor:
    """Codes (n, c, h, w) moved and scaled to unit variance, as the VAE's configuration says."""
    shift = getattr(vae.config, "shift_factor", None)
    return (codes if shift is None else codes - shift) * vae.config.scaling_factor


def to_codes(vae: Any, latents: Tensor) -> Tensor:
    """The codes of latents (n, c, h, w)."""
    shift = getattr(vae.config, "shift_factor", None)
    codes = latents / vae.config.scaling_factor
    return codes if shift is None else codes + shift


def predict(networks: Any, query: Query) -> Tensor:
    """What the U-Net says (groups·f, c, h, w), ControlNets added to its features."""
    time = torch.tensor(query.time, device=query.x.device)
    everyone = tuple(range(query.groups))
    x = query.x if query.source is None else torch.cat([query.x, query.source], 1)
    text = _text(networks, query, everyone)
    if query.references:
        shown = {"image_embeds": [*query.references]}
        text["added_cond_kwargs"] = text.get("added_cond_kwargs", {}) | shown
    return networks.denoiser(
        x,
        time,
        **text,
        **_residuals(networks, query, time, everyone),
        return_dict=False,
    )[0]


def _residuals(
    networks: Any, query: Query, time: Tensor, everyone: tuple[int, ...]
) -> dict[str, Any]:
    """What the ControlNets add to the U-Net's features."""
    down: list[Tensor] = []
    middle: Any = 0.0
    for call in together(query.controls):
        one = call[0]
        more, mid = one.network(
            _of_groups(query.x, query.groups, one.groups),
            time,
            **conditions_of(call),
            guess_mode=one.is_guess,
            **_text(networks, query, one.groups),
            return_dict=False,
        )
        more = [_among_groups(part, one.groups, everyone) for part in more]
        down = [a + b for a, b in zip(down, more)] if down else more
        middle = middle + _among_groups(mid, one.groups, everyone)
    if not down:
        return {}
    return {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}


def _text(networks: Any, query: Query, groups: tuple[int, ...]) -> dict[str, Any]:
    """What U-Net and ControlNets read and look at, for some of the groups.

    For all of them the tokens stay the same object, by which attention knows them again.
    """
    tokens = _of_groups(query.text.tokens, query.groups, groups)
    look = query.look(groups)
    if query.text.pooled is None:
        return {"encoder_hidden_states": tokens, **look}
    pooled = _of_groups(query.text.pooled, query.groups, groups)
    size_ids = networks.size_ids(*query.size_px).expand(len(pooled), -1)
    return {
        "encoder_hidden_states": tokens,
        "added_cond_kwargs": {"text_embeds": pooled, "time_ids": size_ids},
        **look,
    }


def _of_groups(batch: Tensor, count: int, some: tuple[int, ...]) -> Tensor:
    """The rows of some of the groups of a batch (groups·f, …)."""
    if len(some) == count:
        return batch
    return torch.cat([batch.chunk(count)[group] for group in some])


def _among_groups(batch: Tensor, some: tuple[int, ...], groups: tuple[int, ...]) -> Tensor:
    """A batch (some·f, …) of some of the groups among all of them (groups·f, …), the others
    zero."""
    if some == groups:
        return batch
    parts = dict(zip(some, batch.chunk(len(some))))
    return torch.cat([parts.get(group, torch.zeros_like(parts[some[0]])) for group in groups])
