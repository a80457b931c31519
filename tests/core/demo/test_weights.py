"""The shipped demo model, as anybody would open it."""

from random import Random

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, DDIMScheduler, StableDiffusionControlNetPipeline, StableDiffusionPipeline

from t2vz_core.demo import WEIGHTS, captions, stage, world
from t2vz_core.demo.captions import COLOURS, Description, Thing


@pytest.fixture(scope="module")
def pipeline():
    return StableDiffusionPipeline.from_pretrained(WEIGHTS / "stable-diffusion")


def paint(pipeline, prompt, guidance=7.5, steps=12, **more):
    generator = torch.Generator().manual_seed(3)
    kind = {"output_type": "np", "guidance_scale": guidance, "num_inference_steps": steps}
    return pipeline(prompt, generator=generator, **kind, **more).images[0]


def middle(picture):
    third = len(picture) // 3
    return picture[third : 2 * third, third : 2 * third].reshape(-1, 3)


def test_the_folder_is_an_ordinary_stable_diffusion(pipeline):
    assert pipeline.vae_scale_factor == 8
    assert pipeline.unet.config.in_channels == pipeline.vae.config.latent_channels == 4
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    assert scheduler.config.beta_schedule == "scaled_linear"
    assert scheduler.config.steps_offset == 1
    assert {part.dtype for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)} == {torch.float32}


def test_all_weights_together_stay_small():
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.safetensors")) < 60e6


def test_every_caption_has_tokens_and_no_unknown_word(pipeline):
    rng, unknown = Random(7), pipeline.tokenizer.unk_token_id
    for _ in range(200):
        tokens = pipeline.tokenizer(captions.caption(captions.imagine(rng), rng)).input_ids
        assert unknown not in tokens[1:-1]
        assert len(tokens) <= pipeline.tokenizer.model_max_length


@pytest.mark.parametrize("colour", ["red", "green", "blue"])
def test_a_colour_prompt_gives_the_colour(pipeline, colour):
    seen = np.median(middle(paint(pipeline, f"a close-up of a {colour} ball on asphalt under a cloudy sky")), axis=0)
    wanted = {name: np.array(COLOURS[name]) for name in ("red", "green", "blue")}
    assert min(wanted, key=lambda name: np.linalg.norm(wanted[name] / wanted[name].sum() - seen / seen.sum())) == colour


def test_the_ground_follows_the_prompt(pipeline):
    snow, asphalt = (paint(pipeline, f"a red ball on {ground}")[-12:].mean() for ground in ("snow", "asphalt"))
    assert snow > asphalt + 0.2


def test_guidance_changes_the_picture(pipeline):
    plain, guided = (paint(pipeline, "a yellow cone on sand at sunset", guidance) for guidance in (1.0, 7.5))
    assert np.abs(plain - guided).mean() > 0.03


def test_the_depth_controlnet_puts_the_object_where_its_depth_is(pipeline):
    ball = Description((Thing("red", "plain", "ball"),), "snow", "cloudy", "level")
    scene, camera, _ = stage.build([ball], Random(11))
    view = world.render(scene, camera, 128)
    near = view.depth.reciprocal()
    picture = (near / near.amax()).expand(3, -1, -1)[None]
    controlnet = ControlNetModel.from_pretrained(WEIGHTS / "controlnet-depth")
    led = StableDiffusionControlNetPipeline(**pipeline.components, controlnet=controlnet, requires_safety_checker=False)
    painted = paint(led, captions.plain_caption(ball), steps=15, image=picture)
    is_red = painted[..., 0] - painted[..., 1] > 0.25
    is_ball = (view.part[0] == 1).numpy()
    assert (is_red & is_ball).sum() / (is_red | is_ball).sum() > 0.7
