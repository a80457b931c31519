"""Single files in the original layout: the same networks, found without any network."""

import json
import re
import shutil
from functools import cache

import pytest
import torch
from safetensors.torch import load_file

from t2vz_core.models import single_file
from t2vz_core.models.checkpoints import empty_network
from t2vz_core.models.families import FAMILIES as ROWS
from t2vz_core.models.file_type import MODEL, kind
from t2vz_core.models.networks import ModelError, load
from t2vz_core.models.weights import read_config
from t2vz_core.wire.job import Control, Model
from tests.core import original_layout
from tests.core.random_networks import write_controlnet, write_model

FAMILIES = ("sd1", "sd2", "sdxl", "instruct")
PARAMETERS = {  # of the published models
    "sd1": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "sd2": {"unet": 865_910_724, "vae": 83_653_863, "text_encoder": 340_387_840},
    "sdxl": {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    },
}


@pytest.fixture(scope="module", params=FAMILIES)
def single(request, tmp_path_factory):
    """A family, its networks from a folder, and a single file of the same weights."""
    folder = write_model(tmp_path_factory.mktemp(request.param), request.param)
    networks = load(Model(str(folder)), (), "cpu")
    parts = {"unet": networks.unet, "vae": networks.vae, "text_encoder": networks.text.encoders[0]}
    if networks.family == "sdxl":
        parts["text_encoder_2"] = networks.text.encoders[1]
    configs = {part: read_config(folder / part / "config.json") for part in parts}
    weights = original_layout.model_weights(
        {p: (parts[p], configs[p]) for p in parts}, networks.family
    )
    return networks, configs, original_layout.write(folder / "single.safetensors", weights)


@pytest.fixture
def tiny_configs(single, tmp_path, monkeypatch):
    """Has the shipped configurations speak of the tiny networks."""
    networks, configs, _ = single
    shutil.copy(single_file.CONFIGS / "clip_merges.txt.gz", tmp_path)
    scheduler = read_config(single_file.CONFIGS / f"{networks.family}.json")["scheduler"]
    (tmp_path / f"{networks.family}.json").write_text(
        json.dumps({**configs, "scheduler": scheduler})
    )
    monkeypatch.setattr(single_file, "CONFIGS", tmp_path)


def equal(ours, theirs):
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[key], theirs[key]) for key in theirs
    )


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_configs")
def test_a_single_file_gives_the_networks_it_was_written_from(single):
    truth, _, path = single
    networks = load(Model(str(path)), (), "cpu")
    assert (networks.family, networks.is_instruct) == (truth.family, truth.is_instruct)
    pairs = [
        (networks.unet, truth.unet),
        (networks.vae, truth.vae),
        *zip(networks.text.encoders, truth.text.encoders),
    ]
    assert all(equal(ours.state_dict(), theirs.state_dict()) for ours, theirs in pairs)


@pytest.mark.usefixtures("tiny_configs")
@pytest.mark.parametrize("single", ["sd1"], indirect=True)
def test_a_merged_file_without_clips_prefix_is_read(single, tmp_path):
    truth, _, path = single
    weights = load_file(path)
    clip = "cond_stage_model.transformer."
    bare = {key.replace(f"{clip}text_model.", clip): w for key, w in weights.items()}
    assert bare.keys() != weights.keys()
    networks = load(
        Model(str(original_layout.write(tmp_path / "merge.safetensors", bare))), (), "cpu"
    )
    assert equal(networks.text.encoders[0].state_dict(), truth.text.encoders[0].state_dict())


@pytest.mark.slow
def test_diffusers_reads_the_same_from_these_files(single):
    from diffusers.loaders import single_file_utils as theirs

    networks, configs, path = single
    file = load_file(path)
    assert equal(
        theirs.convert_ldm_unet_checkpoint(file, configs["unet"]), networks.unet.state_dict()
    )
    assert equal(theirs.convert_ldm_vae_checkpoint(file, configs["vae"]), networks.vae.state_dict())
    for i, encoder in enumerate(networks.text.encoders):
        if networks.family == "sd2" or i == 1:
            prefix = (
                "cond_stage_model.model."
                if networks.family == "sd2"
                else "conditioner.embedders.1.model."
            )
            converted = theirs.convert_open_clip_checkpoint(encoder, file, prefix)
        else:
            converted = theirs.convert_ldm_clip_checkpoint(file)
        bare = {key.removeprefix("text_model."): weight for key, weight in converted.items()}
        assert equal(
            bare, {key.removeprefix("text_model."): w for key, w in encoder.state_dict().items()}
        )


@pytest.mark.parametrize("family", PARAMETERS)
def test_the_shipped_configurations_are_those_of_the_published_models(family):
    configs = read_config(single_file.CONFIGS / f"{family}.json")
    for part, count in PARAMETERS[family].items():
        network = empty_network(ROWS[family].classes[part], configs[part])
        assert sum(weight.numel() for weight in network.parameters()) == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("sd1", "model.diffusion_model.output_blocks.11.0.skip_connection.weight"),
        ("sd1", "model.diffusion_model.output_blocks.8.2.conv.weight"),
        ("sd1", "first_stage_model.decoder.up.3.upsample.conv.weight"),
        ("sd1", "cond_stage_model.transformer.text_model.encoder.layers.11.mlp.fc2.weight"),
        ("sd2", "model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"),
        ("sd2", "cond_stage_model.model.transformer.resblocks.22.attn.in_proj_weight"),
        ("sdxl", "model.diffusion_model.label_emb.0.2.bias"),
        ("sdxl", "model.diffusion_model.middle_block.1.transformer_blocks.9.ff.net.0.proj.weight"),
        ("sdxl", "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias"),
        ("sdxl", "conditioner.embedders.1.model.text_projection"),
    ],
)
def test_published_names_are_asked_for(family, name):
    assert name in names_of(family)


