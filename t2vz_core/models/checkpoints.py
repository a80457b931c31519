"""A model as it lies on disk, in the diffusers layout: what its networks look like and where their
weights are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .families import FAMILIES, ClassPath
from .file_type import kind
from .float8 import narrow, scaled, take_scales
from .union_controlnet import UNION_CLASS, is_union
from .weights import ModelError, read_config, read_weights, weight_files

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module
    from transformers import CLIPTokenizer, Qwen2Tokenizer

Config = dict[str, Any]
KNOWN = "Stable Diffusion 1.x, 2.x, SDXL and Z-Image"
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
    ("transformer", "siglip_feat_dim"): (),
}
_NICKNAMES = {
    "requires_aesthetics_score True": "the SDXL refiner",
    "in_channels 5": "a depth-to-image model",
    "in_channels 7": "an upscaler",
    "in_channels 9": "an inpainting model",
    "siglip_feat_dim 1152": "Z-Image-Omni, which is told pictures too",
    "time_cond_proj_dim 256": (
        "a latent consistency model with its guidance built in (its LoRA can be used instead)"
    ),
}
_FORMER_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True)
class Checkpoint:
    """The parts of a model by their diffusers names ("unet", "text_encoder_2", "scheduler", …).

    Attributes:
        family: a row of FAMILIES.
        weights: (part, names) reads the tensors of one part, those of `names` at least, where it
            has them; on the CPU, under diffusers' names.
        notes: for the artist.
    """

    path: Path
    family: str
    configs: dict[str, Config]
    weights: Callable[[str, Iterable[str]], dict[str, Tensor]]
    tokenizers: Callable[[], list[Any]]
    notes: tuple[str, ...] = ()

    def build(self, part: str, device: torch.device, dtype: torch.dtype) -> Module:
        """The network of a part with its weights, ready to run.

        Raises:
            ModelError: weights are missing, broken or of another network.
        """
        what = f"{self.path}: its {part}"
        try:
            network = empty_network(self._class_of(part), self.configs[part])
        except Exception as error:  # what a network's class makes of a strange value is up to it
            said = str(error).partition("\n")[0]
            raise ModelError(
                f"{what} has a broken configuration ({said}); copy or download it again."
            ) from error
        weights = self.weights(part, network.state_dict())
        scales = take_scales(weights, what)
        is_strict = part not in ("vae", "text_encoder", "text_encoder_2")
        weights = _fitting(network, weights, what, is_strict)
        narrow_ones = narrow(network, weights, scales, dtype)
        for key in weights:  # one by one, so that the file's copy of each can go
            kept = weights[key].dtype if key in narrow_ones else dtype
            weights[key] = weights[key].to(device, kept)
        network = _filled(network, weights, what)
        scaled(network, scales)
        return network

    def _class_of(self, part: str) -> ClassPath:
        is_other = part == "controlnet" and is_union(self.configs[part])
        return UNION_CLASS if is_other else FAMILIES[self.family].classes[part]


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
    denoiser = "transformer" if (folder / "transformer").is_dir() else "unet"
    if not (folder / denoiser).is_dir():
        name = configs["model_index"].get("_class_name", "model")
        raise ModelError(f"{folder}: is a {name}, which has no UNet; this engine reads {KNOWN}.")
    configs[denoiser] = read_config(folder / denoiser / "config.json")
    check(configs, folder)
    name = family(configs, folder)
    parts = [part for part in FAMILIES[name].classes if part != "controlnet"]
    configs |= {part: read_config(folder / part / "config.json") for part in parts}
    configs["scheduler"] = read_config(folder / "scheduler/scheduler_config.json")
    check(configs, folder)
    files = {part: weight_files(folder / part, prefers_half, allow_pickle) for part in parts}
    return Checkpoint(
        folder,
        name,
        configs,
        lambda part, _: _read_all(files[part], allow_pickle),
        lambda: [
            open_tokenizer(folder / part.replace("text_encoder", "tokenizer"), configs[part])
            for part in parts
            if "text" in part
        ],
    )


def open_controlnet_folder(
    folder: Path, base: Checkpoint, prefers_half: bool = False, allow_pickle: bool = False
) -> Checkpoint:
    """The ControlNet of a diffusers folder, for models like `base`.

    Raises:
        ModelError: the folder holds none, or one for models of another kind.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: has no config.json; choose a ControlNet's folder, or its .safetensors file."
        )
    config = read_config(folder / "config.json")
    wanted = FAMILIES[base.family].classes["controlnet"][1]
    if (found := config.get("_class_name", wanted)) != wanted:
        what = "made for models of another kind" if "ControlNet" in found else "not a ControlNet"
        raise ModelError(
            f"{folder}: is a {found}, {what}; choose a ControlNet's folder for this model."
        )
    files = weight_files(folder, prefers_half, allow_pickle)
    return Checkpoint(
        folder, base.family, {"controlnet": config}, lambda *_: _read_all(files, allow_pickle), list
    )


