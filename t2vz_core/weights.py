"""Weight files: which of a folder's to read, whether one is whole, and what it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fault import Fault

if TYPE_CHECKING:
    from torch import Tensor

STEMS = ("diffusion_pytorch_model", "model")
PICKLE_STEMS = (*STEMS, "pytorch_model")
PICKLES = (".ckpt", ".bin", ".pt", ".pth")


class ModelError(Fault):
    """A model that cannot be used: one sentence with its path and what to do."""


def weight_files(folder: Path, prefers_half: bool = False, allow_pickle: bool = False) -> list[Path]:
    """The files, or shards of one, that hold the weights of a diffusers component folder.

    Raises:
        ModelError: none is there, or only pickles and these are not allowed.
    """
    variants = (".fp16", "") if prefers_half else ("", ".fp16")
    for stem in (f"{stem}{{}}{variant}" for variant in variants for stem in STEMS):
        if (whole := folder / (stem.format("") + ".safetensors")).exists():
            return [whole]
        variant = stem.partition("{}")[2]
        if (index := folder / f"{stem.partition('{}')[0]}.safetensors.index{variant}.json").exists():
            return _shards(index)
    pickles = [folder / f"{stem}{variant}.bin" for variant in variants for stem in PICKLE_STEMS]
    pickles = [path for path in pickles if path.exists()]
    if pickles and allow_pickle:
        return pickles[:1]
    if pickles:
        raise ModelError(pickle_sentence(pickles[0]))
    raise ModelError(f"{folder}: holds no weights (a .safetensors file); copy or download the model again.")


def read_weights(path: Path, allow_pickle: bool = False) -> dict[str, Tensor]:
    """Every tensor of a file, on the CPU, mapped from the disk where the format allows.

    Raises:
        ModelError: missing, cut off, no weights, or a pickle that is not allowed or holds more than tensors.
    """
    if path.suffix.lower() in PICKLES:
        return _read_pickle(path, allow_pickle)
    header(path)
    from safetensors.torch import load_file

    return load_file(path)


def header(path: Path) -> dict[str, Any]:
    """A .safetensors file's table of tensors (`dtype`, `shape`, `data_offsets`) and its `__metadata__`.

    Raises:
        ModelError: the file is missing, cut off or something else.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if start == b"version ":
                raise ModelError(f"{path}: is a Git LFS pointer, not the weights; run `git lfs pull` in its folder.")
            if start[:1] in (b"<", b"{") or not 0 < length <= size - 8:
                raise ModelError(f"{path}: is no safetensors file, or cut off; copy or download it again.")
            table = json.loads(file.read(length))
            end = max((entry["data_offsets"][1] for key, entry in table.items() if key != "__metadata__"), default=0)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: is no safetensors file; copy or download it again.") from error
    if 8 + length + end != size:
        raise ModelError(f"{path}: is cut off at {size:,} of {8 + length + end:,} bytes; copy or download it again.")
    return table


def read_config(path: Path) -> dict[str, Any]:
    """The object of a JSON file.

    Raises:
        ModelError: missing, or no JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); copy or download the model again.") from error
    except ValueError as error:
        raise ModelError(f"{path}: is no JSON file ({error}); copy or download the model again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: holds no object; copy or download the model again.")
    return config


def pickle_sentence(path: Path) -> str:
    """Why a pickle is not read."""
    return (
        f"{path}: is a pickle, which can run code when it is read; take the model's .safetensors, "
        "or allow pickles if you trust where it came from."
    )


def _shards(index: Path) -> list[Path]:
    names = read_config(index).get("weight_map", {}).values()
    return [index.parent / name for name in sorted(set(names))]


def _read_pickle(path: Path, allow_pickle: bool) -> dict[str, Tensor]:
    if not allow_pickle:
        raise ModelError(pickle_sentence(path))
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what unpickling raises is up to the file
        raise ModelError(f"{path}: is cut off or holds more than weights; take the model's .safetensors.") from error
    found = found.get("state_dict", found) if isinstance(found, dict) else {}
    return {key: value for key, value in found.items() if isinstance(value, torch.Tensor)}
