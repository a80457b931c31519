"""Writes trained networks as the folders diffusers opens, in fp16."""

import copy
import json
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import nn
from transformers import CLIPTokenizer

from .diffusion import schedule


def pipeline(folder: Path, vae: nn.Module, text_encoder: nn.Module, tokenizer: CLIPTokenizer, unet: nn.Module) -> None:
    """A Stable Diffusion 1.x folder."""
    parts = {"vae": vae, "text_encoder": text_encoder, "unet": unet}
    StableDiffusionPipeline(
        **{name: _halved(part) for name, part in parts.items()},
        tokenizer=tokenizer,
        scheduler=schedule(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    _open_in_single_precision(folder / "text_encoder" / "config.json")
    _write_vocabulary(folder / "tokenizer", tokenizer)


def network(folder: Path, part: nn.Module) -> None:
    """One network with its config."""
    _halved(part).save_pretrained(folder)


def _open_in_single_precision(config: Path) -> None:
    """transformers opens in the precision its config names, diffusers in single: with two minds nothing runs."""
    settings = json.loads(config.read_text())
    config.write_text(json.dumps(settings | {"dtype": "float32"}, indent=2) + "\n")


def _write_vocabulary(folder: Path, tokenizer: CLIPTokenizer) -> None:
    """The two files that older transformers read instead of tokenizer.json."""
    learnt = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(learnt["vocab"], ensure_ascii=False))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, learnt["merges"])]) + "\n")


def _halved(part: nn.Module) -> nn.Module:
    return copy.deepcopy(part).to(torch.float16, memory_format=torch.contiguous_format)
