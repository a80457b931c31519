import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch.nn.functional import avg_pool2d, cosine_similarity, interpolate

from t2vz_core.demo.train.grow import grown_controlnet, grown_lora, grown_unet, with_top
from t2vz_core.demo.train.instruct import widened

SIDE, WORDS = 8, 16


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=SIDE,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=2,
        cross_attention_dim=WORDS,
    )


@pytest.fixture(scope="module")
def controlnet(unet):
    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8))


@torch.no_grad()
def test_a_grown_unet_begins_with_what_the_small_one_saw(unet):
    small = interpolate(torch.randn(2, 4, 3, 3), SIDE, mode="bicubic")
    words, large = torch.randn(2, 5, WORDS), interpolate(small, scale_factor=2, mode="bilinear")
    known = unet(small, 300, words).sample
    grown = grown_unet(unet)
    seen = avg_pool2d(grown(large, 300, words).sample, 2)
    assert grown.config.sample_size == 2 * SIDE
    assert cosine_similarity(seen.flatten(1), known.flatten(1)).min() > 0.8


@torch.no_grad()
def test_a_grown_controlnet_leads_a_grown_unet(unet, controlnet):
    for outlet in controlnet.controlnet_down_blocks:
        torch.nn.init.ones_(outlet.bias)
    latents, words = torch.randn(1, 4, 2 * SIDE, 2 * SIDE), torch.randn(1, 5, WORDS)
    pictures = torch.rand(1, 3, 4 * SIDE, 4 * SIDE)  # of two levels, each half the side
    down, middle = grown_controlnet(controlnet)(latents, 0, words, pictures, return_dict=False)
    assert [level.abs().amax() > 0 for level in down[:3]] == [False, False, True]
    led = grown_unet(unet)(
        latents,
        0,
        words,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
    )
    assert led.sample.shape == latents.shape


def test_a_lora_moves_down_with_the_blocks_it_changes():
    names = ("unet.down_blocks.0.resnets.1.conv1.lora_A.weight", "unet.up_blocks.0.x.lora_A.weight")
    moved = grown_lora({name: torch.zeros(1) for name in names})
    assert set(moved) == {names[0].replace("down_blocks.0", "down_blocks.1"), names[1]}


def test_a_grown_unet_takes_the_top_that_another_has_learnt(unet):
    trained, wide = grown_unet(unet), grown_unet(widened(unet))
    for weight in trained.parameters():
        weight.data += 1
    changed = with_top(wide, trained).state_dict()
    kept = grown_unet(widened(unet)).state_dict()
    assert not changed["down_blocks.0.resnets.0.conv1.weight"].equal(
        kept["down_blocks.0.resnets.0.conv1.weight"]
    )
    assert changed["mid_block.resnets.0.conv1.weight"].equal(
        kept["mid_block.resnets.0.conv1.weight"]
    )
    assert changed["conv_in.weight"][:, 4:].equal(kept["conv_in.weight"][:, 4:])
    assert changed["conv_in.weight"][:, :4].equal(trained.conv_in.weight)
