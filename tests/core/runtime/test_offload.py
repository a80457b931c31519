"""Weights that are on the device only while their block works."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from t2vz_core.models.families import Query, Steering
from t2vz_core.models.networks import load
from t2vz_core.runtime import offload
from t2vz_core.runtime.offload import lend
from t2vz_core.wire.job import Control, Model

from .. import random_transformers as tiny
from ..small_jobs import networks

DEVICE = torch.device("cpu")


@pytest.fixture(autouse=True)
def lent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the weights that were lent; here a loan is a copy, as on another device."""
    sizes: list[int] = []

    def copied(weight: torch.Tensor, _: torch.device) -> torch.Tensor:
        sizes.append(weight.numel())
        return weight.detach().clone()

    monkeypatch.setattr(offload, "borrowed", copied)
    return sizes


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_lent_network_says_the_same_and_gets_every_weight_back(
    family: str, lent: list[int]
) -> None:
    whole = networks(family).unet
    network = copy.deepcopy(whole)
    lend(network, DEVICE)
    before = dict(network.named_parameters())
    torch.manual_seed(0)
    inputs = (
        torch.randn(2, 4, 8, 8),
        torch.tensor(500),
        torch.randn(2, 5, whole.config.cross_attention_dim),
    )
    more = {"added_cond_kwargs": {"text_embeds": torch.randn(2, 32), "time_ids": torch.zeros(2, 6)}}
    more = more if family == "sdxl" else {}
    with torch.inference_mode():
        assert torch.allclose(network(*inputs, **more)[0], whole(*inputs, **more)[0], atol=1e-5)
    assert sum(lent) == sum(weight.numel() for weight in whole.parameters())
    assert all(weight is before[name] for name, weight in network.named_parameters())


@pytest.mark.slow
def test_only_one_block_is_lent_at_a_time() -> None:
    network = copy.deepcopy(networks("sd1").unet)
    lend(network, DEVICE)
    own = {weight.data_ptr() for weight in network.parameters()}
    most = 0

    def look(*_: object) -> None:
        nonlocal most
        away = [weight for weight in network.parameters() if weight.data_ptr() not in own]
        most = max(most, sum(weight.numel() for weight in away))

    for module in network.modules():
        module.register_forward_hook(look)
    with torch.inference_mode():
        network(torch.randn(2, 4, 8, 8), torch.tensor(500), torch.randn(2, 5, 32))
    assert 0 < most < 0.2 * sum(weight.numel() for weight in network.parameters())


def test_after_an_error_the_weights_are_back() -> None:
    network = copy.deepcopy(networks("sd1").unet)
    lend(network, DEVICE)
    before = dict(network.named_parameters())
    with pytest.raises(RuntimeError):
        network(
            torch.randn(2, 3, 8, 8), torch.tensor(500), torch.randn(2, 5, 32)
        )  # three channels in place of four
    assert all(weight is before[name] for name, weight in network.named_parameters())


def test_a_lent_transformer_and_its_controlnet_which_share_blocks_say_the_same(
    lent: list[int], tmp_path: Path
) -> None:
    folder = tiny.write_z_image(tmp_path / "model")
    union = str(tiny.write_fun_union(tmp_path / "union.safetensors"))
    whole, nets = (load(Model(str(folder)), [Control("depth", union)], "cpu") for _ in range(2))
    shown = whole.control_input(whole.controlnets[0], np.zeros((1, 64, 64, 3), np.uint8))
    x, text = torch.randn(1, 16, 8, 8), whole.embed(["a ball"])
    for network in (nets.denoiser, *nets.controlnets):
        lend(network, DEVICE)
    with torch.inference_mode():
        truth, ours = (
            one.predict(
                Query(x, 500.0, text, 1, (64, 64), [Steering(one.controlnets[0], shown, 1.0, (0,))])
            )
            for one in (whole, nets)
        )
    torch.testing.assert_close(ours, truth, rtol=1e-4, atol=1e-4)
    own = {
        id(weight): weight
        for one in (whole.denoiser, *whole.controlnets)
        for weight in one.parameters()
    }
    pads = 2 * tiny.DIM  # of no block
    assert sum(lent) >= sum(weight.numel() for weight in own.values()) - pads
