"""The anchor sees only itself, so it must be the image that diffusers' own pipelines make of the
same noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.schedulers import scheduling_lcm
from PIL import Image

from t2vz_core.conditions.controlnet import conditions
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.noise import keyed_noise
from t2vz_core.method.solvers import Solver
from t2vz_core.models.networks import Networks
from t2vz_core.wire.job import Control, JobSpec, Sampling
from tests.core.small_jobs import SIDE, job, make, networks

SCHEDULERS = {
    "ddim": (diffusers.DDIMScheduler, {}),
    "dpm++2m": (diffusers.DPMSolverMultistepScheduler, {}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
}


def image_of(kind: Any, nets: Networks, spec: JobSpec, **more: Any) -> np.ndarray:
    """The image that a pipeline of diffusers makes of our anchor's noise, 0..255."""
    sort, extra = SCHEDULERS[spec.sampling.scheduler]
    scheduler = sort.from_config(dict(nets.scheduler_config), clip_sample=False, **extra)
    parts = {"vae": nets.vae, "unet": nets.unet, "scheduler": scheduler}
    names = ["", "_2"][: len(nets.text.encoders)]
    parts |= {f"text_encoder{n}": encoder for n, encoder in zip(names, nets.text.encoders)}
    parts |= {f"tokenizer{n}": tokenizer for n, tokenizer in zip(names, nets.text.tokenizers)}
    if "_2" not in names:
        parts |= {
            "safety_checker": None,
            "feature_extractor": None,
            "requires_safety_checker": False,
        }
    if nets.controlnets:
        parts["controlnet"] = (
            nets.controlnets[0] if len(nets.controlnets) == 1 else list(nets.controlnets)
        )
    pipeline = kind(**parts)
    pipeline.set_progress_bar_config(disable=True)
    size = {} if nets.is_instruct else {"height": SIDE, "width": SIDE}
    noise = keyed_noise(spec.sampling.seed, 1, (4, SIDE // 8, SIDE // 8))[None]
    result = pipeline(
        prompt=spec.prompt.text,
        negative_prompt=spec.prompt.negative,
        num_inference_steps=spec.sampling.steps,
        guidance_scale=spec.sampling.guidance,
        latents=noise,
        output_type="np",
        **size,
        **more,
    )
    return result.images[0] * 255


@pytest.mark.slow
@pytest.mark.parametrize(
    "family, scheduler",
    [*(("sd1", name) for name in SCHEDULERS), ("sd2", "ddim"), ("sdxl", "euler")],
)
def test_the_anchor_is_the_ordinary_image(family: str, scheduler: str, tmp_path: Path) -> None:
    spec = job(tmp_path, 1, sampling=Sampling(seed=5, steps=4, scheduler=scheduler))
    kind = (
        diffusers.StableDiffusionXLPipeline
        if family == "sdxl"
        else diffusers.StableDiffusionPipeline
    )
    theirs = image_of(kind, networks(family), spec)
    assert np.abs(make(tmp_path, spec, networks(family))[1] - theirs).max() < 1


def test_the_anchor_with_a_controlnet_is_the_ordinary_image(tmp_path: Path) -> None:
    nets = networks("sd1", controls=1)
    spec = job(tmp_path, 1, controls=(Control("depth", scale=0.7, start=0.25, end=0.75),))
    spec = replace(spec, sampling=Sampling(seed=5, steps=4))
    picture = Image.fromarray(conditions(spec, Source(tmp_path), spec.frames[0])[0])
    theirs = image_of(
        diffusers.StableDiffusionControlNetPipeline, nets, spec, image=picture,
        controlnet_conditioning_scale=0.7,
        control_guidance_start=0.25, control_guidance_end=0.75,
    )  # fmt: skip
    assert np.abs(make(tmp_path, spec, nets)[1] - theirs).max() < 1


def test_the_anchor_in_guess_mode_is_the_ordinary_image(tmp_path: Path) -> None:
    nets = networks("sd1", controls=1)
    spec = job(
        tmp_path, 1, controls=(Control("depth", is_guess=True),), sampling=Sampling(seed=5, steps=4)
    )
    picture = Image.fromarray(conditions(spec, Source(tmp_path), spec.frames[0])[0])
    kind = diffusers.StableDiffusionControlNetPipeline
    theirs = image_of(kind, nets, spec, image=picture, guess_mode=True)
    assert np.abs(make(tmp_path, spec, nets)[1] - theirs).max() < 1
    assert np.abs(image_of(kind, nets, spec, image=picture) - theirs).max() > 1


@pytest.mark.slow
def test_the_anchor_with_two_controlnets_is_the_ordinary_image(tmp_path: Path) -> None:
    nets = networks("sd1", controls=2)
    controls = Control("depth", scale=0.7, end=0.5), Control("edges", scale=0.4, start=0.25)
    spec = job(tmp_path, 1, controls=controls, sampling=Sampling(seed=5, steps=4))
    pictures = [Image.fromarray(one) for one in conditions(spec, Source(tmp_path), spec.frames[0])]
    theirs = image_of(
        diffusers.StableDiffusionControlNetPipeline, nets, spec, image=pictures,
        controlnet_conditioning_scale=[0.7, 0.4], control_guidance_start=[0.0, 0.25],
        control_guidance_end=[0.5, 1.0],
    )  # fmt: skip
    assert np.abs(make(tmp_path, spec, nets)[1] - theirs).max() < 1


def test_the_anchor_of_an_edit_is_the_ordinary_edit(tmp_path: Path) -> None:
    nets = networks("instruct")
    spec = job(tmp_path, 1, sampling=Sampling(seed=5, steps=4, image_guidance=1.3))
    picture = Image.fromarray(Source(tmp_path).read(spec.frames[0], "image"))
    pipeline = diffusers.StableDiffusionInstructPix2PixPipeline
    theirs = image_of(pipeline, nets, spec, image=picture, image_guidance_scale=1.3)
    assert np.abs(make(tmp_path, spec, nets)[1] - theirs).max() < 1


def test_few_step_sampling_takes_the_library_s_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    config = networks("sd1").scheduler_config
    solver = Solver(Sampling(steps=4, scheduler="lcm"), config)
    library = diffusers.LCMScheduler.from_config(dict(config))
    library.set_timesteps(4)
    x, step = torch.randn(1, 4, 8, 8), solver.begin(0)
    for i, t in enumerate(library.timesteps):
        said, noise = torch.randn_like(x), torch.randn_like(x)
        monkeypatch.setattr(scheduling_lcm, "randn_tensor", lambda *_, noise=noise, **__: noise)
        ours, x = step(x, solver.x0(x, said, i), i, noise), library.step(said, t, x).prev_sample
        assert torch.allclose(ours, x, rtol=1e-4, atol=1e-4)
