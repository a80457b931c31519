"""A model as it lies on disk, in the diffusers layout: what its networks look like and where their
weights are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .file_type import kind
from .weights import ModelError, read_config, read_weights, weight_files

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module
    from transformers import CLIPTokenizer

Config = dict[str, Any]
CLASSES = {
    "unet": ("diffusers.models.unets.unet_2d_condition", "UNet2DConditionModel"),
    "vae": ("diffusers.models.autoencoders.autoencoder_kl", "AutoencoderKL"),
    "controlnet": ("diffusers.models.controlnets.controlnet", "ControlNetModel"),
    "text_encoder": ("transformers.models.clip.modeling_clip", "CLIPTextModel"),
    "text_encoder_2": ("transformers.models.clip.modeling_clip", "CLIPTextModelWithProjection"),
}
KNOWN = "Stable Diffusion 1.x, 2.x and SDXL"
_KNOWN_VALUES: dict[
    tuple[str, str], tuple[Any, ...]
] = {  # by part and key; other values mean another method
    ("model_index", "requires_aesthetics_score"): (False,),
    ("unet", "_class_name"): ("UNet2DConditionModel",),
    ("unet", "in_channels"): (4, 8),
    ("unet", "addition_embed_type"): ("text_time",),
    ("unet", "class_embed_type"): (),
    ("unet", "encoder_hid_dim_type"): (),
    ("unet", "time_cond_proj_dim"): (),
    ("vae", "_class_name"): ("AutoencoderKL",),
    ("vae", "latents_mean"): (),
    ("scheduler", "prediction_type"): ("epsilon", "v_prediction", "sample"),
    ("scheduler", "sigma_data"): (),
}
_NICKNAMES = {
    "requires_aesthetics_score True": "the SDXL refiner",
    "in_channels 5": "a depth-to-image model",
    "in_channels 7": "an upscaler",
    "in_channels 9": "an inpainting model",
    "time_cond_proj_dim 256": (
        "a latent consistency model with its guidance built in (its LoRA can be used instead)"
    ),
}
_FORMER_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True)
class Checkpoint:
    """The parts of a model by their diffusers names ("unet", "text_encoder_2", "scheduler", …).

    `weights(part, names)` reads the tensors of one part, those of `names` at least, where it has
    them; on the CPU, under diffusers' names.
    """

    path: Path
    configs: dict[str, Config]
    weights: Callable[[str, Iterable[str]], dict[str, Tensor]]
    tokenizers: Callable[[], list[CLIPTokenizer]]

    @property
    def family(self) -> str:
        """The kind of Stable Diffusion: "sd1", "sd2" or "sdxl"."""
        return family(self.configs["unet"])

    def build(self, part: str, device: torch.device, dtype: torch.dtype) -> Module:
        """The network of a part with its weights, ready to run.

        Raises:
            ModelError: weights are missing, broken or of another network.
        """
        what = f"{self.path}: its {part}"
        try:
            network = empty_network(part, self.configs[part])
        except Exception as error:  # what a network's class makes of a strange value is up to it
            said = str(error).partition("\n")[0]
            raise ModelError(
                f"{what} has a broken configuration ({said}); copy or download it again."
            ) from error
        weights = _fitting(
            network, self.weights(part, network.state_dict()), what, part in ("unet", "controlnet")
        )
        for key in weights:  # one by one, so that the file's copy of each can go
            weights[key] = weights[key].to(device, dtype)
        return _filled(network, weights, what)


def open_folder(folder: Path, prefers_half: bool = False, allow_pickle: bool = False) -> Checkpoint:
    """The model of a diffusers folder; its weights are looked for, not read yet.

    Raises:
        ModelError: a part is missing or of a kind this engine does not know.
    """
    if not (folder / "model_index.json").is_file():
        raise ModelError(
            f"{folder}: has no model_index.json; choose a folder that has one, "
            "or a .safetensors file."
        )
    configs = {"model_index": read_config(folder / "model_index.json")}
    if not (folder / "unet").is_dir():
        name = configs["model_index"].get("_class_name", "model")
        raise ModelError(f"{folder}: is a {name}, which has no UNet; this engine reads {KNOWN}.")
    configs["unet"] = read_config(folder / "unet/config.json")
    check(configs, folder)
    parts = [
        "unet",
        "vae",
        "text_encoder",
        *(["text_encoder_2"] if (folder / "text_encoder_2").is_dir() else []),
    ]
    configs |= {part: read_config(folder / part / "config.json") for part in parts}
    configs["scheduler"] = read_config(folder / "scheduler/scheduler_config.json")
    check(configs, folder)
    files = {part: weight_files(folder / part, prefers_half, allow_pickle) for part in parts}
    return Checkpoint(
        folder,
        configs,
        lambda part, _: _read_all(files[part], allow_pickle),
        lambda: [
            _tokenizer(folder / part.replace("text_encoder", "tokenizer"))
            for part in parts
            if "text" in part
        ],
    )


def open_controlnet_folder(
    folder: Path, prefers_half: bool = False, allow_pickle: bool = False
) -> Checkpoint:
    """The ControlNet of a diffusers folder.

    Raises:
        ModelError: the folder holds none.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: has no config.json; choose a ControlNet's folder, or its .safetensors file."
        )
    config = read_config(folder / "config.json")
    if config.get("_class_name", "ControlNetModel") != "ControlNetModel":
        raise ModelError(
            f"{folder}: is a {config['_class_name']}, not a ControlNet; "
            "choose a ControlNet's folder."
        )
    files = weight_files(folder, prefers_half, allow_pickle)
    return Checkpoint(
        folder, {"controlnet": config}, lambda *_: _read_all(files, allow_pickle), list
    )


