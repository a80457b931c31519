"""The models here are listed with what they are, or with why a job with them is refused."""

import json
import math
import os
import shutil
import tracemalloc

import pytest
import torch
from safetensors.torch import load_file, save_file

from t2vz_core.models.inventory import models_found
from t2vz_core.models.networks import ModelError, load
from t2vz_core.models.single_file import UNET_START
from t2vz_core.wire import homes
from t2vz_core.wire.job import Model
from t2vz_core.wire.model_facts import TELLTALES
from tests.core.random_networks import write_controlnet, write_model

WHOLE = {UNET_START: [320, 4, 3, 3], "first_stage_model.x": [1], TELLTALES["sd1"][0]: [1]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(homes.MODELS_VARIABLE, str(tmp_path))
    return write_model(tmp_path / "My Model")


def write_file(path, shapes):
    path.parent.mkdir(exist_ok=True)
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
    return path


def lines(home):
    """What is said of the models in this folder, not of the demo's."""
    return [line for line in models_found(home) if line.startswith(str(home))]


def test_the_models_here_are_listed_with_what_they_are(folder):
    here = folder.parent
    (here / "notes.txt").touch()
    (here / "broken.safetensors").touch()
    (here / "old.ckpt").write_bytes(b"PK")
    write_controlnet(here / "control")
    write_file(here / "loras/a.safetensors", {"lora_unet_x.lora_down.weight": [1]})
    write_file(here / "vae.safetensors", {"encoder.conv_in.weight": [1]})
    write_file(here / "whole.safetensors", WHOLE)
    pickle = "is a pickle, which can run code when it is read; take the model's .safetensors, "
    assert lines(here) == [
        f"{folder}  (StableDiffusionPipeline)",
        f"{here / 'broken.safetensors'}: is no safetensors file, or cut off; "
        "copy or download it again.",
        f"{here / 'control'}  (ControlNetModel)",
        f"{here / 'loras/a.safetensors'}  (a LoRA)",
        f"{here / 'old.ckpt'}: {pickle}or allow pickles if you trust where it came from.",
        f"{here / 'vae.safetensors'}  (a VAE, read only beside a model's file that lacks it)",
        f"{here / 'whole.safetensors'}  (a whole model)",
    ]


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("first_stage_model.x", "holds no VAE"),
        (TELLTALES["sd1"][0], "holds no text encoder"),
        (UNET_START, "holds no UNet"),
    ],
)
def test_a_file_without_a_part_is_listed_as_what_a_job_says_of_it(tmp_path, lacking, said):
    path = write_file(
        tmp_path / "m/a.safetensors", {name: WHOLE[name] for name in WHOLE if name != lacking}
    )
    (line,) = lines(path.parent)
    assert said in line
    with pytest.raises(ModelError) as refused:
        load(Model(str(path)), (), "cpu")
    assert str(refused.value) == line


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("model_ema.diffusion_modelinput_blocks00weight",),
            "of no known kind, which no job can name",
        ),
        (("input_blocks.0.0.weight", "time_embedding.x"), "is a UNet alone, which no job can name"),
        (("rdb1.x",), "is an upscaler, which no job can name"),
    ],
)
def test_a_file_that_no_job_can_name_is_said_to_be_so(tmp_path, names, said):
    write_file(tmp_path / "a.safetensors", {name: [1] for name in names})
    assert said in lines(tmp_path)[0]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: shutil.rmtree(folder / "vae"), "vae/config.json: cannot be read"),
        (lambda folder: shutil.rmtree(folder / "text_encoder"), "text_encoder/config.json"),
        (
            lambda folder: (folder / "vae/diffusion_pytorch_model.safetensors").rename(
                folder / "vae/diffusion_pytorch_model.non_ema.safetensors"
            ),
            "vae: holds no weights",
        ),
        (
            lambda folder: os.truncate(folder / "vae/diffusion_pytorch_model.safetensors", 2000),
            "is no safetensors file, or cut off",
        ),
    ],
)
def test_a_folder_without_a_part_is_not_called_fine(folder, spoil, said):
    spoil(folder)
    (line,) = lines(folder.parent)
    assert said in line and "StableDiffusionPipeline" not in line


def test_a_shard_that_is_missing_is_named(folder):
    unet = folder / "unet/diffusion_pytorch_model.safetensors"
    weights = load_file(unet)
    unet.unlink()
    shard = "diffusion_pytorch_model-00001-of-00002.safetensors"
    save_file(weights, unet.with_name(shard))
    other = shard.replace("00001", "00002", 1)
    index = {"weight_map": {**dict.fromkeys(weights, shard), next(iter(weights)): other}}
    unet.with_name(f"{unet.name}.index.json").write_text(json.dumps(index))
    (line,) = lines(folder.parent)
    assert f"{other}: cannot be read" in line


def test_listing_reads_no_weights(tmp_path):
    path = tmp_path / "large.safetensors"
    table, end = {}, 0
    for name, shape in {**WHOLE, "first_stage_model.x": [7 << 30]}.items():
        start, end = end, end + math.prod(shape)
        table[name] = {"dtype": "U8", "shape": shape, "data_offsets": [start, end]}
    body = json.dumps(table).encode()
    path.write_bytes(len(body).to_bytes(8, "little") + body)
    os.truncate(path, 8 + len(body) + end)
    tracemalloc.start()
    try:
        assert f"{path}  (a whole model)" in models_found(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_a_folder_that_may_not_be_entered_is_passed_over(folder, monkeypatch):
    (folder.parent / "lost+found").mkdir()
    stat = os.stat

    def guarded(path, *args, **kwargs):
        if "lost+found/" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", guarded)
    assert models_found(folder.parent)[-1].startswith(str(folder))


def test_every_part_of_the_demo_model_goes_through_the_gate(tmp_path):
    found = models_found(tmp_path)
    assert len(found) >= 4 and all(line.endswith(")") for line in found)
