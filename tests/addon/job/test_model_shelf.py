"""What lies among the models is told by its table of contents, and offered where it fits."""

import json

import pytest

from blender_addon.job import model_shelf
from blender_addon.job.model_shelf import BASE, CONTROLNET, LORA

SD1_END = "cond_stage_model.transformer.text_model.final_layer_norm.weight"


def safetensors(path, shapes):
    """A file with this table of contents and no weights."""
    table = {name: {"dtype": "F16", "shape": shape, "data_offsets": [0, 0]}
             for name, shape in shapes.items()}  # fmt: skip
    body = json.dumps(table).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(body).to_bytes(8, "little") + body)


def base(channels=4):
    first = "model.diffusion_model.input_blocks.0.0.weight"
    return {first: [320, channels, 3, 3], SD1_END: [768]}


def controlnet(width):
    return {
        "control_model.input_hint_block.0.weight": [16, 3, 3, 3],
        "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [320, width],
    }


def lora(width):
    return {"lora_unet_down_blocks_0_attn2_to_k.lora_down.weight": [4, width]}


@pytest.fixture
def shelf(tmp_path):
    safetensors(tmp_path / "dream.safetensors", base())
    safetensors(tmp_path / "pix2pix.safetensors", base(8))
    safetensors(tmp_path / "nets/control_depth.safetensors", controlnet(768))
    safetensors(tmp_path / "nets/xl-openpose.safetensors", controlnet(2048))
    safetensors(tmp_path / "ink.safetensors", lora(768))
    (tmp_path / "notes.safetensors").write_bytes(b"no")
    (tmp_path / "readme.txt").touch()
    return {model.name: model for model in model_shelf.models_in(tmp_path)}


def test_each_file_is_what_it_is_and_others_are_passed_over(shelf):
    assert {name: model.kind for name, model in shelf.items()} == {
        "dream.safetensors": BASE,
        "pix2pix.safetensors": BASE,
        "ink.safetensors": LORA,
        "nets/control_depth.safetensors": CONTROLNET,
        "nets/xl-openpose.safetensors": CONTROLNET,
    }
    assert shelf["dream.safetensors"].badge == "SD 1, 512 px, 0.0 GB"
    assert shelf["ink.safetensors"].family == "sd1"
    assert shelf["pix2pix.safetensors"].is_instruct and not shelf["dream.safetensors"].is_instruct


def test_a_diffusers_folder_is_one_model(tmp_path):
    (tmp_path / "mine/unet").mkdir(parents=True)
    (tmp_path / "mine/model_index.json").write_text("{}")
    (tmp_path / "mine/unet/config.json").write_text('{"in_channels": 8, "sample_size": 64}')
    (tmp_path / "net").mkdir()
    config = {"_class_name": "ControlNetModel", "cross_attention_dim": 2048}
    (tmp_path / "net/config.json").write_text(json.dumps(config))
    mine, net = model_shelf.models_in(tmp_path)
    assert (mine.kind, mine.is_instruct, net.kind, net.family) == (BASE, True, CONTROLNET, "sdxl")


def test_a_controlnet_is_found_for_mode_and_family(shelf):
    models = list(shelf.values())
    assert model_shelf.controlnet_for(models, "depth", "sd1").name.endswith("depth.safetensors")
    assert model_shelf.controlnet_for(models, "depth", "sdxl") is None
    assert model_shelf.controlnet_for(models, "pose", "sdxl") is not None


def test_modes_without_a_controlnet_say_what_they_need(shelf):
    models = list(shelf.values())
    assert model_shelf.missing_for(models, "depth", "dream", "sd1") == ""
    assert model_shelf.missing_for(models, "pose", "dream", "sd1") == "needs a ControlNet for SD 1"
    assert model_shelf.missing_for(models, "text", "dream", "sd1") == ""
    assert model_shelf.missing_for([], "pose", "demo", "") == ""
    said = "the demo model knows depth and pose alone"
    assert model_shelf.missing_for([], "edges", "demo", "") == said


def test_models_of_other_programs_are_found_in_the_home_folder(tmp_path):
    (tmp_path / "ComfyUI/models").mkdir(parents=True)
    (tmp_path / ".cache/huggingface/hub").mkdir(parents=True)
    found = model_shelf.other_homes(tmp_path, {})
    assert found == [tmp_path / "ComfyUI/models", tmp_path / ".cache/huggingface/hub"]
    said = {"HF_HUB_CACHE": str(tmp_path)}
    assert model_shelf.other_homes(tmp_path / "empty", said) == [tmp_path]
