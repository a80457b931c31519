"""Writes trained networks as the folders diffusers opens, in fp16."""

import copy
import json
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from torch import nn
from transformers import CLIPTokenizer

from .diffusion import schedule


def pipeline(
    folder: Path,
    tokenizer: CLIPTokenizer,
    kind: type[DiffusionPipeline] = StableDiffusionPipeline,
    **parts: nn.Module,
) -> None:
    """A Stable Diffusion 1.x folder of its `vae`, `text_encoder` and `unet`."""
    kind(
        **{name: _halved(part) for name, part in parts.items()},
        tokenizer=tokenizer,
        scheduler=schedule(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    tidy(folder)
    _write_vocabulary(folder / "tokenizer", tokenizer)


def network(folder: Path, part: nn.Module) -> None:
    """One network with its config."""
    _halved(part).save_pretrained(folder)
    tidy(folder)


def tidy(folder: Path) -> None:
    """Takes out of the configs where training kept its files.

    transformers opens in the precision its config names, diffusers in single: the text encoder's is
    made to agree.
    """
    for config in folder.rglob("config.json"):
        settings = json.loads(config.read_text("utf-8"))
        settings.pop("_name_or_path", None)
        if "dtype" in settings:
            settings["dtype"] = "float32"
        config.write_text(json.dumps(settings, indent=2) + "\n")


def _write_vocabulary(folder: Path, tokenizer: CLIPTokenizer) -> None:
    """The two files that older transformers read instead of tokenizer.json."""
    learnt = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(learnt["vocab"], ensure_ascii=False), "utf-8")
    (folder / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *map(" ".join, learnt["merges"])]) + "\n"
    )


def _halved(part: nn.Module) -> nn.Module:
    return copy.deepcopy(part).to(torch.float16, memory_format=torch.contiguous_format)