def family(config: Config) -> str:
    """The family of a UNet or ControlNet configuration."""
    if config.get("addition_embed_type") == "text_time":
        return "sdxl"
    return "sd2" if config.get("use_linear_projection") else "sd1"


def check(configs: dict[str, Config], path: Path) -> None:
    """Lets pass what the method can denoise: pictures of 4 latent channels, and InstructPix2Pix
    with its 8.

    Raises:
        ModelError: an inpainting model, an upscaler and the like.
    """
    for (part, key), known in _KNOWN_VALUES.items():
        value = configs.get(part, {}).get(key)
        if value is not None and value not in known:
            pipeline = configs["model_index"].get("_class_name", "model")
            what = _NICKNAMES.get(
                f"{key} {value}", f"a {pipeline} ({part}: {key.strip('_')} {value})"
            )
            raise ModelError(f"{path}: is {what}; this engine reads {KNOWN} and InstructPix2Pix.")


def _read_all(files: list[Path], allow_pickle: bool) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for path in files:
        weights |= read_weights(path, allow_pickle)
    return weights


def _tokenizer(folder: Path) -> CLIPTokenizer:
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        raise ModelError(f"{folder}: holds no CLIP tokenizer; copy or download the model again.")
    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception on a broken file
        raise ModelError(
            f"{folder}: its tokenizer is broken ({error}); copy or download the model again."
        ) from error


def empty_network(part: str, config: Config) -> Module:
    """The network without memory for its weights."""
    import torch

    module, name = CLASSES[part]
    kind = getattr(import_module(module), name)
    with torch.device("meta"):
        if part.startswith("text_encoder"):
            from transformers.models.clip.configuration_clip import CLIPTextConfig

            return kind(CLIPTextConfig(**config))
        return kind.from_config(config)


def _fitting(
    network: Module, weights: dict[str, Tensor], what: str, is_strict: bool
) -> dict[str, Tensor]:
    """The weights of this network under its own names; where strict, none may be left over."""
    wanted = network.state_dict().keys()
    weights = _named_as(wanted, weights)
    if missing := sorted(wanted - weights.keys()):
        raise ModelError(
            f"{what} lacks weights ({missing[0]}, …): it is damaged or of another kind; "
            "choose another."
        )
    if is_strict and (more := sorted(weights.keys() - wanted)):
        other = kind(more) or "of another kind"
        raise ModelError(
            f"{what} has strange weights ({more[0]}, …): it is {other}; choose another."
        )
    return {key: weights[key] for key in wanted}


def _filled(network: Module, weights: dict[str, Tensor], what: str) -> Module:
    import torch

    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"{what} does not fit its configuration ({str(error).splitlines()[-1].strip()})."
        ) from error
    for module in network.modules():
        positions = getattr(module, "position_ids", None)  # a buffer that files no longer carry
        if positions is not None:
            device = next(iter(weights.values())).device
            module.position_ids = torch.arange(positions.shape[-1], device=device)[None]
    return network.eval().requires_grad_(False)


def _named_as(wanted: Any, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under today's names: CLIP's prefix comes and goes, old VAEs name their attention
    otherwise."""
    prefix = "text_model."
    has_prefix = any(key.startswith(prefix) for key in wanted)
    renamed = {}
    for key, weight in weights.items():
        if not has_prefix:
            key = key.removeprefix(prefix)
        elif prefix + key in wanted:
            key = prefix + key
        if "mid_block.attentions" in key and key not in wanted:
            *path, name, end = key.split(".")
            key = ".".join((*path, _FORMER_NAMES.get(name, name), end))
        renamed[key] = weight
    return renamed
