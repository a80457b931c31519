"""Weight files: which of a folder's to read, whether one is whole, and what it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..fault import Fault
from ..wire.model_facts import HEADER_LIMIT, read_table

if TYPE_CHECKING:
    from torch import Tensor

STEMS = ("diffusion_pytorch_model", "model")
PICKLE_STEMS = (*STEMS, "pytorch_model")
PICKLES = (".ckpt", ".bin", ".pt", ".pth")
_AGAIN = "copy or download it again"
_OTHERS = (  # how files begin that lie in a weight file's place, what they are and what to do
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the weights",
        "run `git lfs pull` in its folder",
    ),
    (b"<", "a web page, not the weights", "download the file itself"),
    (b"{", "a text, not the weights", _AGAIN),
    (b"GGUF", "a GGUF file, which this engine does not read", "take the model's .safetensors"),
    (b"PK", "a pickle under another name", "take the model's .safetensors"),
)


class ModelError(Fault):
    """A model that cannot be used: one sentence with its path and what to do."""


@dataclass(frozen=True)
class Contents:
    """What a weight file holds, and `read(name)` for one tensor of it."""

    shapes: dict[str, list[int]]
    metadata: dict[str, str]
    read: Callable[[str], Tensor]


def weight_files(
    folder: Path, prefers_half: bool = False, allow_pickle: bool = False
) -> list[Path]:
    """The files, or shards of one, that hold the weights of a diffusers component folder.

    Raises:
        ModelError: none is there, or only pickles and these are not allowed.
    """
    variants = (".fp16", "") if prefers_half else ("", ".fp16")
    found = []
    for variant, stem in product(variants, STEMS):
        if (whole := folder / f"{stem}{variant}.safetensors").exists():
            found.append([whole])
        elif (index := folder / f"{stem}.safetensors.index{variant}.json").exists():
            found.append(_shards(index))
    whole = [files for files in found if all(path.exists() for path in files)]
    if found:  # where all lack shards, reading the first says which
        return (whole or found)[0]
    pickles = [folder / f"{stem}{variant}.bin" for variant in variants for stem in PICKLE_STEMS]
    pickles = [path for path in pickles if path.exists()]
    if pickles and allow_pickle:
        return pickles[:1]
    if pickles:
        raise ModelError(pickle_sentence(pickles[0]))
    raise ModelError(
        f"{folder}: holds no weights (a .safetensors file); copy or download the model again."
    )


def read_weights(path: Path, allow_pickle: bool = False) -> dict[str, Tensor]:
    """Every tensor of a file, on the CPU, mapped from the disk where the format allows.

    Raises:
        ModelError: missing, cut off, no weights, or a pickle that is not allowed or holds more than
            tensors.
    """
    if path.suffix.lower() in PICKLES:
        return _read_pickle(path, allow_pickle)
    table, read = header(path), reader(path)
    return {name: read(name) for name in table if name != "__metadata__"}


def reader(path: Path) -> Callable[[str], Tensor]:
    """Reads one tensor of a .safetensors file by its name, on the CPU, mapped from the disk.

    Raises:
        ModelError: the file is broken, or its numbers have a format that this engine does not know;
            so does reading.
    """
    from safetensors import SafetensorError, safe_open

    def sayable(read: Callable[..., Any], *args: str | Path) -> Any:
        try:
            return read(*args)
        except (
            SafetensorError,
            RuntimeError,
            AttributeError,
        ) as error:  # the last two of formats torch has not
            raise ModelError(
                f"{path}: is broken ({str(error).splitlines()[0]}); {_AGAIN}."
            ) from error

    return partial(sayable, sayable(safe_open, path, "pt").get_tensor)


def header(path: Path) -> dict[str, Any]:
    """A .safetensors file's table of tensors (`dtype`, `shape`, `data_offsets`) and its
    `__metadata__`.

    Raises:
        ModelError: the file is missing, cut off or something else.
    """
    start = _start(path)
    length = int.from_bytes(start[:8], "little")
    try:
        size = path.stat().st_size
        if not 0 < length <= min(size - 8, HEADER_LIMIT):
            raise _other(path, start) or ModelError(
                f"{path}: is no safetensors file, or cut off; {_AGAIN}."
            )
        table = read_table(path)
        end = max(
            (entry["data_offsets"][1] for key, entry in table.items() if key != "__metadata__"),
            default=0,
        )
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from error
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ModelError(f"{path}: is no safetensors file; {_AGAIN}.") from error
    if size != (whole := 8 + length + end):
        what = "is cut off at" if size < whole else "has"
        raise ModelError(f"{path}: {what} {size:,} of {whole:,} bytes; {_AGAIN}.")
    return table


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}); copy or download the model again."
        ) from error


def _other(path: Path, start: bytes) -> ModelError | None:
    """What a file is that begins like something else than weights."""
    found = ((what, advice) for mark, what, advice in _OTHERS if start.lstrip().startswith(mark))
    return next((ModelError(f"{path}: is {what}; {advice}.") for what, advice in found), None)


def read_config(path: Path) -> dict[str, Any]:
    """The object of a JSON file.

    Raises:
        ModelError: missing, or no JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}); copy or download the model again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{path}: is no JSON file ({error}); copy or download the model again."
        ) from error
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
    start = _start(path)
    if not start.startswith(b"PK") and (error := _other(path, start)):
        raise error
    if not allow_pickle:
        raise ModelError(pickle_sentence(path))
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what unpickling raises is up to the file
        raise ModelError(
            f"{path}: is cut off or holds more than weights; take the model's .safetensors."
        ) from error
    found = found.get("state_dict", found) if isinstance(found, dict) else {}
    return {key: value for key, value in found.items() if isinstance(value, torch.Tensor)}