@pytest.mark.slow
@pytest.mark.parametrize("family", PARAMETERS)
def test_published_names_with_all_that_training_leaves_make_a_whole_model(family):
    names = names_of(family)
    averages = {"model_ema." + name.removeprefix("model.").replace(".", "") for name in names}
    left = {
        "model_ema.decay",
        "betas",
        "lvlb_weights",
        "denoiser.sigmas",
        "global_step",
        "v_pred",
        "ztsnr",
    }
    assert kind(names | averages | left) == MODEL


@cache
def names_of(family):
    configs = read_config(single_file.CONFIGS / f"{family}.json")
    parts = {
        part: (empty_network(ROWS[family].classes[part], configs[part]), configs[part])
        for part in PARAMETERS[family]
    }
    return set(original_layout.model_weights(parts, family))


@pytest.mark.slow
def test_a_controlnet_is_read_from_a_single_file_in_any_naming(tmp_path):
    folder, control = write_model(tmp_path / "model"), write_controlnet(tmp_path / "control")
    truth = load_file(control / "diffusion_pytorch_model.safetensors")
    namings = [
        truth,
        *(original_layout.part_weights("controlnet", truth, {}, p) for p in ("control_model.", "")),
    ]
    files = [
        original_layout.write(tmp_path / f"{i}.safetensors", naming)
        for i, naming in enumerate(namings)
    ]
    networks = load(
        Model(str(folder)), tuple(Control(model=str(path)) for path in (control, *files)), "cpu"
    )
    assert len(networks.controlnets) == 4
    assert all(equal(network.state_dict(), truth) for network in networks.controlnets)


@pytest.mark.usefixtures("tiny_configs")
@pytest.mark.parametrize("single", ["sd1"], indirect=True)
@pytest.mark.parametrize("part", ["UNet", "VAE", "text encoder"])
def test_a_file_without_a_part_says_which(single, tmp_path, part):
    weights = load_file(single[2])
    for name in [name for name in weights if name.startswith(single_file._PARTS[part])]:
        del weights[name]
    path = original_layout.write(tmp_path / "pruned.safetensors", weights)
    with pytest.raises(ModelError, match=f"pruned.safetensors: holds no {part}"):
        load(Model(str(path)), (), "cpu")


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_configs")
@pytest.mark.parametrize(
    ("single", "spellings"),
    [
        (
            "sd1",
            {
                r"(mid\.attn_1\.)([qkv])\.": r"\1to_\2.",
                r"(mid\.attn_1\.)proj_out\.": r"\1to_out.0.",
            },
        ),
        ("sd2", {r"cond_stage_model\.model\.": "conditioner.embedders.0.model."}),
        ("sdxl", {r"text_projection$": "text_projection.weight"}),
    ],
    indirect=["single"],
)
def test_the_spellings_of_other_writers_are_read(single, spellings, tmp_path):
    truth, _, path = single
    weights = load_file(path)
    for pattern, new in spellings.items():
        weights = {re.sub(pattern, new, name): weight for name, weight in weights.items()}
    flat = {
        name: w[:, :, 0, 0] if ".mid.attn_1.to_" in name and w.ndim == 4 else w
        for name, w in weights.items()
    }
    flat |= {name: w.T for name, w in flat.items() if name.endswith("text_projection.weight")}
    assert flat.keys() != load_file(path).keys()
    networks = load(Model(str(original_layout.write(tmp_path / "a.safetensors", flat))), (), "cpu")
    assert equal(networks.vae.state_dict(), truth.vae.state_dict())
    for ours, theirs in zip(networks.text.encoders, truth.text.encoders, strict=True):
        assert equal(ours.state_dict(), theirs.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("down", "middle", "depths"),
    [
        (["DownBlock2D"] * 3, "UNetMidBlock2D", [1, 1, 1]),
        (
            ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "UNetMidBlock2DCrossAttn",
            [0, 0, 1],
        ),
    ],
)
def test_sdxls_small_controlnets_are_read_from_a_single_file(tmp_path, down, middle, depths):
    from diffusers.models.controlnets.controlnet import ControlNetModel

    folder, large = (
        write_model(tmp_path / "model", "sdxl"),
        write_controlnet(tmp_path / "large", "sdxl"),
    )
    config = read_config(large / "config.json")
    small = {
        "down_block_types": down,
        "mid_block_type": middle,
        "transformer_layers_per_block": depths,
    }
    truth = ControlNetModel.from_config({**config, **small}).state_dict()
    path = original_layout.write(tmp_path / "small.safetensors", truth)
    (network,) = load(Model(str(folder)), (Control(model=str(path)),), "cpu").controlnets
    assert equal(network.state_dict(), truth)


@pytest.mark.parametrize(
    ("marks", "is_zero_snr"), [(("v_pred",), False), (("v_pred", "ztsnr"), True)]
)
@pytest.mark.usefixtures("tiny_configs")
@pytest.mark.parametrize("single", ["sd2"], indirect=True)
def test_marks_in_a_file_say_that_it_predicts_v_and_down_to_pure_noise(
    single, tmp_path, marks, is_zero_snr
):
    weights = load_file(single[2]) | {mark: torch.zeros(1) for mark in marks}
    path = original_layout.write(tmp_path / "a.safetensors", weights)
    config = single_file.open_file(path).configs["scheduler"]
    assert config["prediction_type"] == "v_prediction"
    assert config["rescale_betas_zero_snr"] == is_zero_snr


def test_the_shipped_tokenizer_numbers_tokens_as_clip_does():
    tokenizer = single_file.tokenizer(pads_with_end=False)
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert (len(tokenizer), tokenizer.pad_token_id) == (49408, 0)
