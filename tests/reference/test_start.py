"""An anchor that starts from its picture is what diffusers' img2img makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as sd
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_img2img as xl

from t2vz_core.job_folder.passes import Source
from t2vz_core.method.noise import keyed_noise
from t2vz_core.wire.job import Motion, Sampling, Start
from tests.core.small_jobs import SIDE, job, make, networks

from .test_ordinary_images import SCHEDULERS

KINDS = {
    "sd1": (sd, diffusers.StableDiffusionImg2ImgPipeline),
    "sdxl": (xl, diffusers.StableDiffusionXLImg2ImgPipeline),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "scheduler"), [("sd1", "ddim"), ("sd1", "dpm++2m"), ("sdxl", "euler")]
)
def test_the_anchor_from_its_picture_is_diffusers_img2img(
    family: str, scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = networks(family)
    spec = job(tmp_path, 1, sampling=Sampling(seed=5, steps=8, scheduler=scheduler))
    spec = replace(spec, start=Start("picture", 0.7), motion=Motion("none"))
    module, kind = KINDS[family]
    sort, extra = SCHEDULERS[scheduler]
    parts = {"vae": nets.vae, "unet": nets.unet}
    parts["scheduler"] = sort.from_config(dict(nets.scheduler_config), clip_sample=False, **extra)
    for n, encoder, tokenizer in zip(("", "_2"), nets.text.encoders, nets.text.tokenizers):
        parts |= {f"text_encoder{n}": encoder, f"tokenizer{n}": tokenizer}
    if family == "sd1":
        parts |= {"safety_checker": None, "feature_extractor": None}
    pipeline = kind(**parts, **({"requires_safety_checker": False} if family == "sd1" else {}))
    pipeline.set_progress_bar_config(disable=True)
    noise = keyed_noise(5, 1, (4, SIDE // 8, SIDE // 8))[None]
    monkeypatch.setattr(module, "randn_tensor", lambda *_, **__: noise)
    clean = nets.encode(Source(tmp_path).read(spec.frames[0], "image")[None])
    theirs = pipeline(
        prompt=spec.prompt.text,
        negative_prompt=spec.prompt.negative,
        image=clean,
        strength=0.7,
        num_inference_steps=8,
        guidance_scale=spec.sampling.guidance,
        output_type="np",
    ).images[0]
    assert np.abs(make(tmp_path, spec, nets)[1] - theirs * 255).max() < 1
    assert torch.isfinite(clean).all()
