"""Tiny networks of random weights in the layout of Stable Diffusion folders, for tests without any
download.

Each keeps the shape of its model: the kinds, order and number of blocks, the configuration's quirks
and the file names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

WORDS = ("ball", "red", "blue", "grass", "cube", "style")
TEXT_WIDTH = 32

_UNET: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": (32, 64, 64, 64),
    "attention_head_dim": 4,  # the number of heads, whatever its name says
    "cross_attention_dim": TEXT_WIDTH,
    "norm_num_groups": 8,
}
_UNETS: dict[str, dict[str, Any]] = {
    "sd1": _UNET,
    "sd2": {**_UNET, "attention_head_dim": (2, 4, 4, 4), "use_linear_projection": True},
    "instruct": {**_UNET, "in_channels": 8},
    "sdxl": {
        **_UNET,
        "block_out_channels": (32, 64, 64),
        "attention_head_dim": (2, 4, 4),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 3),
        "use_linear_projection": True,
        "cross_attention_dim": 2 * TEXT_WIDTH,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": TEXT_WIDTH + 6 * 8,
    },
}
_BETAS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}
_SCHEDULERS: dict[str, dict[str, Any]] = {
    "sd1": {"_class_name": "PNDMScheduler", **_BETAS, "steps_offset": 1, "skip_prk_steps": True,
            "clip_sample": False},
    "sd2": {"_class_name": "DDIMScheduler", **_BETAS, "steps_offset": 1,
            "prediction_type": "v_prediction",
            "clip_sample": False, "set_alpha_to_one": False},
    "sdxl": {"_class_name": "EulerDiscreteScheduler", **_BETAS, "steps_offset": 1,
             "timestep_spacing": "leading"},
}  # fmt: skip
_PIPELINES = {
    "sd1": "StableDiffusionPipeline",
    "sd2": "StableDiffusionPipeline",
    "instruct": "StableDiffusionInstructPix2PixPipeline",
    "sdxl": "StableDiffusionXLPipeline",
}


def write_model(folder: Path, family: str = "sd1", seed: int = 0) -> Path:
    """Writes a whole diffusers folder of `family` ("sd1", "sd2", "sdxl", "instruct") and returns
    it."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    torch.manual_seed(seed)
    UNet2DConditionModel(**_UNETS[family]).save_pretrained(folder / "unet")
    AutoencoderKL(**vae_config(family)).save_pretrained(folder / "vae")
    parts = ["text_encoder", "text_encoder_2"] if family == "sdxl" else ["text_encoder"]
    for i, part in enumerate(parts):
        write_text_encoder(folder / part, family, has_projection=i == 1)
        write_tokenizer(
            folder / part.replace("text_encoder", "tokenizer"),
            pads_with_end=family != "sd2" and i == 0,
        )
    write_json(
        folder / "scheduler/scheduler_config.json", _SCHEDULERS.get(family, _SCHEDULERS["sd1"])
    )
    write_json(folder / "model_index.json", _index(family))
    return folder


def write_controlnet(folder: Path, family: str = "sd1", seed: int = 1) -> Path:
    """Writes a ControlNet for `family` whose outputs are not zero, though untrained; returns its
    folder."""
    from diffusers.models.controlnets.controlnet import ControlNetModel

    torch.manual_seed(seed)
    only_unet = ("sample_size", "up_block_types")
    config = {key: value for key, value in _UNETS[family].items() if key not in only_unet}
    network = ControlNetModel(**config, conditioning_embedding_out_channels=(8, 8, 16, 16))
    for name, weight in network.named_parameters():
        if name.startswith(
            ("controlnet_down_blocks", "controlnet_mid_block", "controlnet_cond_embedding.conv_out")
        ):
            torch.nn.init.normal_(weight, std=0.1)
    network.save_pretrained(folder)
    return folder


def write_union_controlnet(folder: Path, seed: int = 1) -> Path:
    """Writes a union ControlNet for "sdxl" whose outputs are not zero; returns its folder."""
    from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel

    torch.manual_seed(seed)
    only_unet = ("sample_size", "up_block_types")
    config = {key: value for key, value in _UNETS["sdxl"].items() if key not in only_unet}
    width = config["block_out_channels"][0]
    network = ControlNetUnionModel(
        **config,
        conditioning_embedding_out_channels=(8, 8, 16, 16),
        num_trans_channel=width,
        num_proj_channel=width,
    )
    for name, weight in network.named_parameters():
        if name.startswith(("controlnet_", "spatial_ch_projs")):
            torch.nn.init.normal_(weight, std=0.1)
    network.save_pretrained(folder)
    return folder


