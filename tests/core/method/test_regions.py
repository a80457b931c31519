"""Words for each object, in text attention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from t2vz_core.fault import Fault
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.attention import AttentionTargets, cross_frame
from t2vz_core.method.regions import Areas, RegionalText, Regions, unseen
from t2vz_core.wire.job import Control, JobSpec, Prompt, PromptKey, Region
from t2vz_core.wire.parse import WireError
from tests.core.small_jobs import SIDE, job, make, networks

from .test_attention import TEXT_WIDTH, TOKENS, WIDTH, Block, one


def with_ids(folder, spec):
    """The job with object 7 in the left half of its pictures, and 9 in the right quarter."""
    (folder / "passes/ids").mkdir()
    frames = []
    for frame in spec.frames:
        ids = np.zeros((SIDE, SIDE), np.int32)
        ids[:, : SIDE // 2], ids[:, -SIDE // 4 :] = 7, 9
        path = f"passes/ids/{frame.number:04d}.npy"
        np.save(folder / path, ids)
        frames.append(replace(frame, passes=replace(frame.passes, ids=path)))
    return replace(spec, frames=tuple(frames))


@torch.no_grad()
def test_each_token_hears_its_own_words_by_how_much_of_it_is_covered():
    """The formula, Σ_o M_o ⊙ Attn(Q, K_o, V_o), written out for two groups of two frames."""
    network, draw = Block(), torch.Generator().manual_seed(1)
    tokens = torch.randn(4, TOKENS, WIDTH, generator=draw)
    shared = torch.randn(2, 5, TEXT_WIDTH, generator=draw)
    own = torch.randn(4, 3, TEXT_WIDTH, generator=draw)  # two regions for each of two groups
    cover = torch.rand(2, 2, 3, 4, generator=draw) / 2
    strength = torch.tensor([[1.0, 0.5], [0.25, 0.0]])
    text = RegionalText(own, Areas(cover, strength), is_hard=False)
    attn = network.block["attn2"]
    with cross_frame([network]):
        heard = attn(tokens, shared, targets=AttentionTargets(0), regions=text)
    for row in range(4):
        group, frame = divmod(row, 2)
        masks = cover[frame].flatten(1) * strength[frame][:, None]
        expected = (1 - masks.sum(0))[:, None] * one(attn, tokens[row], shared[group])
        for r in range(2):
            expected = expected + masks[r][:, None] * one(attn, tokens[row], own[2 * r + group])
        torch.testing.assert_close(heard[row], expected)


def test_hard_borders_give_a_token_to_whom_most_of_it_belongs():
    cover = torch.tensor([[[[0.6, 0.3]], [[0.4, 0.3]]]])  # two regions, two cells
    areas = Areas(cover, torch.tensor([[1.0, 0.5]]))
    masks = RegionalText(torch.zeros(2, 1, 1), areas, is_hard=True).masks(2)
    assert masks.tolist() == [[[1.0, 0.0], [0.0, 0.0]]]  # the second is mostly nobody's


def test_a_coarse_layer_has_the_part_that_is_covered():
    cover = torch.zeros(1, 1, 4, 6)
    cover[..., :3] = 1
    masks = RegionalText(torch.zeros(1, 1, 1), Areas(cover, torch.ones(1, 1)), False).masks(6)
    assert masks.unflatten(2, (2, 3))[0, 0].tolist() == [[1, 0.5, 0]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_region_everywhere_is_as_good_as_its_prompt(tmp_path, family):
    """With SDXL but for the pooled vector, which is the shared prompt's."""
    spec = with_ids(tmp_path, job(tmp_path))
    nets = networks(family)
    spec = replace(spec, prompt=Prompt("grass", "ball"))
    everywhere = replace(spec, regions=(Region((7, 9), "blue cube", "red"),))
    for frame in spec.frames:
        np.save(tmp_path / frame.passes.ids, np.full((SIDE, SIDE), 7, np.int32))
    mine = make(tmp_path, everywhere, nets)
    if family == "sd1":
        theirs = make(tmp_path, replace(spec, prompt=Prompt("blue cube", "red")), nets)
        for number, picture in theirs.items():
            assert np.abs(picture.astype(int) - mine[number]).max() <= 1
    else:
        plain = make(tmp_path, spec, nets)
        assert any((plain[number] != mine[number]).any() for number in plain)


