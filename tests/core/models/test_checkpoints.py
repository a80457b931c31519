"""Models that cannot be loaded: one sentence each, with the path."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from t2vz_core.models.networks import ModelError, load
from t2vz_core.wire import homes
from t2vz_core.wire.job import Control, Lora, Model
from tests.core.random_networks import write_controlnet, write_model

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("good") / "model")


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "my model")


def sentence(base, controls=(), **options):
    with pytest.raises(ModelError) as caught:
        load(Model(str(base), **options), controls, "cpu")
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


BREAKS = {
    "cut off": (lambda f: cut(f / UNET), UNET, "is cut off at"),
    "empty": (lambda f: (f / UNET).write_bytes(b""), UNET, "cut off"),
    "an LFS pointer": (
        lambda f: (f / UNET).write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        ),
        UNET,
        "git lfs pull",
    ),
    "a web page": (
        lambda f: (f / UNET).write_text("<!doctype html><html>" * 9),
        UNET,
        "is a web page",
    ),
    "a GGUF": (lambda f: (f / UNET).write_bytes(b"GGUF" + bytes(99)), UNET, "is a GGUF file"),
    "a pickle in disguise": (
        lambda f: (f / UNET).write_bytes(b"PK\3\4" * 99),
        UNET,
        "pickle under another name",
    ),
    "numbers of no known format": (
        lambda f: (f / UNET).write_bytes((f / UNET).read_bytes().replace(b'"F32"', b'"F99"')),
        UNET,
        "is broken",
    ),
    "too long": (
        lambda f: (f / UNET).open("ab").write(b"\n"),
        UNET,
        "bytes; copy or download it again",
    ),
    "missing": (lambda f: (f / UNET).unlink(), "unet", "holds no weights"),
    "no index": (lambda f: (f / "model_index.json").unlink(), "my model", "model_index.json"),
    "no UNet": (lambda f: shutil.rmtree(f / "unet"), "my model", "which has no UNet"),
    "bad JSON": (
        lambda f: (f / "vae/config.json").write_text("{,"),
        "vae/config.json",
        "is no JSON",
    ),
    "no VAE": (lambda f: shutil.rmtree(f / "vae"), "vae/config.json", "cannot be read"),
    "no vocabulary": (lambda f: shutil.rmtree(f / "tokenizer"), "tokenizer", "no CLIP tokenizer"),
    "for inpainting": (
        lambda f: edit(f / "unet/config.json", in_channels=9),
        "my model",
        "inpainting",
    ),
    "for pictures of depth": (
        lambda f: edit(f / "unet/config.json", in_channels=5),
        "my model",
        "depth-to-image",
    ),
    "told classes": (
        lambda f: edit(f / "unet/config.json", class_embed_type="projection"),
        "my model",
        "projection",
    ),
    "a film's": (
        lambda f: edit(f / "unet/config.json", _class_name="UNet3DConditionModel"),
        "my model",
        "UNet3D",
    ),
    "a refiner": (
        lambda f: edit(f / "model_index.json", requires_aesthetics_score=True),
        "my model",
        "SDXL refiner",
    ),
    "a guided LCM": (
        lambda f: edit(f / "unet/config.json", time_cond_proj_dim=256),
        "my model",
        "latent consistency",
    ),
    "a shifted VAE": (
        lambda f: edit(f / "vae/config.json", latents_mean=[0.1]),
        "my model",
        "latents_mean [0.1]",
    ),
    "a tiny VAE": (
        lambda f: edit(f / "vae/config.json", _class_name="AutoencoderTiny"),
        "my model",
        "AutoencoderTiny",
    ),
    "an EDM": (
        lambda f: edit(f / "scheduler/scheduler_config.json", sigma_data=0.5),
        "my model",
        "sigma_data",
    ),
    "a strange block": (
        lambda f: edit(f / "unet/config.json", down_block_types=["Nothing"] * 4),
        "my model",
        "has a broken configuration",
    ),
    "a strange width": (
        lambda f: edit(f / "text_encoder/config.json", intermediate_size=1.5),
        "my model",
        "text_encoder has a broken configuration",
    ),
    "another width": (
        lambda f: edit(f / "unet/config.json", cross_attention_dim=48),
        "my model",
        "does not fit",
    ),
    "another depth": (
        lambda f: edit(f / "unet/config.json", layers_per_block=3),
        "my model",
        "lacks",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", BREAKS)
def test_a_broken_folder_gets_a_sentence_with_its_path(folder, fault):
    do, path, words = BREAKS[fault]
    do(folder)
    said = sentence(folder)
    assert words in said
    assert str(folder / path if path != "my model" else folder) in said


def test_pickles_are_read_only_when_allowed(folder):
    weights = load_file(folder / UNET)
    (folder / UNET).unlink()
    torch.save(weights, folder / "unet/diffusion_pytorch_model.bin")
    assert "can run code" in sentence(folder)
    networks = load(Model(str(folder), allow_pickle=True), (), "cpu")
    assert all(
        torch.equal(weights[key], tensor) for key, tensor in networks.unet.state_dict().items()
    )


def test_a_pickle_that_is_no_pickle_says_so_when_allowed(tmp_path):
    (tmp_path / "a.ckpt").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "git lfs pull" in sentence(tmp_path / "a.ckpt", allow_pickle=True)


def test_a_table_of_any_length_is_read(folder):
    path, weights = folder / UNET, load_file(folder / UNET)
    start = path.read_bytes()
    length = int.from_bytes(start[:8], "little")
    longer = length + (ord("<") - length) % 256  # as some tools write it: not a multiple of 8
    path.unlink()  # `weights` are mapped from it
    path.write_bytes(
        longer.to_bytes(8, "little") + start[8 : 8 + length].ljust(longer) + start[8 + length :]
    )
    networks = load(Model(str(folder)), (), "cpu")
    assert all(
        torch.equal(weights[key], tensor) for key, tensor in networks.unet.state_dict().items()
    )


def test_even_when_allowed_a_pickle_runs_nothing(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    assert "more than weights" in sentence(tmp_path / "evil.ckpt", allow_pickle=True)
    assert not (tmp_path / "ran").exists()


def test_half_precision_files_are_found(folder):
    weights = {key: weight.half() for key, weight in load_file(folder / UNET).items()}
    (folder / UNET).unlink()
    save_file(weights, folder / "unet/diffusion_pytorch_model.fp16.safetensors")
    assert load(Model(str(folder)), (), "cpu").unet.dtype == torch.float32


@pytest.mark.slow
def test_shards_are_put_together(folder):
    weights = load_file(folder / UNET)
    (folder / UNET).unlink()
    keys, index = sorted(weights), {}
    for i, part in enumerate((keys[::2], keys[1::2])):
        name = f"diffusion_pytorch_model-{i + 1:05d}-of-00002.safetensors"
        save_file({key: weights[key] for key in part}, folder / "unet" / name)
        index |= dict.fromkeys(part, name)
    (folder / f"{UNET}.index.json").write_text(json.dumps({"weight_map": index}))
    networks = load(Model(str(folder)), (), "cpu")
    assert all(
        torch.equal(weights[key], tensor) for key, tensor in networks.unet.state_dict().items()
    )
    (folder / "unet" / name).unlink()
    assert name in sentence(folder)
    save_file(weights, folder / "unet/diffusion_pytorch_model.fp16.safetensors")
    assert load(Model(str(folder)), (), "cpu").family == "sd1"  # the variant that is whole


def test_the_first_diffusers_folders_are_still_read(folder):
    path = folder / "vae/diffusion_pytorch_model.safetensors"
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = load_file(path)
    former = {}
    for key, weight in weights.items():
        for new, old in names.items():
            key = key.replace(f".{new}.", f".{old}.")
        former[key] = weight
    assert former.keys() != weights.keys()
    save_file(former, path)
    networks = load(Model(str(folder)), (), "cpu")
    assert all(
        torch.equal(weights[key], tensor) for key, tensor in networks.vae.state_dict().items()
    )


def test_a_name_that_is_nowhere_gets_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv(homes.MODELS_VARIABLE, str(tmp_path))
    said = sentence("no such.safetensors")
    assert "no such.safetensors" in said
    assert str(tmp_path) in said


def test_a_controlnet_of_another_family_is_refused(good, tmp_path):
    path = write_controlnet(tmp_path / "control", "sdxl")
    said = sentence(good, (Control(model=str(path)),))
    assert str(path) in said
    assert "was not made for models like" in said


@pytest.mark.parametrize("key", ["block_out_channels", "layers_per_block"])
def test_a_controlnet_of_another_size_than_its_model_is_refused(good, tmp_path, key):
    path = write_controlnet(tmp_path / "control")
    edit(path / "config.json", **{key: 1})
    assert f"{path}: was not made for models like" in sentence(good, (Control(model=str(path)),))


def test_a_whole_model_is_no_controlnet_and_no_lora(good):
    assert f"{good}: has no config.json; choose a ControlNet's" in sentence(
        good, (Control(model=str(good)),)
    )
    assert "LoRA" in sentence(good, loras=(Lora(str(good / "unet")),))


@pytest.mark.slow
def test_a_controlnet_of_another_kind_is_refused(good, tmp_path):
    path = write_controlnet(tmp_path / "control") / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    save_file({**weights, "task_embedding": torch.zeros(6, 32)}, path)
    for model in (path, path.parent):
        assert "is a union ControlNet" in sentence(good, (Control(model=str(model)),))
    save_file({key: weight for key, weight in weights.items() if "attentions.1." not in key}, path)
    for model in (path, path.parent):
        assert "of another kind" in sentence(good, (Control(model=str(model)),))
