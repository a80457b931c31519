"""The shipped demo model, as anybody would open it."""

from random import Random

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionControlNetPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
)

from t2vz_core.demo import WEIGHTS, captions, stage, world
from t2vz_core.demo.captions import COLOURS, Description, Thing
from t2vz_core.demo.evaluate import judge
from t2vz_core.demo.evaluate.leads import distances
from t2vz_core.demo.train.dataset import photographs
from t2vz_core.demo.train.diffusion import develop, draw
from t2vz_core.demo.train.pose import drawn
from t2vz_core.demo.train.vae import psnr
from t2vz_core.models.networks import load
from t2vz_core.wire.job import DEMO_CONTROLS, Lora, Model

pytestmark = pytest.mark.weights


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
    assert {part.dtype for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)} == {
        torch.float32
    }


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
    seen = np.median(
        middle(paint(pipeline, f"a close-up of a {colour} ball on asphalt under a cloudy sky")),
        axis=0,
    )
    wanted = {name: np.array(COLOURS[name]) for name in ("red", "green", "blue")}
    assert (
        min(
            wanted,
            key=lambda name: np.linalg.norm(wanted[name] / wanted[name].sum() - seen / seen.sum()),
        )
        == colour
    )


def test_the_ground_follows_the_prompt(pipeline):
    snow, asphalt = (
        paint(pipeline, f"a red ball on {ground}")[-12:].mean() for ground in ("snow", "asphalt")
    )
    assert snow > asphalt + 0.2


def test_guidance_changes_the_picture(pipeline):
    plain, guided = (
        paint(pipeline, "a yellow cone on sand at sunset", guidance) for guidance in (1.0, 7.5)
    )
    assert np.abs(plain - guided).mean() > 0.03


def test_the_depth_controlnet_puts_the_object_where_its_depth_is(pipeline):
    ball = Description((Thing("red", "plain", "ball"),), "snow", "cloudy", "level")
    scene, camera, _ = stage.build([ball], Random(11))
    view = world.render(scene, camera, 128)
    near = view.depth.reciprocal()
    picture = (near / near.amax()).expand(3, -1, -1)[None]
    controlnet = ControlNetModel.from_pretrained(WEIGHTS / "controlnet-depth")
    led = StableDiffusionControlNetPipeline(
        **pipeline.components, controlnet=controlnet, requires_safety_checker=False
    )
    painted = paint(led, captions.plain_caption(ball), steps=15, image=picture)
    is_red = painted[..., 0] - painted[..., 1] > 0.25
    is_ball = (view.part[0] == 1).numpy()
    assert (is_red & is_ball).sum() / (is_red | is_ball).sum() > 0.7


def test_the_pose_controlnet_puts_limbs_where_they_are_drawn(pipeline):
    dancer = Description(
        (Thing("red", "plain", "mannequin", "cheering"),), "snow", "cloudy", "level"
    )
    scene, camera, joints = stage.build([dancer], Random(4))
    places = camera.project(joints, 128)[0]
    controlnet = ControlNetModel.from_pretrained(WEIGHTS / "controlnet-pose")
    led = StableDiffusionControlNetPipeline(
        **pipeline.components, controlnet=controlnet, requires_safety_checker=False
    )
    painted = torch.from_numpy(
        paint(led, captions.plain_caption(dancer), steps=15, image=drawn(places, 128))
    )
    true = (world.render(scene, camera, 128).part > world.GROUND).numpy()
    away = distances(painted.movedim(-1, 0)[None], [dancer], places.numpy(), true)
    assert np.mean(away["limb_to_paint"]) < 0.04 * 128
    assert np.mean(away["paint_to_body"]) < 0.04 * 128


def test_an_instruction_paints_the_ball_and_leaves_the_rest():
    red, blue = (
        Description((Thing(it, "plain", "ball"),), "sand", "blue", "level")
        for it in ("red", "blue")
    )
    source, wanted = (photographs([it], 5, 128)[0] / 255 for it in (red, blue))
    editor = StableDiffusionInstructPix2PixPipeline.from_pretrained(WEIGHTS / "instruct-pix2pix")
    edited = paint(
        editor, "make the ball blue", 3.0, steps=15, image=source, image_guidance_scale=1.5
    )
    edited = torch.from_numpy(edited).movedim(-1, 0)[None]
    is_ball = (source - wanted).abs().amax(1)[0] > 0.1
    assert judge.colour_of(edited[0][:, is_ball], "blue") == "blue"
    assert psnr(edited[..., ~is_ball, None], source[..., ~is_ball, None]).item() > 18


def test_the_cartoon_lora_draws_harder_outlines():
    plain, cartoon = (load(Model(loras=loras), (), "cpu") for loras in ((), (Lora("demo/style"),)))
    words = plain.embed(["a yellow ball on snow under a blue sky", ""])
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    drawn_by = [
        develop(
            it.vae,
            draw(
                lambda *given, it=it: it.unet(*given).sample,
                noise,
                *words.tokens.split(1),
                steps=15,
            ),
        )
        for it in (plain, cartoon)
    ]
    steps = [sum(float(it.diff(dim=axis).abs().mean()) for axis in (2, 3)) for it in drawn_by]
    assert steps[1] > 1.1 * steps[0]
    assert (drawn_by[0] - drawn_by[1]).abs().mean() > 0.03


def test_the_demo_model_has_the_controlnets_that_both_sides_think_it_has():
    found = {path.name.removeprefix("controlnet-") for path in WEIGHTS.glob("controlnet-*")}
    assert found == set(DEMO_CONTROLS)
