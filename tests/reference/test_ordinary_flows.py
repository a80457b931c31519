"""The anchor sees only itself, so of a model that flows too it must be the image that diffusers'
own pipelines make of the same noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from PIL import Image

from t2vz_core.conditions.controlnet import conditions
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.noise import keyed_noise
from t2vz_core.models.networks import Networks, load
from t2vz_core.wire.job import Control, JobSpec, Model, Sampling
from tests.core import random_transformers as tiny
from tests.core.small_jobs import SIDE, job, make


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_z_image(tmp_path_factory.mktemp("z") / "Z-Image-Turbo")


def image_of(kind: Any, nets: Networks, spec: JobSpec, scheduler: Any, **more: Any) -> np.ndarray:
    """The image that a pipeline of diffusers makes of our anchor's noise, 0..255."""
    parts: dict[str, Any] = {"controlnet": nets.controlnets[0]} if nets.controlnets else {}
    pipeline = kind(
        scheduler=scheduler,
        vae=nets.vae,
        text_encoder=nets.text.encoders[0],
        tokenizer=nets.text.tokenizers[0],
        transformer=nets.denoiser,
        **parts,
    )
    pipeline.set_progress_bar_config(disable=True)
    noise = keyed_noise(spec.sampling.seed, 1, (16, SIDE // 8, SIDE // 8))[None]
    result = pipeline(
        prompt=spec.prompt.text,
        negative_prompt=spec.prompt.negative,
        num_inference_steps=spec.sampling.steps,
        # theirs adds to the prompt's own word what ours counts from the negative prompt's
        guidance_scale=spec.sampling.guidance - 1,
        height=SIDE,
        width=SIDE,
        latents=noise,
        output_type="np",
        **more,
    )
    return result.images[0] * 255


@pytest.mark.slow
@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("scheduler", ["euler", "ddim"])
def test_the_anchor_is_the_ordinary_image(
    folder: Path, tmp_path: Path, guidance: float, scheduler: str
) -> None:
    nets = load(Model(str(folder)), (), "cpu")
    sampling = Sampling(seed=5, steps=4, guidance=guidance, scheduler=scheduler)
    spec = job(tmp_path, 2, sampling=sampling)
    library = diffusers.FlowMatchEulerDiscreteScheduler.from_config(dict(nets.scheduler_config))
    theirs = image_of(diffusers.ZImagePipeline, nets, spec, library)
    assert np.abs(make(tmp_path, spec, nets, [1, 2])[1] - theirs).max() < 1
    assert np.ptp(theirs) > 20


def test_the_anchor_by_unipc_is_the_ordinary_image(folder: Path, tmp_path: Path) -> None:
    nets = load(Model(str(folder)), (), "cpu")
    spec = job(tmp_path, 1, sampling=Sampling(seed=5, steps=4, guidance=1, scheduler="unipc"))
    library = diffusers.UniPCMultistepScheduler(
        use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0, solver_order=2
    )
    set_timesteps = library.set_timesteps
    # the pipeline would give it a schedule; ours is the library's own
    library.set_timesteps = lambda *_, sigmas=None, device=None, **__: set_timesteps(4, device)
    theirs = image_of(diffusers.ZImagePipeline, nets, spec, library)
    assert np.abs(make(tmp_path, spec, nets)[1] - theirs).max() < 1


@pytest.mark.slow
@pytest.mark.parametrize("version", tiny.CONTROLS)
def test_the_anchor_with_a_fun_union_controlnet_is_the_ordinary_image(
    folder: Path, tmp_path: Path, version: str
) -> None:
    union = tiny.write_fun_union(tmp_path / "union.safetensors", version)
    controls = (Control("depth", str(union), scale=0.8),)
    nets = load(Model(str(folder)), controls, "cpu")
    spec = job(tmp_path, 1, controls=controls, sampling=Sampling(seed=5, steps=4, guidance=3.0))
    picture = Image.fromarray(conditions(spec, Source(tmp_path), spec.frames[0])[0])
    theirs = image_of(
        diffusers.ZImageControlNetPipeline,
        nets,
        spec,
        diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        control_image=picture,
        controlnet_conditioning_scale=0.8,
    )
    assert np.abs(make(tmp_path, spec, nets)[1] - theirs).max() < 1
