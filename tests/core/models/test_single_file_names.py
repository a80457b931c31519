"""Our names of single files' weights beside those of diffusers' own conversion."""

import json

import pytest
import torch
from diffusers.loaders import single_file_utils as theirs

from t2vz_core.models.checkpoints import empty_network
from t2vz_core.models.families import FAMILIES
from t2vz_core.models.single_file import CONFIGS
from t2vz_core.models.single_file_names import PREFIXES, SHARED_PREFIXES, original


def shipped(family: str, part: str):
    """The configuration that is shipped, and a network of it without weights."""
    config = json.loads((CONFIGS / f"{family}.json").read_text("utf-8"))[part]
    with torch.device("meta"):
        return config, empty_network(FAMILIES[family].classes[part], config)


def file_of(family: str, part: str) -> tuple[dict, dict, object]:
    """By our names: a whole model's file with this part; and which weight each name is of."""
    config, network = shipped(family, part)
    prefix = (SHARED_PREFIXES | PREFIXES[family])[part]
    weights = {name: weight for name, weight in network.state_dict().items()}
    names = {name: prefix + original(part, name, config) for name in weights}
    return config, {names[name]: weight for name, weight in weights.items()}, network


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_a_unets_weights_have_the_names_that_diffusers_reads(family):
    config, file, unet = file_of(family, "unet")
    converted = theirs.convert_ldm_unet_checkpoint(file, config)
    expected = unet.state_dict()
    assert converted.keys() == expected.keys()
    for name in expected:
        assert converted[name] is file[SHARED_PREFIXES["unet"] + original("unet", name, config)]


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_vaes_weights_have_the_names_that_diffusers_reads(family):
    config, file, vae = file_of(family, "vae")
    converted = theirs.convert_ldm_vae_checkpoint(file, config)
    expected = vae.state_dict()
    assert converted.keys() == expected.keys()
    for name, weight in converted.items():
        assert weight.shape == expected[name].shape, name


def test_a_clip_encoders_weights_have_the_names_that_diffusers_reads():
    _, file, encoder = file_of("sd1", "text_encoder")
    converted = theirs.convert_ldm_clip_checkpoint(file)
    expected = {f"text_model.{name.removeprefix('text_model.')}" for name in encoder.state_dict()}
    assert set(converted) - {"text_model.embeddings.position_ids"} == expected


def test_the_names_are_compared_and_not_taken_for_granted():
    config, file, _ = file_of("sd1", "unet")
    wrong = {name.replace("time_embed.0", "time_embed.1"): weight for name, weight in file.items()}
    assert len(theirs.convert_ldm_unet_checkpoint(wrong, config)) == len(file) - 2
