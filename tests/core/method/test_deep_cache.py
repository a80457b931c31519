"""Deep features that are computed at some steps only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from t2vz_core.method.deep_cache import deep_layers
from t2vz_core.runtime.token_cache import ONE_STEP, TokenCache
from t2vz_core.wire.job import Control, Motion, Sampling

from ..small_jobs import job, make, networks
from .test_generate import latents

__all__ = ["latents"]

SAMPLING = Sampling(steps=7, seed=3, scheduler="dpm++2m", guidance_to=0.7, deep_every=2)


def inputs(family: str) -> tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], dict]:
    torch.manual_seed(0)
    width = networks(family).unet.config.cross_attention_dim
    x, text = torch.randn(4, 4, 8, 8), torch.randn(4, 5, width)
    more = {"added_cond_kwargs": {"text_embeds": torch.randn(4, 32), "time_ids": torch.zeros(4, 6)}}
    return (x, torch.tensor(500), text), more if family == "sdxl" else {}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_the_outermost_blocks_with_what_is_remembered_of_the_same_step_are_the_whole_network(
    family: str,
) -> None:
    (x, time, text), more = inputs(family)
    unet, features = networks(family).unet, {}
    with torch.inference_mode(), deep_layers([unet], 2, 0) as deep:
        with deep.at(0, ("nothing", "prompt"), features):
            whole = unet(x, time, text, **more)[0]
        with deep.at(1, ("nothing", "prompt"), features):
            assert deep.is_asleep
            outermost = unet(x, time, text, **more)[0]
        more = (
            {"added_cond_kwargs": {k: v[2:] for k, v in more["added_cond_kwargs"].items()}}
            if more
            else {}
        )
        with deep.at(1, ("prompt",), features):  # guidance has ended
            half = unet(x[2:], time, text[2:], **more)[0]
    assert torch.equal(outermost, whole)
    assert torch.allclose(half, whole[2:], atol=1e-5)


def test_the_deep_layers_run_where_the_frames_begin_and_at_every_nth_step_from_there() -> None:
    with deep_layers([networks("sd1").unet], 3, 2) as deep:
        asleep = []
        for step in range(9):
            with deep.at(step, ("prompt",), {"prompt": torch.zeros(1)}):
                asleep.append(deep.is_asleep)
        # guidance begins here: its group was never whole before
        with deep.at(3, ("nothing", "prompt"), {"prompt": torch.zeros(1)}):
            assert not deep.is_asleep
    assert [step for step in range(9) if not asleep[step]] == [0, 1, 2, 5, 8]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "depth", "xl", "still"])
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_frame_depends_neither_on_its_chunk_nor_on_what_is_kept_of_the_anchor(
    kind: str,
    is_kept: bool,
    tmp_path: Path,
    latents: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, nets = job(tmp_path, 5, sampling=SAMPLING), networks("sd1")
    if kind == "depth":
        controls = Control("depth", is_guess=True), Control("depth", end=0.5)
        spec, nets = replace(spec, controls=controls), networks("sd1", 2)
    elif kind == "xl":
        spec, nets = replace(spec, sampling=replace(SAMPLING, scheduler="euler")), networks("sdxl")
    elif kind == "still":
        spec = replace(spec, motion=Motion("none"), controls=(Control("depth"),))
        nets = networks("sd1", 1)
    make(tmp_path, spec, nets, chunk=3)
    whole = torch.cat(latents)
    latents.clear()
    if not is_kept:
        monkeypatch.setattr(
            "t2vz_core.method.sampler.TokenCache", lambda steps: TokenCache(steps, ONE_STEP)
        )
    make(tmp_path, spec, nets, numbers=[3, 5], chunk=1)
    assert (torch.cat(latents) - whole[[2, 4]]).abs().max() <= 1e-4


def test_between_whole_steps_the_deep_layers_of_unet_and_controlnet_stay_asleep(
    tmp_path: Path,
) -> None:
    nets, calls = networks("sd1", 1), []
    unet, control = nets.unet, nets.controlnets[0]
    watched = (
        unet.down_blocks[0],
        unet.mid_block.resnets[0],
        control.down_blocks[0],
        control.mid_block.resnets[0],
    )
    hooks = [
        m.register_forward_hook(lambda *_, i=i: calls.append(i)) for i, m in enumerate(watched)
    ]
    try:
        spec = job(tmp_path, 1, sampling=replace(SAMPLING, steps=6), motion=Motion("none"))
        make(tmp_path, replace(spec, controls=(Control("depth"),)), nets)
    finally:
        for hook in hooks:
            hook.remove()
    assert [calls.count(i) for i in range(4)] == [6, 3, 6, 3]


def test_the_networks_come_back_as_they_were_after_an_error() -> None:
    nets = networks("sd1", 1)
    modules = [*nets.unet.modules(), *nets.controlnets[0].modules()]
    nets.unet.mid_block.forward = own = lambda *_, **__: None
    try:
        with pytest.raises(RuntimeError), deep_layers([nets.unet, *nets.controlnets], 2, 0):
            assert sum("forward" in module.__dict__ for module in modules) > 1
            raise RuntimeError
        assert nets.unet.mid_block.forward is own
    finally:
        del nets.unet.mid_block.forward
    assert not any("forward" in module.__dict__ for module in modules)


def test_where_every_step_is_whole_nothing_is_touched_and_nothing_kept() -> None:
    unet, features = networks("sd1").unet, {}
    with deep_layers([unet], 1, 0) as deep:
        with deep.at(1, ("prompt",), features):
            assert not deep.is_asleep
        assert not any("forward" in module.__dict__ for module in unet.modules())
    assert not isinstance(unet.forward, nn.Module) and features == {}
