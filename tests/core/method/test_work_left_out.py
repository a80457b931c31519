"""Where the scene knows better, the networks are not asked, and where they are not asked nothing
is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from t2vz_core.method.fusion import FusionSteps
from t2vz_core.models.networks import Networks
from t2vz_core.wire.job import Coherence, Control, JobSpec, Motion, Sampling

from ..small_jobs import job, make, networks
from .test_generate import latents

__all__ = ["latents"]


@contextmanager
def counted(nets: Networks) -> Iterator[list[int]]:
    """The frames of each call of the UNet."""
    calls: list[int] = []
    hook = nets.unet.register_forward_hook(lambda _, args, __: calls.append(len(args[0]) // 2))
    try:
        yield calls
    finally:
        hook.remove()


def still(folder: Path, count: int, **parts: object) -> JobSpec:
    """A job in which nothing moves: the anchor shows every frame whole."""
    spec = job(folder, count, motion=Motion("map"), controls=(Control("depth"),))
    first = spec.frames[0].passes
    frames = [
        replace(frame, passes=replace(frame.passes, map=first.map, visible=first.visible))
        for frame in spec.frames
    ]
    np.save(folder / first.visible, np.full((64, 64), 255, np.uint8))
    return replace(spec, frames=tuple(frames), **parts)


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["ddim", "dpm++2m", "unipc", "euler"])
def test_a_frame_that_is_shown_whole_equals_the_long_way(
    scheduler: str,
    tmp_path: Path,
    latents: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nets = networks("sd1", 1)
    sampling = Sampling(steps=10, seed=3, scheduler=scheduler)
    spec = still(tmp_path, 2, sampling=sampling, coherence=Coherence(fusion_disturbed=1.0))
    with counted(nets) as calls:
        make(tmp_path, spec, nets)
    monkeypatch.setattr(FusionSteps, "asks", lambda *_: True)
    with counted(nets) as long:
        make(tmp_path, spec, nets)
    # the anchor's ten; then 30 % of the steps are not fused
    assert len(calls) == 10 + 3 and len(long) >= 10 + 9
    assert (latents[1] - latents[3]).abs().max() <= 1e-4


def test_in_fused_steps_the_networks_are_asked_at_every_nth(tmp_path: Path) -> None:
    nets = networks("sd1", 1)
    sampling = Sampling(steps=12, seed=3)
    spec = job(tmp_path, 2, motion=Motion("map"), controls=(Control("depth"),), sampling=sampling)
    with counted(nets) as calls:
        make(tmp_path, replace(spec, coherence=Coherence(network_every=3)), nets)
    asked = [step for step in range(1, 12) if step >= 9 or (step - 1) % 3 == 0]
    assert calls == [1] * (12 + len(asked))


@pytest.mark.slow
@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.parametrize("deep_every", [1, 2])
def test_a_frame_depends_neither_on_its_chunk_nor_on_the_range(
    every: int, deep_every: int, tmp_path: Path, latents: list[torch.Tensor]
) -> None:
    nets = networks("sd1", 1)
    spec = job(
        tmp_path,
        5,
        motion=Motion("map"),
        controls=(Control("depth"),),
        sampling=Sampling(steps=8, seed=3, scheduler="dpm++2m", deep_every=deep_every),
        coherence=Coherence("anchor+hidden", anchor_every=2, network_every=every),
    )
    still_third = replace(
        spec.frames[2], passes=replace(spec.frames[2].passes, map=spec.frames[0].passes.map)
    )
    spec = replace(spec, frames=(*spec.frames[:2], still_third, *spec.frames[3:]))
    make(tmp_path, spec, nets, chunk=3)
    whole = torch.cat(latents)
    latents.clear()
    make(tmp_path, spec, nets, numbers=[2, 4], chunk=1)
    assert (torch.cat(latents) - whole[[1, 3]]).abs().max() <= 1e-4
