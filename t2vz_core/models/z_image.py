"""Z-Image, Turbo and Base: a single-stream transformer that flows from noise to picture.

Z-Image team, https://arxiv.org/abs/2511.22699. Opened from a diffusers folder, or from single files
as ComfyUI has them: the transformer in one file, the Qwen3 text encoder and the VAE in files of
their own, or all in one. Its ControlNets are the Fun-Union files, which read depth, poses, edges
and lines alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .checkpoints import Checkpoint, Config
from .families import FAMILIES, Query
from .file_type import mistaken
from .float8 import SCALE, scale_name
from .locate import companion
from .qwen import ChatText, tokenizer
from .single_file import CONFIGS, contents_of
from .single_file_names import original
from .stable_diffusion import to_codes, to_latents
from .weights import Contents, ModelError, read_config

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from ..wire.job import Model

__all__ = ["control_input", "join", "open_control", "open_file", "predict", "text_encoder"]
__all__ += ["to_codes", "to_latents"]

NAME = "z-image"
CONTROL_KIND = "a Z-Image ControlNet"
_CONTROL_INPUT = "control_all_x_embedder.2-1.weight"
_CONTROL_REFINER = "control_noise_refiner.0.before_proj.weight"
_PREFIXES = {  # of each part's names, in files of all parts or of one
    "transformer": ("model.diffusion_model.", "diffusion_model.", ""),
    "vae": ("vae.", "first_stage_model.", ""),
    "text_encoder": ("text_encoders.qwen3_4b.transformer.model.", "model.", ""),
}
_TELLTALES = {  # a name that tells where a part is, and its axis as long as the other number
    "text_encoder": ("embed_tokens.weight", 1, ("text_encoder", "hidden_size")),
    "vae": ("decoder.conv_in.weight", 1, ("vae", "latent_channels")),
}
_ORIGINAL = (  # of the transformer: names of diffusers, and those of the authors
    (r"^all_x_embedder\.2-1\.", "x_embedder."),
    (r"^all_final_layer\.2-1\.", "final_layer."),
    (r"\.attention\.norm_([qk])\.", r".attention.\1_norm."),
    (r"\.attention\.to_out\.0\.", ".attention.out."),
    (r"\.attention\.to_[qkv]\.", ".attention.qkv."),
)


def original_name(name: str) -> str:
    """The authors' name of what diffusers calls `name`; queries, keys and values are one there."""
    for pattern, new in _ORIGINAL:
        name = re.sub(pattern, new, name)
    return name


def open_file(path: Path, contents: Contents, model: Model) -> Checkpoint:
    """The model of a single file; parts that it lacks are looked for beside it.

    Raises:
        ModelError: a part is not found, or several would do.
    """
    configs = read_config(CONFIGS / f"{NAME}.json")
    configs["model_index"] = {"_class_name": "ZImagePipeline"}
    sources = {"transformer": contents}
    notes = []
    for part, chosen in (("text_encoder", model.text_encoder), ("vae", model.vae)):
        if not chosen and _is_in(part, contents, configs):
            sources[part] = contents
            continue
        where = companion(
            path, part, chosen, model, lambda one, part=part: _fits(one, part, configs)
        )
        sources[part] = contents_of(where, model.allow_pickle)
        if not chosen:
            notes.append(f"The {part.replace('_', ' ')} of {path.name} is {where}.")
    return Checkpoint(
        path,
        NAME,
        configs,
        lambda part, wanted: _read(sources[part], part, wanted, configs[part]),
        lambda: [tokenizer()],
        tuple(notes),
    )


def _is_in(part: str, contents: Contents, configs: dict[str, Config]) -> bool:
    """Whether a file of the transformer has this part too."""
    prefixes = [prefix for prefix in _PREFIXES[part] if prefix not in ("", "model.")]
    return any(prefix + _TELLTALES[part][0] in contents.shapes for prefix in prefixes)


def _fits(path: Path, part: str, configs: dict[str, Config]) -> bool:
    """Whether a file is the text encoder, or the VAE, that this family needs, by its shapes."""
    name, axis, (of, key) = _TELLTALES[part]
    shapes = contents_of(path, False).shapes
    found = [shapes.get(prefix + name, ()) for prefix in _PREFIXES[part]]
    return any(len(shape) in (2, 4) and shape[axis] == configs[of][key] for shape in found)


def _read(
    contents: Contents, part: str, wanted: Iterable[str], config: Config
) -> dict[str, Tensor]:
    """The tensors of `wanted`, which are diffusers' names, where the file has them."""
    found = {}
    for name in wanted:
        names = [name, original_name(name) if part == "transformer" else name]
        if part == "vae":
            names = [name, original("vae", name, config)]
        places = (prefix + one for prefix in _PREFIXES[part] for one in names)
        if place := next((one for one in places if one in contents.shapes), None):
            found[name] = _shaped(name, place, contents.read(place))
            if scale := scale_name(place, contents.shapes):
                found[name.removesuffix(".weight") + SCALE] = contents.read(scale)
    return found


def _shaped(name: str, place: str, weight: Tensor) -> Tensor:
    if ".attention.qkv." in place:
        which = "qkv".index(name.split(".attention.to_")[1][0])
        return weight.chunk(3)[which]
    if ".mid.attn_1." in place and weight.ndim == 4:  # a 1 x 1 convolution there
        return weight[:, :, 0, 0]
    return weight


