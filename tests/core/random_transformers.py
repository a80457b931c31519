"""Tiny transformers of random weights in the layouts of their published files, for tests without
any download.

Each keeps the shape of its model: the kinds and order of blocks, the configuration's quirks and the
file names.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from t2vz_core.models import qwen
from t2vz_core.models.z_image import original_name

from .original_layout import part_weights
from .random_networks import write_json

WIDTH = 24  # of the text encoder
DIM = 32  # of the transformer
MERGES = 500  # that the tokenizer knows, the first of Qwen's

ZIMAGE: dict[str, Any] = {
    "all_patch_size": [2],
    "all_f_patch_size": [1],
    "in_channels": 16,
    "dim": DIM,
    "n_layers": 4,
    "n_refiner_layers": 2,
    "n_heads": 2,
    "n_kv_heads": 2,
    "cap_feat_dim": WIDTH,
    "axes_dims": [4, 6, 6],
    "axes_lens": [1536, 512, 512],
}
VAE: dict[str, Any] = {
    "block_out_channels": [16, 16, 16, 16],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "norm_num_groups": 8,
    "layers_per_block": 2,
    "latent_channels": 16,
    "sample_size": 64,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
QWEN: dict[str, Any] = {
    "model_type": "qwen3",
    "vocab_size": 256 + MERGES + 3,
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
    "rope_theta": 1000000,
    "tie_word_embeddings": True,
}
SCHEDULER = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": False,
}
INDEX = {
    "_class_name": "ZImagePipeline",
    "transformer": ["diffusers", "ZImageTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "Qwen3Model"],
    "tokenizer": ["transformers", "Qwen2Tokenizer"],
}
CHAT = (  # what Qwen3's template makes of one question
    "{% for one in messages %}<|im_start|>{{ one.role }}\n{{ one.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
CONFIGS = {"transformer": ZIMAGE, "vae": VAE, "text_encoder": QWEN, "scheduler": SCHEDULER}


def write_z_image(folder: Path, seed: int = 0) -> Path:
    """Writes a whole diffusers folder of Z-Image and returns it."""
    from diffusers import AutoencoderKL, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    transformer = ZImageTransformer2DModel(**ZIMAGE)
    for name, weight in transformer.named_parameters():
        if "pad_token" in name:  # zeros, untrained
            torch.nn.init.normal_(weight)
    transformer.save_pretrained(folder / "transformer")
    AutoencoderKL(**VAE).save_pretrained(folder / "vae")
    encoder = Qwen3ForCausalLM(Qwen3Config(**QWEN))  # as published: with its head's names
    encoder.save_pretrained(folder / "text_encoder")
    qwen.of_merges(write_merges(folder)).save_pretrained(folder / "tokenizer")
    (folder / "tokenizer/chat_template.jinja").write_text(CHAT)
    write_json(folder / "scheduler/scheduler_config.json", SCHEDULER)
    write_json(folder / "model_index.json", INDEX)
    return folder


def write_merges(folder: Path) -> Path:
    """Writes the beginning of Qwen's merges as the file that is shipped."""
    whole = gzip.decompress((qwen.CONFIGS / "qwen_merges.txt.gz").read_bytes())
    path = folder / "qwen_merges.txt.gz"
    path.write_bytes(gzip.compress(b"".join(whole.splitlines(keepends=True)[:MERGES])))
    return path


def write_single_files(folder: Path, networks: Any, *, in_one: bool = False) -> Path:
    """Writes Z-Image's networks as ComfyUI has them, apart or in one file; returns the
    transformer's."""
    parts = single_files(networks)
    if in_one:
        prefixes = {"diffusion_models": "model.diffusion_model.", "vae": "vae."}
        prefixes["text_encoders"] = "text_encoders.qwen3_4b.transformer."
        whole = {prefixes[part] + k: v for part, some in parts.items() for k, v in some.items()}
        return _write(folder / "z_image.safetensors", whole)
    return write_parts(folder, parts)


def write_parts(folder: Path, parts: dict[str, dict[str, Tensor]]) -> Path:
    """Writes parts apart, as ComfyUI's folders have them; returns the transformer's file."""
    names = {"text_encoders": "qwen_3_4b", "vae": "ae", "diffusion_models": "z_image_turbo"}
    paths = [
        _write(folder / part / f"{name}.safetensors", parts[part]) for part, name in names.items()
    ]
    return paths[-1]


def single_files(networks: Any) -> dict[str, dict[str, Tensor]]:
    """The tensors of the transformer, VAE and text encoder under the names of single files."""
    fused: dict[str, list[Tensor]] = {}
    for name, weight in networks.denoiser.state_dict().items():  # q, k, v in this order
        fused.setdefault(original_name(name), []).append(weight)
    encoder = networks.text.encoders[0].state_dict()
    return {
        "diffusion_models": {name: torch.cat(some) for name, some in fused.items()},
        "vae": part_weights("vae", networks.vae.state_dict(), VAE, ""),
        "text_encoders": {f"model.{name}": weight for name, weight in encoder.items()},
    }


CONTROLS = {  # versions of the Fun-Union ControlNet, as small as the transformer
    "1.0": {"control_layers_places": [0, 2], "control_in_dim": 16},
    "2.0": {
        "control_layers_places": [0, 1, 2, 3],
        "control_refiner_layers_places": [0, 1],
        "control_in_dim": 33,
        "add_control_noise_refiner": "control_layers",
    },
    "2.1": {
        "control_layers_places": [0, 1, 2, 3],
        "control_refiner_layers_places": [0, 1],
        "control_in_dim": 33,
        "add_control_noise_refiner": "control_noise_refiner",
    },
}


def control_config(version: str) -> dict[str, Any]:
    """The arguments of a tiny ZImageControlNetModel."""
    shared = {key: ZIMAGE[key] for key in ("dim", "n_refiner_layers", "n_heads", "n_kv_heads")}
    return {**shared, **CONTROLS[version]}


def write_fun_union(path: Path, version: str = "2.1", seed: int = 1) -> Path:
    """Writes a Fun-Union ControlNet whose outputs are not zero, though untrained, as one file."""
    from diffusers import ZImageControlNetModel

    torch.manual_seed(seed)
    network = ZImageControlNetModel(**control_config(version))
    for name, weight in network.named_parameters():
        if "_proj." in name:
            torch.nn.init.normal_(weight, std=0.1)
    weights = dict(network.state_dict())
    if version == "2.0":  # published with a refiner that was left zero
        other = ZImageControlNetModel(**control_config("2.1")).state_dict()
        more = {k: torch.zeros_like(v) for k, v in other.items() if "control_noise_refiner" in k}
        weights |= more
    return _write(path, weights)


def _write(path: Path, weights: dict[str, Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous().clone() for name, weight in weights.items()}, path)
    return path
