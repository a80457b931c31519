"""Diffusers folders to networks, against diffusers' own loading."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from t2vz_core.method.solvers import Solver
from t2vz_core.models.networks import load
from t2vz_core.wire.job import Control, Lora, Model, Sampling
from tests.core.random_networks import write_controlnet, write_model

FAMILIES = ("sd1", "sd2", "sdxl", "instruct")


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """One random model of each family."""
    root = tmp_path_factory.mktemp("models")
    return {family: write_model(root / family, family) for family in FAMILIES}


@pytest.fixture(scope="session")
def pipelines(folders):
    from diffusers import DiffusionPipeline

    return {
        f: DiffusionPipeline.from_pretrained(path, local_files_only=True)
        for f, path in folders.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_gives_the_networks_diffusers_gives(folders, pipelines, family):
    networks, pipeline = load(Model(str(folders[family])), (), "cpu"), pipelines[family]
    pairs = [(networks.unet, pipeline.unet), (networks.vae, pipeline.vae)]
    pairs += zip(
        networks.text.encoders, [pipeline.text_encoder, getattr(pipeline, "text_encoder_2", None)]
    )
    for ours, theirs in pairs:
        mine, yours = ours.state_dict(), theirs.state_dict()
        assert mine.keys() == yours.keys()
        assert all(torch.equal(mine[key], yours[key]) for key in yours)
    assert networks.family == family.replace("instruct", "sd1")
    assert networks.is_instruct == (family == "instruct")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_prompts_embed_as_in_diffusers(folders, pipelines, family):
    texts = ["a red ball on grass", "Blue  cube, striped \n 🏀"]
    embedding = load(Model(str(folders[family])), (), "cpu").embed(texts)
    theirs = pipelines[family].encode_prompt(
        texts, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    torch.testing.assert_close(embedding.tokens, theirs[0])
    if family == "sdxl":
        torch.testing.assert_close(embedding.pooled, theirs[2])


def test_a_control_gets_its_network(folders, tmp_path):
    control = Control(model=str(write_controlnet(tmp_path / "depth")))
    networks = load(Model(str(folders["sd1"])), (control, control), "cpu")
    assert len(networks.controlnets) == 2
    assert (
        networks.controlnets[0].config.cross_attention_dim
        == networks.unet.config.cross_attention_dim
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "lora", "first"),
    [
        ("sd_xl_turbo_1.0", "lora", 999),
        ("sdxl", "sdxl_lightning_4step_lora", 999),
        ("sdxl", "Hyper-SDXL-8steps-lora", 999),
        ("sdxl", "hyperrealism", 751),
    ],
)
def test_a_distilled_model_or_lora_begins_at_pure_noise(folders, tmp_path, model, lora, first):
    name = "lora_unet_mid_block_resnets_0_conv1"
    weights = {
        f"{name}.lora_down.weight": torch.zeros(1, 64, 3, 3),
        f"{name}.lora_up.weight": torch.zeros(64, 1, 1, 1),
    }
    save_file(weights, tmp_path / f"{lora}.safetensors")
    shutil.copytree(folders["sdxl"], tmp_path / model)
    loras = (Lora(str(tmp_path / f"{lora}.safetensors")),)
    networks = load(Model(str(tmp_path / model), loras), (), "cpu")
    assert Solver(Sampling(steps=4, scheduler="euler"), networks.scheduler_config).times[0] == first


def write_style(path, metadata=None):
    """A LoRA that changes nothing."""
    name = "lora_unet_mid_block_resnets_0_conv1"
    weights = {
        f"{name}.lora_down.weight": torch.zeros(1, 64, 3, 3),
        f"{name}.lora_up.weight": torch.zeros(64, 1, 1, 1),
    }
    save_file(weights, path, metadata)
    return Lora(str(path))


def test_a_schedule_that_a_loras_name_has_changed_is_said(folders, tmp_path):
    lora = write_style(tmp_path / "Lightning_Storm.safetensors")
    networks = load(Model(str(folders["sdxl"]), (lora,)), (), "cpu")
    assert networks.scheduler_config["timestep_spacing"] == "trailing"
    assert (
        "Lightning_Storm.safetensors: by its name it was made for a few steps" in networks.notes[0]
    )


def test_a_style_that_was_trained_on_pictures_of_lightning_changes_no_schedule(folders, tmp_path):
    trained = {"ss_tag_frequency": '{"10_storm": {"lightning": 20}}'}
    lora = write_style(tmp_path / "Lightning_Storm_Style.safetensors", trained)
    networks = load(Model(str(folders["sdxl"]), (lora,)), (), "cpu")
    assert networks.scheduler_config["timestep_spacing"] == "leading"
    assert networks.notes == ()


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        (torch.float16, "choose precision float32, or bfloat16"),
        (torch.bfloat16, "choose precision float32."),
        (torch.float32, "lower the guidance, or the weights of its LoRAs"),
    ],
)
def test_the_advice_where_numbers_are_lost_is_not_what_holds_already(folders, dtype, said):
    networks = replace(load(Model(str(folders["sd1"])), (), "cpu"), dtype=dtype)
    assert networks.why_lost().startswith(said)


def test_weights_that_are_no_numbers_are_blamed_themselves(folders):
    networks = load(Model(str(folders["sd1"])), (), "cpu")
    networks.unet.conv_in.weight.data[0, 0] = torch.nan
    assert networks.why_lost().startswith("the denoiser's weights hold values that are no numbers")


def test_an_image_survives_as_diffusers_decodes_it(folders, pipelines):
    networks, vae = load(Model(str(folders["sd1"])), (), "cpu"), pipelines["sd1"].vae
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), dtype=np.uint8)
    latents = networks.encode(images)
    planes = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        codes = vae.encode(planes).latent_dist.mode()
        expected = (vae.decode(codes).sample / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1) * 255
    torch.testing.assert_close(latents, codes * 0.18215, rtol=1e-4, atol=1e-5)
    for image, truth in zip(networks.decode(latents), expected.numpy(), strict=True):
        assert image.dtype == np.uint8
        assert np.abs(image - truth).max() <= 1
