"""Device and number format, and what moves where when memory is short."""

from functools import partial

import numpy as np
import pytest
import torch

from t2vz_core.models import networks as loading
from t2vz_core.models.checkpoints import Checkpoint
from t2vz_core.models.networks import ModelError, load
from t2vz_core.runtime.devices import chosen_device, chosen_dtype, vae_dtype
from t2vz_core.wire.job import Model
from tests.core.random_networks import write_model

CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def networks(folder):
    return load(Model(str(folder)), (), "cpu")


def card(monkeypatch, name, has_bfloat16):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: name)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bfloat16)


@pytest.mark.parametrize(
    ("name", "has_bfloat16", "half", "dtype"),
    [
        ("NVIDIA GeForce RTX 3060", True, "float16", torch.float16),
        ("NVIDIA GeForce RTX 3060", True, "bfloat16", torch.bfloat16),
        ("NVIDIA GeForce RTX 2060", False, "bfloat16", torch.float32),
        ("NVIDIA GeForce GTX 1660 Ti", False, "float16", torch.float32),
    ],
)
def test_the_card_and_the_family_choose_the_number_format(
    monkeypatch, name, has_bfloat16, half, dtype
):
    card(monkeypatch, name, has_bfloat16)
    assert chosen_dtype("auto", CUDA, half) == dtype
    assert chosen_dtype("bfloat16", CUDA, half) == torch.bfloat16


def test_the_processor_computes_in_float32_and_apples_gpu_in_half():
    assert chosen_dtype("auto", torch.device("cpu"), "float16") == torch.float32
    assert chosen_dtype("auto", torch.device("mps"), "float16") == torch.float16


@pytest.mark.parametrize(
    ("has_bfloat16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)]
)
def test_intels_cards_compute_sd2_in_bfloat16_where_they_have_it(monkeypatch, has_bfloat16, dtype):
    monkeypatch.setattr(torch.xpu, "is_bf16_supported", lambda **_: has_bfloat16)
    assert chosen_dtype("auto", torch.device("xpu"), "bfloat16") == dtype
    assert chosen_dtype("auto", torch.device("xpu"), "float16") == torch.float16


def test_the_best_device_there_is_is_chosen(monkeypatch):
    for found in ("cuda", "xpu", "mps"):
        gpu = partial(torch.device, found)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda gpu=gpu, **_: gpu())
        assert chosen_device().type == found
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    assert chosen_device().type == "cpu"
    assert chosen_device("cuda").type == "cuda"


def test_sdxls_vae_stays_in_float32_unless_it_was_repaired():
    assert vae_dtype({}, "sdxl", torch.float16) == torch.float32
    assert vae_dtype({"force_upcast": False}, "sdxl", torch.float16) == torch.float16
    assert vae_dtype({"force_upcast": True}, "sdxl", torch.bfloat16) == torch.bfloat16
    assert vae_dtype({"force_upcast": True}, "sd1", torch.float16) == torch.float16


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_precision_asked_for_is_used_throughout(folder, precision):
    networks = load(Model(str(folder), precision=precision), (), "cpu")
    dtype = getattr(torch, precision)
    assert {networks.unet.dtype, networks.vae.dtype, networks.embed(["red"]).tokens.dtype} == {
        dtype
    }
    assert next(networks.decode(torch.zeros(1, 4, 4, 4, dtype=dtype))).shape == (32, 32, 3)


def test_offloading_lets_only_the_networks_at_work_stay_on_the_device(networks, monkeypatch):
    names = {networks.unet: "unet", networks.vae: "vae", networks.text.encoders[0]: "text"}
    moves = []
    monkeypatch.setattr(
        loading,
        "move",
        lambda modules, device: moves.extend((names[module], device.type) for module in modules),
    )
    networks.device = torch.device("meta")
    assert networks.offload()
    assert not networks.offload()
    assert moves == [("text", "cpu"), ("vae", "cpu")]
    moves.clear()
    with networks.at_work(networks.vae):
        assert moves == [("unet", "cpu"), ("vae", "meta")]
    assert moves[2:] == [("vae", "cpu"), ("unet", "meta")]


def test_on_the_processor_there_is_nothing_to_offload(networks):
    assert not networks.offload()
    assert not networks.lend()


def test_a_model_too_large_for_the_device_rests_on_the_processor(folder, monkeypatch):
    build, lent = Checkpoint.build, []

    def small(self, part, device, dtype):
        if device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return build(self, part, device, dtype)

    monkeypatch.setattr(Checkpoint, "build", small)
    monkeypatch.setattr(
        loading, "lend", lambda network, device: lent.append((network, device.type))
    )
    networks = load(Model(str(folder)), (), "meta")
    assert networks.is_lending and lent == [(networks.unet, "meta")]


def test_a_vae_that_overflows_is_tried_again_in_float32(networks, monkeypatch):
    truth = next(networks.decode(torch.ones(1, 4, 4, 4)))
    decode = networks.vae.decode
    networks.vae.bfloat16()

    def overflowing(latent):
        made = decode(latent)
        if latent.dtype != torch.float32:
            made.sample.fill_(float("nan"))
        return made

    monkeypatch.setattr(networks.vae, "decode", overflowing)
    picture = next(networks.decode(torch.ones(1, 4, 4, 4)))
    assert np.abs(picture.astype(int) - truth).max() <= 4  # its weights were rounded to bfloat16


def test_a_latent_that_is_not_a_number_gets_a_sentence(networks):
    with pytest.raises(ModelError, match="not a number"):
        next(networks.decode(torch.full((1, 4, 4, 4), float("nan"))))
