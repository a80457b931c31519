"""Single files in Stable Diffusion's original layout, read without any network: their
configurations are shipped."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..wire.job import Model
from ..wire.model_facts import family_of, prediction_of
from .checkpoints import KNOWN, Checkpoint, Config, check
from .families import FAMILIES
from .family_file import rules_of
from .file_type import CONTROLNET, MODEL, UNION, kind, mistaken
from .float8 import plain_names
from .gguf_file import SUFFIX, open_gguf
from .single_file_names import PREFIXES, SHARED_PREFIXES, original
from .union_controlnet import MARK, union_config
from .weights import PICKLES, Contents, ModelError, header, read_config, read_weights, reader

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import CLIPTokenizer

ANY = Model()  # allows no pickles, and says nothing of parts beside the file
CONFIGS = Path(__file__).parent / "configs"
UNET_START = "model.diffusion_model.input_blocks.0.0.weight"
_HINT, _HINT_PARTS = "controlnet_cond_embedding", ("conv_in", "blocks.1", "blocks.3", "blocks.5")
_PARTS = {  # how its names begin in a whole file
    "UNet": ("model.diffusion_model.",),
    "VAE": ("first_stage_model.",),
    "text encoder": ("cond_stage_model.", "conditioner."),
}
_SPELLINGS = (  # what tools have written, and the name it has in published files
    (
        r"^cond_stage_model\.transformer\.(?!text_model)",
        "cond_stage_model.transformer.text_model.",
    ),  # merged SD 1
    (r"^conditioner\.embedders\.0\.model\.", "cond_stage_model.model."),  # SD-Turbo
    (r"(\.mid\.attn_1\.)to_([qkv])\.", r"\1\2."),  # diffusers' own script, for a time
    (r"(\.mid\.attn_1\.)to_out\.0\.", r"\1proj_out."),
)


def open_file(path: Path, model: Model = ANY) -> Checkpoint:
    """The model of a single file; of some families, parts of it lie in files of their own.

    Raises:
        ModelError: the file is broken or holds something else.
    """
    contents = contents_of(path, model.allow_pickle)
    found = kind(plain_names(contents.shapes))
    for row in FAMILIES.values():
        if row.file_kind and row.file_kind == found:
            return rules_of(row).open_file(path, contents, model)
    return open_whole(path, contents)


def open_controlnet_file(path: Path, base: Checkpoint, allow_pickle: bool = False) -> Checkpoint:
    """The ControlNet of a single file, for models like `base`.

    Raises:
        ModelError: the file is broken or holds something else.
    """
    contents = contents_of(path, allow_pickle)
    return rules_of(FAMILIES[base.family]).open_control(path, contents, base)


def open_whole(path: Path, contents: Contents) -> Checkpoint:
    """The Stable Diffusion model of a single file in the original layout.

    Raises:
        ModelError: the file holds something else, or not all of it.
    """
    if kind(contents.shapes) != MODEL:
        raise mistaken(path, contents.shapes, f"{MODEL} of {KNOWN}")
    contents = _respelled(contents)
    names = contents.shapes
    for part, starts in _PARTS.items():
        if not any(name.startswith(starts) for name in names):
            raise ModelError(
                f"{path}: holds no {part}; choose a file with UNet, VAE and text encoder in one."
            )
    family = family_of(names)
    if not family or len(names.get(UNET_START, ())) != 4:
        raise mistaken(path, names, f"{MODEL} of {KNOWN}")
    configs = read_config(CONFIGS / f"{family}.json")
    configs["unet"]["in_channels"] = names[UNET_START][1]
    configs["scheduler"] |= _prediction(path, contents)
    configs["model_index"] = {"force_zeros_for_empty_prompt": family == "sdxl"}
    check(configs, path)
    prefixes = SHARED_PREFIXES | PREFIXES[family]
    return Checkpoint(
        path,
        family,
        configs,
        lambda part, wanted: _renamed(contents, part, prefixes[part], wanted, configs[part]),
        lambda: [
            tokenizer(name == "text_encoder" and family != "sd2") for name in PREFIXES[family]
        ],
    )


def open_controlnet(path: Path, contents: Contents, base: Checkpoint) -> Checkpoint:
    """The ControlNet of a single file, in the original layout or in diffusers' names, for a
    Stable Diffusion model.

    Raises:
        ModelError: the file holds something else.
    """
    unet = base.configs["unet"]
    name_of = _controlnet_names(contents)
    if name_of is None or kind(contents.shapes) not in (CONTROLNET, UNION):
        raise mistaken(path, contents.shapes, CONTROLNET)
    shapes = contents.shapes
    if MARK in shapes and not unet.get("addition_time_embed_dim"):
        raise ModelError(f"{path}: is {UNION}, made for SDXL alone; choose one for this model.")
    hints = [name_of(f"{_HINT}.{part}.weight") for part in _HINT_PARTS]
    if not all(len(shapes.get(name, ())) == 4 for name in hints):
        raise mistaken(path, shapes, CONTROLNET)
    config = {
        key: value
        for key, value in unet.items()
        if key not in ("sample_size", "up_block_types", "in_channels")
    }
    config |= _attentions(len(unet["down_block_types"]), lambda name: name_of(name) in shapes)
    wide = (
        shape[-1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight") and shape
    )
    config["cross_attention_dim"] = next(wide, unet["cross_attention_dim"])
    config["conditioning_embedding_out_channels"] = [shapes[name][0] for name in hints]
    config |= union_config(shapes)

    def weights(_: str, wanted: Iterable[str]) -> dict[str, Tensor]:
        everything = (
            shapes if hints[0].startswith(_HINT) else ()
        )  # so that what is too much is seen
        names = {name: name_of(name) for name in (*wanted, *everything)}
        return {name: contents.read(old) for name, old in names.items() if old in shapes}

    return Checkpoint(path, base.family, {"controlnet": config}, weights, list)


def _attentions(blocks: int, has: Callable[[str], bool]) -> Config:
    """Where a ControlNet attends and how deeply; SDXL has small ones, which attend less than their
    UNet."""

    def depth(block: str) -> int:
        return next(
            i
            for i in count()
            if not has(f"{block}.attentions.0.transformer_blocks.{i}.norm1.weight")
        )

    attends = [has(f"down_blocks.{i}.attentions.0.norm.weight") for i in range(blocks)]
    middle = depth("mid_block")
    middle_attends = has("mid_block.attentions.0.norm.weight")
    return {
        "down_block_types": ["CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends],
        "mid_block_type": f"UNetMidBlock2D{'CrossAttn' * middle_attends}",
        "transformer_layers_per_block": [
            depth(f"down_blocks.{i}") if attends[i] else middle for i in range(blocks)
        ],
    }


def _controlnet_names(contents: Contents) -> Callable[[str], str] | None:
    """From diffusers' names to those of this file, or None if it holds no ControlNet."""
    layouts: list[Callable[[str], str]] = [
        lambda name: name,
        lambda name: original("controlnet", name, {}),
        lambda name: SHARED_PREFIXES["controlnet"] + original("controlnet", name, {}),
    ]
    return next(
        (name_of for name_of in layouts if name_of(f"{_HINT}.conv_in.weight") in contents.shapes),
        None,
    )


