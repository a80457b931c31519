"""Single files in Stable Diffusion's original layout, read without any network: their configurations are shipped."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .checkpoints import KNOWN, Checkpoint, Config, check_unet
from .original_names import PREFIXES, SHARED_PREFIXES, original
from .weights import PICKLES, ModelError, header, read_config, read_weights

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import CLIPTokenizer

CONFIGS = Path(__file__).parent / "configs"
UNET_START = "model.diffusion_model.input_blocks.0.0.weight"
_HINT, _HINT_PARTS = "controlnet_cond_embedding", ("conv_in", "blocks.1", "blocks.3", "blocks.5")
_TELLTALES = {  # a weight that only this family's files have
    "sdxl": "conditioner.embedders.1.model.ln_final.weight",
    "sd2": "cond_stage_model.model.ln_final.weight",
    "sd1": "cond_stage_model.transformer.text_model.final_layer_norm.weight",
}
_FOREIGN = {  # part of a name: what such a file is
    "lora_": "is a LoRA; name it among the LoRAs, not as the model",
    "control_model.": "is a ControlNet; name it as a control's model",
    "controlnet_cond_embedding.": "is a ControlNet; name it as a control's model",
    "model.diffusion_model.": "holds no text encoder, or one of another family",
}


@dataclass(frozen=True)
class Contents:
    """What a weight file holds, and `read(name)` for one tensor of it."""

    shapes: dict[str, list[int]]
    metadata: dict[str, str]
    read: Callable[[str], Tensor]


def open_file(path: Path, allow_pickle: bool = False) -> Checkpoint:
    """The model of a single file.

    Raises:
        ModelError: the file is broken or holds something else.
    """
    contents = _with_clip_prefix(_contents(path, allow_pickle))
    names = contents.shapes
    family = next((family for family, name in _TELLTALES.items() if name in names), None)
    if family is None or UNET_START not in names:
        what = next((what for part, what in _FOREIGN.items() if any(part in name for name in names)), "is no model")
        raise ModelError(f"{path}: {what}; this engine reads whole files of {KNOWN}.")
    configs = read_config(CONFIGS / f"{family}.json")
    configs["unet"]["in_channels"] = names[UNET_START][1]
    configs["scheduler"] |= _prediction(path, contents)
    configs["model_index"] = {"force_zeros_for_empty_prompt": family == "sdxl"}
    check_unet(configs["unet"], path)
    prefixes = SHARED_PREFIXES | PREFIXES[family]
    return Checkpoint(
        path,
        configs,
        lambda part, wanted: _renamed(contents, part, prefixes[part], wanted, configs[part]),
        lambda: [tokenizer(name == "text_encoder" and family != "sd2") for name in PREFIXES[family]],
    )


def open_controlnet_file(path: Path, unet: Config, allow_pickle: bool = False) -> Checkpoint:
    """The ControlNet of a single file, in the original layout or in diffusers' names, for a model with this UNet.

    Raises:
        ModelError: the file is broken or holds something else.
    """
    contents = _contents(path, allow_pickle)
    name_of = _controlnet_names(contents)
    if name_of is None:
        raise ModelError(f"{path}: is no ControlNet; choose a ControlNet made for Stable Diffusion.")
    shapes = contents.shapes
    config = {key: value for key, value in unet.items() if key not in ("sample_size", "up_block_types", "in_channels")}
    config["cross_attention_dim"] = next(shapes[name][1] for name in shapes if name.endswith("attn2.to_k.weight"))
    hints = [name_of(f"{_HINT}.{part}.weight") for part in _HINT_PARTS]
    config["conditioning_embedding_out_channels"] = [shapes[name][0] for name in hints]

    def weights(_: str, wanted: Iterable[str]) -> dict[str, Tensor]:
        everything = shapes if hints[0].startswith(_HINT) else ()  # so that what is too much is seen
        names = {name: name_of(name) for name in (*wanted, *everything)}
        return {name: contents.read(old) for name, old in names.items() if old in shapes}

    return Checkpoint(path, {"controlnet": config}, weights, list)


def _controlnet_names(contents: Contents) -> Callable[[str], str] | None:
    """From diffusers' names to those of this file, or None if it holds no ControlNet."""
    layouts: list[Callable[[str], str]] = [
        lambda name: name,
        lambda name: original("controlnet", name, {}),
        lambda name: SHARED_PREFIXES["controlnet"] + original("controlnet", name, {}),
    ]
    return next((name_of for name_of in layouts if name_of(f"{_HINT}.conv_in.weight") in contents.shapes), None)


