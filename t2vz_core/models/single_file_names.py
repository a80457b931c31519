"""Weight names: those of diffusers, and those of Stable Diffusion's original single files.

`original(part, name, config)` renames one weight; the rules are read from the published
checkpoints' keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Config = dict[str, Any]
Rule = tuple[str, str | Callable[[re.Match[str]], str]]

PREFIXES = {
    "sd1": {"text_encoder": "cond_stage_model.transformer."},
    "sd2": {"text_encoder": "cond_stage_model.model."},
    "sdxl": {
        "text_encoder": "conditioner.embedders.0.transformer.",
        "text_encoder_2": "conditioner.embedders.1.model.",
    },
}
SHARED_PREFIXES = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "controlnet": "control_model.",
}

_RESNET: list[Rule] = [
    (r"\.norm1\.", ".in_layers.0."),
    (r"\.conv1\.", ".in_layers.2."),
    (r"\.norm2\.", ".out_layers.0."),
    (r"\.conv2\.", ".out_layers.3."),
    (r"\.time_emb_proj\.", ".emb_layers.1."),
    (r"\.conv_shortcut\.", ".skip_connection."),
]
_VAE_INSIDE: list[Rule] = [
    (r"\.conv_norm_out\.", ".norm_out."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
    (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"attn_1\.group_norm\.", "attn_1.norm."),
    (r"attn_1\.to_([qkv])\.", r"attn_1.\1."),
    (r"attn_1\.to_out\.0\.", "attn_1.proj_out."),
]
_OPEN_CLIP: list[Rule] = [
    (r"^embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^embeddings\.token_embedding\.", "token_embedding."),
    (r"^text_projection\.weight$", "text_projection"),
    (r"^final_layer_norm\.", "ln_final."),
    (r"^encoder\.layers\.", "transformer.resblocks."),
    (r"\.layer_norm(\d)\.", r".ln_\1."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"\.self_attn\.out_proj\.", ".attn.out_proj."),
    (
        r"\.self_attn\.[qkv]_proj\.(weight|bias)$",
        r".attn.in_proj_\1",
    ),  # q, k, v lie in one tensor, a third each
]


def original(part: str, name: str, config: Config) -> str:
    """The original name of the weight that diffusers calls `name`, without the part's prefix."""
    if part == "vae":
        return _renamed(name, _vae_rules(config))
    if part in ("unet", "controlnet"):
        inside = _RESNET if ".resnets." in name else []
        return _renamed(name, [*inside, *_unet_rules(config)])
    name = name.removeprefix("text_model.")
    if config["hidden_act"] == "gelu":  # OpenCLIP's encoders; OpenAI's have quick_gelu
        return _renamed(name, _OPEN_CLIP)
    return f"text_model.{name}"


def _renamed(name: str, rules: list[Rule]) -> str:
    for pattern, new in rules:
        name = re.sub(pattern, new, name)
    return name


def _unet_rules(config: Config) -> list[Rule]:
    """Blocks are numbered in a row: one input convolution, then per level its layers and a
    resampling."""
    layers = config.get("layers_per_block", 2)
    levels = config.get("up_block_types", ())

    def down(m: re.Match[str]) -> str:
        return (
            f"input_blocks.{1 + int(m[1]) * (layers + 1) + int(m[3])}.{int(m[2] == 'attentions')}"
        )

    def downsampler(m: re.Match[str]) -> str:
        return f"input_blocks.{(int(m[1]) + 1) * (layers + 1)}.0.op"

    def up(m: re.Match[str]) -> str:
        return f"output_blocks.{int(m[1]) * (layers + 1) + int(m[3])}.{int(m[2] == 'attentions')}"

    def upsampler(m: re.Match[str]) -> str:
        place = 1 + levels[int(m[1])].startswith("CrossAttn")
        return f"output_blocks.{int(m[1]) * (layers + 1) + layers}.{place}.conv"

    return [
        (r"^time_embedding\.linear_1", "time_embed.0"),
        (r"^time_embedding\.linear_2", "time_embed.2"),
        (r"^add_embedding\.linear_1", "label_emb.0.0"),
        (r"^add_embedding\.linear_2", "label_emb.0.2"),
        (r"^conv_in", "input_blocks.0.0"),
        (r"^conv_norm_out", "out.0"),
        (r"^conv_out", "out.2"),
        (r"^down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)", down),
        (r"^down_blocks\.(\d+)\.downsamplers\.0\.conv", downsampler),
        (r"^mid_block\.resnets\.(\d)", lambda m: f"middle_block.{2 * int(m[1])}"),
        (r"^mid_block\.attentions\.0", "middle_block.1"),
        (r"^up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)", up),
        (r"^up_blocks\.(\d+)\.upsamplers\.0\.conv", upsampler),
        (r"^controlnet_cond_embedding\.conv_in", "input_hint_block.0"),
        (
            r"^controlnet_cond_embedding\.blocks\.(\d+)",
            lambda m: f"input_hint_block.{2 + 2 * int(m[1])}",
        ),
        (r"^controlnet_cond_embedding\.conv_out", "input_hint_block.14"),
        (r"^controlnet_down_blocks\.(\d+)", r"zero_convs.\1.0"),
        (r"^controlnet_mid_block", "middle_block_out.0"),
    ]


def _vae_rules(config: Config) -> list[Rule]:
    last = len(config["up_block_types"]) - 1
    return [
        *_VAE_INSIDE,
        (r"down_blocks\.(\d)\.resnets", r"down.\1.block"),
        (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d)\.resnets", lambda m: f"up.{last - int(m[1])}.block"),
        (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{last - int(m[1])}.upsample"),
    ]