def tokenizer(pads_with_end: bool) -> CLIPTokenizer:
    """CLIP's own tokenizer; it pads with its end token or, as SD 2 and SDXL's second encoder were
    trained, with "!"."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    merges = [tuple(line.split()) for line in _merges().splitlines()]
    tokens = sorted(ByteLevel.alphabet())
    tokens += [token + "</w>" for token in tokens] + ["".join(pair) for pair in merges]
    vocabulary = {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    pairs = cast(Any, merges)  # transformers' types lack pairs, which are what it keeps
    return CLIPTokenizer(vocabulary, pairs, pad_token="<|endoftext|>" if pads_with_end else "!")


@cache
def _merges() -> str:
    return gzip.decompress((CONFIGS / "clip_merges.txt.gz").read_bytes()).decode()


def contents_of(path: Path, allow_pickle: bool) -> Contents:
    """What a weight file holds; no weights are read yet.

    Raises:
        ModelError: it is broken, or a pickle that is not allowed.
    """
    if path.suffix.lower() == SUFFIX:
        return open_gguf(path)
    if path.suffix.lower() in PICKLES:
        weights = read_weights(path, allow_pickle)
        return Contents(
            {name: list(weight.shape) for name, weight in weights.items()}, {}, weights.__getitem__
        )
    table, read = header(path), reader(path)
    metadata = table.pop("__metadata__", None) or {}
    return Contents({name: entry["shape"] for name, entry in table.items()}, metadata, read)


def _respelled(contents: Contents) -> Contents:
    """The same under the names of published files."""
    names = {}
    for old in contents.shapes:
        name = old
        for pattern, new in _SPELLINGS:
            name = re.sub(pattern, new, name)
        names[name] = old
    shapes = {name: contents.shapes[old] for name, old in names.items()}
    return Contents(shapes, contents.metadata, lambda name: contents.read(names[name]))


def _prediction(path: Path, contents: Contents) -> Config:
    """What the UNet predicts, where something tells, as a scheduler's configuration."""
    names = contents.shapes
    said = prediction_of(
        path, names, contents.metadata, lambda name: contents.read(name).float().tolist()
    )
    if "v_pred" in names:
        return {"prediction_type": said, "rescale_betas_zero_snr": "ztsnr" in names}
    return {"prediction_type": said} if said else {}


def _renamed(
    contents: Contents, part: str, prefix: str, wanted: Iterable[str], config: Config
) -> dict[str, Tensor]:
    """The tensors of `wanted`, which are diffusers' names, where the file has them."""
    found = {name: prefix + original(part, name, config) for name in wanted}
    # diffusers' own script leaves SDXL's projection as it was, where published files have it turned
    # and named shorter
    found = {
        name: old if old in contents.shapes else f"{old}.weight" for name, old in found.items()
    }
    return {
        name: _shaped(name, old, contents.read(old))
        for name, old in found.items()
        if old in contents.shapes
    }


def _shaped(name: str, old: str, weight: Tensor) -> Tensor:
    if ".attn.in_proj_" in old:  # queries, keys and values in one
        return weight.chunk(3)["qkv".index(name.split(".self_attn.")[1][0])]
    if old.endswith(".text_projection"):
        return weight.T.contiguous()
    if (
        ".mid.attn_1." in old and weight.ndim == 4
    ):  # a 1 x 1 convolution where diffusers has a linear layer
        return weight[:, :, 0, 0]
    return weight
