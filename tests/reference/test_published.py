"""The faithful mode against diffusers' own Text2Video-Zero, step by step, with the same noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from t2vz_core.method.noise import keyed_noise
from t2vz_core.method.solvers import SOLVERS, Solver, Step
from t2vz_core.wire.job import JobSpec, Motion, Sampling
from tests.core.small_jobs import SIDE, job, make, networks

CELLS = (4, SIDE // 8, SIDE // 8)


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Every latent that one of our steps comes to, in order."""
    seen: list[torch.Tensor] = []
    plain = SOLVERS["ddim"]

    def begin(solver: Solver, level: int) -> Step:
        step = plain.begin(solver, level)

        def recording(*args: Any) -> torch.Tensor:
            seen.append(step(*args))
            return seen[-1]

        return recording

    monkeypatch.setitem(SOLVERS, "ddim", replace(plain, begin=begin))
    return seen


def published(
    family: str, spec: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[torch.Tensor], np.ndarray]:
    """Latents of every step and the frames of the published code, given our noise."""
    nets = networks(family)
    scheduler = diffusers.DDIMScheduler.from_config(nets.scheduler_config, clip_sample=False)
    seed, count = spec.sampling.seed, len(spec.frames)
    noise = torch.stack([keyed_noise(seed, number, CELLS) for number in range(1, count + 1)])
    latents: list[torch.Tensor] = []
    common = {
        "video_length": count, "height": SIDE, "width": SIDE,
        "num_inference_steps": spec.sampling.steps,
        "guidance_scale": spec.sampling.guidance, "latents": noise[:1], "output_type": "np",
        "motion_field_strength_x": spec.motion.strength[0],
        "motion_field_strength_y": spec.motion.strength[1],
        "callback": lambda i, t, x: latents.append(x),
    }  # fmt: skip
    if family == "sdxl":
        from diffusers.pipelines.deprecated.text_to_video_synthesis import (
            pipeline_text_to_video_zero_sdxl as module,
        )

        pipeline = diffusers.TextToVideoZeroSDXLPipeline(
            nets.vae,
            *nets.text.encoders,
            *nets.text.tokenizers,
            nets.unet,
            scheduler,
            add_watermarker=False,
        )
    else:
        from diffusers.pipelines.deprecated.text_to_video_synthesis import (
            pipeline_text_to_video_zero as module,
        )

        pipeline = diffusers.TextToVideoZeroPipeline(
            nets.vae,
            nets.text.encoders[0],
            nets.text.tokenizers[0],
            nets.unet,
            scheduler,
            None,
            None,
            False,
        )
    monkeypatch.setattr(module, "randn_tensor", lambda *args, **more: noise[1:].clone())
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        prompt=spec.prompt.text, negative_prompt=spec.prompt.negative, **common
    ).images
    return latents, np.stack([np.asarray(image) for image in images])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_the_faithful_mode_repeats_the_published_code_step_by_step(
    family: str, tmp_path: Path, walked: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = job(tmp_path, 4, sampling=Sampling(seed=5), motion=Motion("strength", is_faithful=True))
    ours = make(tmp_path, spec, networks(family), chunk=3)
    latents, images = published(family, spec, monkeypatch)

    top, second = (
        latents[:2],
        latents[5:],
    )  # down to T; (three steps to T′;) down from T with all frames
    assert len(walked) == 50 + 48 and len(second) == 48
    for i, theirs in enumerate([*top, *second]):
        assert difference(walked[i], theirs[:1]) < 1e-5
    for i, theirs in enumerate(second):
        assert difference(walked[50 + i], theirs[1:]) < 1e-5
    frames = np.stack([ours[number] for number in sorted(ours)])
    assert np.abs(frames / 255 - images).max() <= 1 / 255 + 1e-6


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest deviation, relative to the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())
