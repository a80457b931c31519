"""What a file is, by the names that published files have."""

import pytest
import torch
from safetensors.torch import save_file

from t2vz_core.models.file_type import kind
from t2vz_core.models.networks import ModelError, load
from t2vz_core.wire.job import Control, Lora, Model
from tests.core.random_networks import write_model

KINDS = {
    "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": "a LoRA",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight": (
        "a LoRA"
    ),
    "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_linear_layer.up.weight": "a LoRA",
    "unet.mid_block.attentions.0.proj_in.lora_A.weight": "a LoRA",
    "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": "a LoRA",
    "lora_unet_mid_block_attentions_0_proj_in.hada_w1_a": "a LoRA",
    "control_model.zero_convs.0.0.weight": "a ControlNet",
    "input_hint_block.0.weight": "a ControlNet",
    "controlnet_cond_embedding.conv_in.weight": "a ControlNet",
    "lora_controlnet": "a Control-LoRA",
    "task_embedding": "a union ControlNet",
    "lllite_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.conditioning1.0.weight": (
        "a ControlNet-LLLite"
    ),
    "adapter.body.0.resnets.0.block1.weight": "a T2I-Adapter",
    "body.0.block1.weight": "a T2I-Adapter",
    "ip_adapter.1.to_k_ip.weight": "an IP-Adapter",
    "down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": (
        "an AnimateDiff motion module"
    ),
    "model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale": "a Flux network",
    "double_blocks.0.img_attn.norm.key_norm.scale": "a Flux network",
    "single_transformer_blocks.0.attn.norm_k.weight": "a Flux network",
    "model.diffusion_model.joint_blocks.0.context_block.adaLN_modulation.1.bias": (
        "a Stable Diffusion 3 network"
    ),
    "model.diffusion_model.noise_refiner.0.attention.qkv.weight": "a Z-Image network",
    "noise_refiner.0.attention.to_q.weight": "a Z-Image network",
    "control_all_x_embedder.2-1.weight": "a Z-Image ControlNet",
    "model.layers.0.self_attn.q_norm.weight": "a text encoder",
    "diffusion_model.layers.0.attention.to_q.lora_A.weight": "a LoRA",
    "clip_txt_mapper.weight": "a Stable Cascade network",
    "adaln_single.emb.timestep_embedder.linear_1.weight": "a diffusion transformer",
    "blocks.0.scale_shift_table": "a diffusion transformer",
    "model.diffusion_model.head.modulation": "a diffusion transformer",
    "edm_mean": "Playground 2.5",
    "edm_vpred.sigma_max": "a CosXL model",
    "first_stage_model.decoder.conv_in.weight": "a whole model",
    "decoder.mid.attn_1.k.weight": "a VAE",
    "encoder.down_blocks.0.resnets.0.conv1.weight": "a VAE",
    "time_embedding.linear_1.weight": "a UNet alone",
    "text_model.embeddings.token_embedding.weight": "a text encoder",
    "embeddings.token_embedding.weight": "a text encoder",
    "encoder.block.0.layer.0.SelfAttention.k.weight": "a text encoder",
    "vision_model.embeddings.class_embedding": "an image encoder",
    "emb_params": "a textual inversion",
    "model.1.sub.0.RDB1.conv1.0.weight": "an upscaler",
    "320.0": "",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("name", KINDS)
def test_a_name_tells_what_its_file_is(name):
    assert kind([name]) == KINDS[name]


def test_the_refiner_is_told_from_sd_turbo():
    both = [
        "conditioner.embedders.0.model.ln_final.weight",
        "model.diffusion_model.input_blocks.0.0.weight",
    ]
    assert kind(both) == "a whole model"
    assert kind([*both, "model.diffusion_model.label_emb.0.0.weight"]) == "the SDXL refiner"


@pytest.mark.slow
def test_a_file_in_the_wrong_place_says_what_it_is_and_where_it_belongs(model, tmp_path):
    lora, control, other = (
        tmp_path / f"{name}.safetensors" for name in ("lora", "control", "other")
    )
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(1)}, lora)
    save_file({"control_model.x": torch.zeros(1)}, control)
    save_file({"body.0.block1.weight": torch.zeros(1)}, other)
    for file, role, words in (
        (lora, "model", "is a LoRA, not a whole model"),
        (lora, "control", "is a LoRA, not a ControlNet; name it among the LoRAs."),
        (control, "model", "name it as a control's model."),
        (control, "lora", "is a ControlNet, not a LoRA"),
        (control, "control", "is not a ControlNet that this engine reads"),
        (other, "control", "is a T2I-Adapter, not a ControlNet; choose another."),
        (other, "lora", "is a T2I-Adapter, not a LoRA; choose another."),
    ):
        base = file if role == "model" else model
        loras = (Lora(str(file)),) if role == "lora" else ()
        controls = (Control(model=str(file)),) if role == "control" else ()
        with pytest.raises(ModelError) as caught:
            load(Model(str(base), loras), controls, "cpu")
        assert str(caught.value).startswith(f"{file}: ")
        assert words in str(caught.value)