@pytest.mark.slow
def test_strength_nothing_is_the_shared_prompt_alone(tmp_path):
    spec = with_ids(tmp_path, job(tmp_path))
    silent = replace(spec, regions=(Region((7,), "blue cube", "red", strength=0.0),))
    plain, mine = (make(tmp_path, each, networks()) for each in (spec, silent))
    for number, picture in plain.items():
        assert (picture == mine[number]).all()


TRAVELS = Prompt(keys=(PromptKey(1, "red"), PromptKey(4, "blue")))


@pytest.mark.slow
@pytest.mark.parametrize("prompt", [Prompt("grass"), TRAVELS])
def test_no_frame_depends_on_its_chunk_with_controls_and_motion(tmp_path, prompt):
    spec = with_ids(tmp_path, job(tmp_path))
    regions = (Region((7,), "blue cube"), Region((9,), "red ball", "grass", 0.7))
    spec = replace(spec, prompt=prompt, regions=regions, controls=(Control(is_guess=True),))
    nets = networks("sd1", 1)
    whole = make(tmp_path, spec, nets, chunk=3)
    alone = make(tmp_path, spec, nets, numbers=[3], chunk=1)
    assert np.abs(whole[3].astype(int) - alone[3]).max() <= 1


def test_two_regions_that_name_an_object_leave_it_to_the_first(tmp_path):
    spec = with_ids(tmp_path, job(tmp_path, count=1))
    spec = replace(spec, regions=(Region((7,), "a"), Region((7, 9), "b")))
    cover = Regions(spec, networks()).areas(Source(tmp_path), spec.frames).cover
    assert cover[0, :, 0].tolist() == [[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1, 1]]


def test_a_frame_may_have_strengths_of_its_own(tmp_path):
    spec = with_ids(tmp_path, job(tmp_path, count=2))
    first = replace(spec.frames[0], region_strengths=(0.25,))
    frames = (first, *spec.frames[1:])
    spec = replace(spec, regions=(Region((7,), "a", strength=0.5),), frames=frames)
    strength = Regions(spec, networks()).areas(Source(tmp_path), frames).strength
    assert strength.tolist() == [[0.25], [0.5]]


def test_objects_that_no_frame_shows_are_named(tmp_path):
    spec = with_ids(tmp_path, job(tmp_path, count=2))
    spec = replace(spec, regions=(Region((7, 30), "a"), Region((31,), "blue cube")))
    (sentence,) = unseen(spec, Source(tmp_path))
    assert sentence.startswith("regions[1] ('blue cube') is about objects that no frame shows")


def test_frames_without_ids_get_a_sentence(tmp_path):
    spec = replace(job(tmp_path), regions=(Region((7,), "blue cube"),))
    with pytest.raises(Fault, match="no ids pass"):
        make(tmp_path, spec, networks())


def test_strengths_of_other_regions_than_the_jobs_get_a_sentence():
    spec = {"regions": [{"ids": [1], "text": "a"}], "frames": [{"region_strengths": [1, 1]}]}
    with pytest.raises(
        WireError, match=r"^frames\[0\]\.region_strengths: must have the 1 of the regions, not 2"
    ):
        JobSpec.from_json(spec)


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        ({"text": "a"}, r"^regions\[0\]\.ids: must name at least one object"),
        ({"ids": [1], "text": " "}, r"^regions\[0\]\.text: must say"),
        ({"ids": [0], "text": "a"}, r"^regions\[0\]\.ids: must lie within"),
    ],
)
def test_a_region_without_object_or_words_gets_a_sentence(region, sentence):
    with pytest.raises(WireError, match=sentence):
        JobSpec.from_json({"regions": [region], "frames": [{}]})