def write_ip_adapter(folder: Path, unet: Any, is_plus: bool = False, seed: int = 2) -> Path:
    """Writes an IP-Adapter for a UNet, with its image encoder beside it; returns its file."""
    from safetensors.torch import save_file
    from transformers.models.clip.configuration_clip import CLIPVisionConfig
    from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

    torch.manual_seed(0)  # the encoder is the same for all
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
        image_size=32, patch_size=8, projection_dim=24,
    )  # fmt: skip
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    width = unet.config.cross_attention_dim
    weights = _resampler(16, width) if is_plus else {
        "proj.weight": (4 * width, 24), "proj.bias": (4 * width,),
        "norm.weight": (width,), "norm.bias": (width,),
    }  # fmt: skip
    shapes = {f"image_proj.{name}": shape for name, shape in weights.items()}
    layers = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    modules = dict(unet.named_modules())
    for i, name in enumerate(layers):
        inner = modules[name.removesuffix(".processor")].inner_dim
        for part in ("to_k_ip", "to_v_ip"):
            shapes[f"ip_adapter.{2 * i + 1}.{part}.weight"] = (inner, width)
    torch.manual_seed(seed)
    tensors = {name: torch.randn(shape) * 0.2 for name, shape in shapes.items()}
    save_file(tensors, folder / "ip-adapter.safetensors")
    return folder / "ip-adapter.safetensors"


def _resampler(given: int, width: int, inner: int = 64) -> dict[str, tuple[int, ...]]:
    """Names and shapes of IP-Adapter Plus' resampler, as published files have them."""
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, 4, width), "proj_in.weight": (width, given), "proj_in.bias": (width,),
        "proj_out.weight": (width, width), "proj_out.bias": (width,),
        **{f"norm_out.{part}": (width,) for part in PARTS},
    }  # fmt: skip
    for layer in range(4):
        here = f"layers.{layer}"
        shapes |= {f"{here}.0.{n}.{part}": (width,) for n in ("norm1", "norm2") for part in PARTS}
        shapes |= {f"{here}.1.0.{part}": (width,) for part in PARTS}
        shapes[f"{here}.0.to_q.weight"] = inner, width
        shapes[f"{here}.0.to_kv.weight"] = 2 * inner, width
        shapes[f"{here}.0.to_out.weight"] = width, inner
        shapes[f"{here}.1.1.weight"] = 4 * width, width
        shapes[f"{here}.1.3.weight"] = width, 4 * width
    return shapes


PARTS = ("weight", "bias")


def vae_config(family: str) -> dict[str, Any]:
    """The arguments of a tiny AutoencoderKL with the real one's factor 8 and 4 channels."""
    return {
        "block_out_channels": (16, 16, 16, 16),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "norm_num_groups": 8,
        "layers_per_block": 2,
        "sample_size": 64,
        "scaling_factor": 0.13025 if family == "sdxl" else 0.18215,
    }


def write_text_encoder(
    folder: Path, family: str, has_projection: bool = False, width: int = TEXT_WIDTH
) -> None:
    """Writes a CLIP text encoder of three layers under the key names real folders have."""
    from safetensors.torch import load_file, save_file
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

    end = len(vocabulary()[0]) - 1
    config = CLIPTextConfig(
        hidden_size=width, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        vocab_size=end + 1,
        projection_dim=width, bos_token_id=end - 1, eos_token_id=end,
        hidden_act="gelu" if family == "sd2" or has_projection else "quick_gelu",
    )  # fmt: skip
    (CLIPTextModelWithProjection if has_projection else CLIPTextModel)(config).save_pretrained(
        folder
    )
    weights = load_file(
        folder / "model.safetensors"
    )  # published files have the prefix, new ones may not
    renamed = {k if k.startswith("text_") else f"text_model.{k}": v for k, v in weights.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})


def write_tokenizer(folder: Path, pads_with_end: bool = True) -> None:
    """Writes a CLIP tokenizer of all bytes and a few words, padding with its end token or with
    "!"."""
    vocab, merges = vocabulary()
    write_json(folder / "vocab.json", vocab)
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8"
    )
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>" if pads_with_end else "!",
    })  # fmt: skip


def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Token numbers and merges: CLIP's order, with every byte and the few `WORDS`."""
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = sorted(ByteLevel.alphabet())
    tokens += [token + "</w>" for token in tokens]
    merges = []
    for word in WORDS:
        left = word[0]
        for i, letter in enumerate(word[1:], 2):
            right = letter + ("</w>" if i == len(word) else "")
            if (left, right) not in merges:
                merges.append((left, right))
                tokens.append(left + right)
            left += right
    return {
        token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])
    }, merges


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def _index(family: str) -> dict[str, Any]:
    index: dict[str, Any] = {
        "_class_name": _PIPELINES[family],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", _SCHEDULERS.get(family, _SCHEDULERS["sd1"])["_class_name"]],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "feature_extractor": [None, None],
    }
    if family == "sdxl":
        second = {"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
                  "tokenizer_2": ["transformers", "CLIPTokenizer"]}  # fmt: skip
        return {
            **index,
            **second,
            "image_encoder": [None, None],
            "force_zeros_for_empty_prompt": True,
        }
    return {**index, "safety_checker": [None, None], "requires_safety_checker": False}
