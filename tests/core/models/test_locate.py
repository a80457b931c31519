"""Where a model's name leads."""

import socket

import pytest
import torch
from safetensors.torch import save_file

from t2vz_core.models import locate
from t2vz_core.models.networks import ModelError, load, models_found
from t2vz_core.wire import homes
from t2vz_core.wire.job import Model
from tests.core.random_networks import write_model

FILES = [
    "README.md", "model_index.json", "v1-5-pruned.safetensors", "scheduler/scheduler_config.json",
    "tokenizer/merges.txt", "tokenizer/vocab.json", "unet/config.json",
    "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "safety_checker/model.safetensors", "text_encoder/config.json",
    "text_encoder/pytorch_model.bin",
    "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
]  # fmt: skip


@pytest.fixture
def no_connection(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(homes.MODELS_VARIABLE, str(tmp_path))
    return write_model(tmp_path / "My Model")


@pytest.mark.usefixtures("no_connection")
def test_a_model_is_found_by_its_name_in_the_models_folder_without_any_connection(folder):
    assert locate.find("My Model", "stable-diffusion", Model()) == folder
    assert load(Model("My Model"), (), "cpu").family == "sd1"


def test_the_demo_model_has_parts_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(locate, "WEIGHTS", tmp_path)
    (tmp_path / "controlnet-depth").mkdir()
    (tmp_path / "instruct-pix2pix").mkdir()
    assert locate.find("demo", "controlnet-depth", Model()) == tmp_path / "controlnet-depth"
    assert (
        locate.find("demo/instruct-pix2pix", "stable-diffusion", Model())
        == tmp_path / "instruct-pix2pix"
    )
    with pytest.raises(ModelError, match="has no controlnet-pose"):
        locate.find("demo", "controlnet-pose", Model())


@pytest.mark.parametrize("name", ["demo/..", "demo/../..", "demo//etc", "demo/.", "demo/a\0b"])
def test_a_part_of_the_demo_model_lies_inside_of_it(name):
    with pytest.raises(ModelError, match="the demo model has no"):
        locate.find(name, "stable-diffusion", Model())


@pytest.mark.usefixtures("no_connection")
def test_a_hub_name_opens_no_connection_unless_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in (
        "someone/some-model",
        "../models",
        "film/a model's first--name.safetensors",
        "Ärger/mit-Namen",
        "~nobody-of-this-name/model",
    ):
        with pytest.raises(ModelError, match="choose a"):
            load(Model(name), (), "cpu")


def test_a_hub_name_fetched_before_is_found(tmp_path, monkeypatch):
    cache = tmp_path / "models--someone--some-model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs/main").write_text("0" * 40)
    snapshot = write_model(cache / "snapshots" / ("0" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert locate.find("someone/some-model", "", Model()) == snapshot


def test_of_a_hub_repository_only_what_is_read_is_fetched():
    full = locate.hub_files(FILES, prefers_half=False, allow_pickle=False)
    assert [file for file in full if file.endswith(".safetensors")] == [
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert "tokenizer/merges.txt" in full
    half = locate.hub_files(FILES, prefers_half=True, allow_pickle=True)
    assert {file for file in half if file.endswith((".safetensors", ".bin"))} == {
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/pytorch_model.bin",
    }


def test_of_a_controlnets_repository_the_weights_at_its_root_are_fetched():
    files = [
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "images/a.png",
        "control.safetensors",
    ]
    assert locate.hub_files(files, False, False) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]


def test_a_loras_repository_has_its_weights_fetched():
    files = ["README.md", "pytorch_lora_weights.safetensors", "image_0.png"]
    assert locate.hub_files(files, True, False) == ["pytorch_lora_weights.safetensors"]
    assert locate.hub_files([*files, "another_of_6_GB.safetensors"], True, False) == []


def test_a_folder_of_the_hubs_cache_means_the_model_in_it(folder):
    cache = folder.parent / "models--someone--some-model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs/main").write_text("0" * 40)
    snapshot = cache / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    assert locate.find(cache.name, "", Model()) == locate.find(str(cache), "", Model()) == snapshot
    assert f"{snapshot}  (StableDiffusionPipeline)" in models_found(folder.parent)


def test_a_name_means_the_models_folders_model_whatever_lies_where_the_job_is_run(
    folder, tmp_path, monkeypatch
):
    here = tmp_path / "elsewhere"
    (here / "My Model").mkdir(parents=True)
    monkeypatch.chdir(here)
    assert locate.find("My Model", "", Model()) == folder


@pytest.mark.usefixtures("no_connection")
@pytest.mark.parametrize("name", ["https://huggingface.co/a/b", "file:///models/a.safetensors"])
def test_an_address_is_no_name(name):
    with pytest.raises(ModelError, match="is an address; download the file"):
        locate.find(name, "", Model(allow_network=True))


def test_a_path_may_come_in_quotes(folder):
    assert locate.find(f'"{folder}"', "", Model()) == folder


def test_a_name_longer_than_names_may_be_gets_a_sentence(folder):
    with pytest.raises(ModelError, match="is no file or folder"):
        locate.find("a red ball " * 99, "", Model())


def test_a_file_of_the_models_folder_is_found_without_its_ending_as_prompts_name_loras(folder):
    file = folder.parent / "loras" / "ink [v2].safetensors"
    file.parent.mkdir()
    save_file({"a": torch.ones(1)}, file)
    assert locate.find("ink [v2]", "style", Model()) == file


def test_a_name_that_two_files_have_gets_a_sentence(folder):
    for place in ("loras", "more"):
        (folder.parent / place).mkdir()
        save_file({"a": torch.ones(1)}, folder.parent / place / "ink.safetensors")
    with pytest.raises(ModelError, match=r"may be .* or .*; name it by its path"):
        locate.find("ink", "style", Model())
