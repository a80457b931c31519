"""Which models lie here, and which of them a job will be refused: they go through the gate that a
job's model goes through, without their weights."""

from __future__ import annotations

import os
from pathlib import Path

from ..demo import WEIGHTS
from ..wire.homes import models_folder, snapshot
from ..wire.job import Model
from .checkpoints import open_folder
from .families import FAMILIES
from .file_type import CONTROLNET, LORA, MODEL, UNION, kind
from .float8 import plain_names
from .gguf_file import SUFFIX
from .locate import inside
from .single_file import open_file
from .textual_inversion import INVERSION
from .weights import PICKLES, ModelError, header, pickle_sentence, read_config, weight_files

# what a job names beside its model, and is opened with it
USED = (LORA, CONTROLNET, UNION, INVERSION, "a Z-Image ControlNet")
PARTS = ("a VAE", "a text encoder")


def models_found(folder: Path | None = None) -> list[str]:
    """One line per model that lies here: the demo's, then those of the models folder. No weights
    are read."""
    lines = []
    for path in (WEIGHTS, *inside(folder or models_folder())):
        line = _line(path)
        lines += [line] if line else [_line(inner) for inner in inside(path)]
    return [line for line in lines if line]


def _line(path: Path) -> str:
    """The path of a model and what it is, or why a job with it is refused; "" of other things."""
    folder = snapshot(path)
    try:
        if os.path.exists(folder / "model_index.json"):
            return f"{folder}  ({_model_in(folder)})"
        if os.path.exists(folder / "config.json"):
            return f"{folder}  ({_network_in(folder)})"
        if path.suffix.lower() in PICKLES:
            return pickle_sentence(path)
        if path.suffix.lower() == ".safetensors":
            return f"{path}  ({_file_kind(path)})"
        if path.suffix.lower() == SUFFIX:
            return f"{path}  (a GGUF file)"
    except ModelError as error:
        return str(error)
    return ""


def _model_in(folder: Path) -> str:
    """The class of a whole model's folder, all of whose parts are there and whole."""
    checkpoint = open_folder(folder)
    for part in checkpoint.configs:
        if (folder / part / "config.json").is_file():
            _check_files(weight_files(folder / part))
    return checkpoint.configs["model_index"].get("_class_name", "of no name")


def _network_in(folder: Path) -> str:
    """The class of a folder with one network, which must be a ControlNet's."""
    name = read_config(folder / "config.json").get("_class_name", "a network of no name")
    if "ControlNet" not in name:
        raise ModelError(
            f"{folder}: is {name} alone, which no job can name; a model has all its parts beside a "
            "model_index.json."
        )
    _check_files(weight_files(folder))
    return name


def _check_files(files: list[Path]) -> None:
    for file in files:
        header(file)


def _file_kind(path: Path) -> str:
    """What a single file is.

    Raises:
        ModelError: it is broken, a model that lacks a part, or nothing that a job can name.
    """
    names = [name for name in header(path) if name != "__metadata__"]
    found = kind(plain_names(names))
    if found in USED:
        return found
    if found in PARTS:
        return f"{found}, read only beside a model's file that lacks it"
    if found and found in (MODEL, *(row.file_kind for row in FAMILIES.values())):
        open_file(path, Model(str(path)))
        return found
    raise ModelError(f"{path}: is {found or 'of no known kind'}, which no job can name.")