def family(configs: dict[str, Config], path: Path) -> str:
    """The family of a model, by the configuration of its denoiser.

    Raises:
        ModelError: it is none that this engine reads.
    """
    if unet := configs.get("unet"):
        if unet.get("addition_embed_type") == "text_time":
            return "sdxl"
        return "sd2" if unet.get("use_linear_projection") else "sd1"
    network = configs["transformer"].get("_class_name", "model")
    for name, row in FAMILIES.items():
        if row.classes.get("transformer", ("", ""))[1] == network:
            return name
    raise ModelError(f"{path}: is a {network}; this engine reads {KNOWN}.")


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


def open_tokenizer(folder: Path, encoder: Config) -> CLIPTokenizer | Qwen2Tokenizer:
    """The tokenizer of a folder, for the text encoder of this configuration.

    Raises:
        ModelError: there is none, or it is broken.
    """
    from transformers.models.clip.tokenization_clip import CLIPTokenizer
    from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

    is_qwen = encoder.get("model_type") == "qwen3"
    name = "Qwen" if is_qwen else "CLIP"
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        raise ModelError(f"{folder}: holds no {name} tokenizer; copy or download the model again.")
    kind = Qwen2Tokenizer if is_qwen else CLIPTokenizer
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception on a broken file
        raise ModelError(
            f"{folder}: its tokenizer is broken ({error}); copy or download the model again."
        ) from error


def empty_network(path: ClassPath, config: Config) -> Module:
    """The network without memory for its weights."""
    import torch

    module, name = path
    kind = getattr(import_module(module), name)
    with torch.device("meta"):
        if hasattr(kind, "config_class"):  # of transformers
            return kind(kind.config_class(**config))
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
    device = next(iter(weights.values())).device
    for module in network.modules():  # buffers that files do not carry
        positions = getattr(module, "position_ids", None)
        if positions is not None:
            module.position_ids = torch.arange(positions.shape[-1], device=device)[None]
    if hasattr(network, "rotary_emb"):
        network.rotary_emb = type(network.rotary_emb)(network.config).to(device)
    return network.eval().requires_grad_(False)


def _named_as(wanted: Any, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under today's names: CLIP's prefix comes and goes, old VAEs name their attention
    otherwise."""
    prefix = "text_model."
    has_prefix = any(key.startswith(prefix) for key in wanted)
    renamed = {}
    for key, weight in weights.items():
        if not has_prefix:
            key = key.removeprefix(prefix).removeprefix("model.")  # CLIP's, Qwen's
        elif prefix + key in wanted:
            key = prefix + key
        if "mid_block.attentions" in key and key not in wanted:
            *path, name, end = key.split(".")
            key = ".".join((*path, _FORMER_NAMES.get(name, name), end))
        renamed[key] = weight
    return renamed