def tokenizer(pads_with_end: bool) -> CLIPTokenizer:
    """CLIP's own tokenizer; it pads with its end token or, as SD 2 and SDXL's second encoder were trained, with "!"."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    merges = [tuple(line.split()) for line in _merges().splitlines()]
    tokens = sorted(ByteLevel.alphabet())
    tokens += [token + "</w>" for token in tokens] + ["".join(pair) for pair in merges]
    vocabulary = {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocabulary, merges, pad_token="<|endoftext|>" if pads_with_end else "!")


@cache
def _merges() -> str:
    return gzip.decompress((CONFIGS / "clip_merges.txt.gz").read_bytes()).decode()


def _contents(path: Path, allow_pickle: bool) -> Contents:
    if path.suffix.lower() in PICKLES:
        weights = read_weights(path, allow_pickle)
        return Contents({name: list(weight.shape) for name, weight in weights.items()}, {}, weights.__getitem__)
    table = header(path)
    from safetensors import safe_open

    metadata = table.pop("__metadata__", {})
    return Contents({name: entry["shape"] for name, entry in table.items()}, metadata, safe_open(path, "pt").get_tensor)


def _with_clip_prefix(contents: Contents) -> Contents:
    """Some merged SD 1 models leave `text_model.` out of the text encoder's names."""
    start = "cond_stage_model.transformer."
    names = {re.sub(rf"^{start}(?!text_model)", f"{start}text_model.", name): name for name in contents.shapes}
    shapes = {name: contents.shapes[old] for name, old in names.items()}
    return Contents(shapes, contents.metadata, lambda name: contents.read(names[name]))


def _prediction(path: Path, contents: Contents) -> Config:
    """What the UNet predicts where the file, or the .yaml beside it, says so; the weights cannot tell."""
    if "v_pred" in contents.shapes:
        return {"prediction_type": "v_prediction", "rescale_betas_zero_snr": "ztsnr" in contents.shapes}
    said = contents.metadata.get("modelspec.prediction_type", "")
    sidecar = path.with_suffix(".yaml")
    if not said and sidecar.is_file():
        found = re.search(r"parameterization:\s*[\"']?(\w+)", sidecar.read_text(encoding="utf-8", errors="replace"))
        said = found[1] if found else "epsilon"
    return {"prediction_type": "v_prediction" if said.startswith("v") else "epsilon"} if said else {}


def _renamed(contents: Contents, part: str, prefix: str, wanted: Iterable[str], config: Config) -> dict[str, Tensor]:
    """The tensors of `wanted`, which are diffusers' names, where the file has them."""
    found = {name: prefix + original(part, name, config) for name in wanted}
    return {name: _shaped(name, old, contents.read(old)) for name, old in found.items() if old in contents.shapes}


def _shaped(name: str, old: str, weight: Tensor) -> Tensor:
    if ".attn.in_proj_" in old:  # queries, keys and values in one
        return weight.chunk(3)["qkv".index(name.split(".self_attn.")[1][0])]
    if old.endswith(".text_projection"):
        return weight.T.contiguous()
    if ".mid.attn_1." in old and weight.ndim == 4:  # a 1 x 1 convolution where diffusers has a linear layer
        return weight[:, :, 0, 0]
    return weight