def open_control(path: Path, contents: Contents, base: Checkpoint) -> Checkpoint:
    """The Fun-Union ControlNet of a single file: 1.0, 2.0, 2.1 or its small one.

    Raises:
        ModelError: the file holds something else.
    """
    shapes = contents.shapes
    layers = {name.split(".")[1] for name in shapes if name.startswith("control_layers.")}
    if _CONTROL_INPUT not in shapes or not layers:
        raise mistaken(path, shapes, CONTROL_KIND)
    theirs = base.configs["transformer"]
    depth, wide = theirs["n_layers"], shapes[_CONTROL_INPUT]
    patch = theirs["all_patch_size"][0] ** 2
    config = {
        "control_layers_places": list(range(0, depth, depth // len(layers))),
        "control_refiner_layers_places": list(range(theirs["n_refiner_layers"])),
        "control_in_dim": wide[1] // patch,
        "add_control_noise_refiner": _refiner(contents),
        **{
            key: theirs[key]
            for key in ("n_refiner_layers", "n_heads", "n_kv_heads", "norm_eps", "qk_norm")
        },
        "dim": wide[0],
    }

    def weights(_: str, wanted: Iterable[str]) -> dict[str, Tensor]:
        kept = config["add_control_noise_refiner"] != "control_layers"
        names = {name for name in shapes if kept or not name.startswith("control_noise_refiner.")}
        return {name: contents.read(name) for name in names.union(wanted) & shapes.keys()}

    return Checkpoint(path, NAME, {"controlnet": config}, weights, list)


def _refiner(contents: Contents) -> str | None:
    """Who refines a control's first tokens: 2.1 has blocks for it, in 2.0 they were left zero by
    mistake and its layers do it (as diffusers tells them apart), and 1.0 has ordinary ones."""
    if _CONTROL_REFINER not in contents.shapes:
        return None
    is_zero = not contents.read(_CONTROL_REFINER).float().any()
    return "control_layers" if is_zero else "control_noise_refiner"


def check_control(control: Checkpoint, base: Checkpoint) -> None:
    """Lets pass a ControlNet that fits the model.

    Raises:
        ModelError: it was made for another size of transformer.
    """
    theirs, own = control.configs["controlnet"], base.configs["transformer"]
    if any(theirs.get(key, own[key]) != own[key] for key in ("dim", "n_heads")):
        raise ModelError(
            f"{control.path}: was not made for models like {base.path} ({FAMILIES[NAME].title}); "
            "choose one that was."
        )


def text_encoder(checkpoint: Checkpoint, encoders: list[Any]) -> ChatText:
    """Qwen3, asked with the prompt."""
    return ChatText(checkpoint.tokenizers()[0], encoders[0])


def other_name(name: str, config: Any) -> str:
    """The authors' name of a layer of the transformer."""
    return original_name(f"{name}.").removesuffix(".")


def join(denoiser: Module, controlnet: Any) -> None:
    """A Fun-Union ControlNet works with the embedders and refiners of its transformer."""
    type(controlnet).from_transformer(controlnet, denoiser)


def control_input(networks: Any, network: Any, pictures: np.ndarray) -> Tensor:
    """The pictures' latents (f, control_in_dim, 1, h, w); what goes beyond these, for filling in
    parts of pictures, is zero."""
    latents = networks.encode(pictures)
    more = network.config.control_in_dim - latents.shape[1]
    filled = torch.nn.functional.pad(latents, (0, 0, 0, 0, 0, more))
    return filled[:, :, None]  # -> (f, c, 1, h, w)


def predict(networks: Any, query: Query) -> Tensor:
    """v = ε − x_0 (groups·f, c, h, w), group by group, since their texts differ in length."""
    query.look(tuple(range(query.groups)))
    said = [_of_group(networks, query, group) for group in range(query.groups)]
    return torch.cat(said)


def _of_group(networks: Any, query: Query, group: int) -> Tensor:
    x = query.x.chunk(query.groups)[group]
    images = list(x[:, :, None].unbind(0))  # each (c, 1, h, w)
    texts = _texts(query, group, len(x))
    signal = torch.full((len(x),), 1 - query.time / 1000, device=x.device)
    hints: dict[int, Tensor] = {}
    for one in query.controls:
        if group in one.groups:
            more = one.network(images, signal, texts, list(one.input.unbind(0)), one.scale)
            hints = {layer: hints.get(layer, 0) + hint for layer, hint in more.items()}
    said = networks.denoiser(
        images, signal, texts, controlnet_block_samples=hints or None, return_dict=False
    )[0]
    return -torch.stack(said)[:, :, 0]


def _texts(query: Query, group: int, frames: int) -> list[Tensor]:
    """The text's tokens (L, d) of each frame of a group."""
    tokens = query.text.tokens.chunk(query.groups)[group]
    count = len(tokens)
    lengths = query.text.lengths or (tokens.shape[1],) * (count * query.groups)
    own = lengths[group * count : (group + 1) * count]
    rows = [row[:length] for row, length in zip(tokens, own)]
    return rows if count == frames else rows * frames
