"""Weights, BREAK and long phrases as the text encoders get them."""

import pytest
import torch

from t2vz_core.models.networks import load
from t2vz_core.wire.job import Model
from tests.core.random_networks import write_model


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return {
        f: load(Model(str(write_model(tmp_path_factory.mktemp(f), f))), (), "cpu")
        for f in ("sd1", "sd2", "sdxl")
    }


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd1", "sd2"])
def test_a_weight_multiplies_its_token_and_the_mean_stays(networks, family):
    """The reference is WebUI's arithmetic, written out."""
    plain = networks[family].embed(["red ball"]).tokens
    weighed = networks[family].embed(["red (ball:1.5)"], syntax="webui").tokens
    expected = plain.clone()
    expected[:, 2] *= 1.5  # begin, red, ball
    expected *= plain.mean() / expected.mean()
    torch.testing.assert_close(weighed, expected)


def test_with_sdxl_each_encoder_keeps_its_own_mean_and_the_pooled_vector_is_as_it_was(networks):
    plain = networks["sdxl"].embed(["red ball"])
    weighed = networks["sdxl"].embed(["red (ball:1.5)"], syntax="webui")
    expected = []
    for half in plain.tokens.chunk(2, -1):
        own = half.clone()
        own[:, 2] *= 1.5
        expected.append(own * half.mean() / own.mean())
    torch.testing.assert_close(weighed.tokens, torch.cat(expected, -1))
    assert torch.equal(weighed.pooled, plain.pooled)


def test_break_begins_a_new_chunk(networks):
    broken = networks["sd1"].embed(["red BREAK blue"], syntax="webui").tokens
    parts = networks["sd1"].embed(["red", "blue"]).tokens
    torch.testing.assert_close(broken, parts.reshape(1, 2 * 77, 32))


def test_a_phrase_that_does_not_fit_moves_on_whole(networks):
    """75 tokens to a chunk: 70 words, a comma, four words; the fifth takes these along."""
    text = " ".join(["red"] * 70) + ", " + " ".join(["blue"] * 5)
    moved = networks["sd1"].embed([text], syntax="webui").tokens
    parts = [" ".join(["red"] * 70) + ",", " ".join(["blue"] * 5)]
    expected = networks["sd1"].embed(parts).tokens.reshape(1, 2 * 77, 32)
    torch.testing.assert_close(moved, expected)
    cut = networks["sd1"].embed([text]).tokens
    assert not torch.allclose(cut, expected)


def test_brackets_are_words_in_jobs_that_do_not_ask_for_weights(networks):
    tokens = networks["sd1"].embed(["(red)"]).tokens
    weighed = networks["sd1"].embed([r"\(red\)"], syntax="webui").tokens
    assert torch.equal(tokens, weighed)


def test_the_weight_of_words_in_two_brackets_is_their_product(networks):
    twice = networks["sd1"].embed(["((red)) ball"], syntax="webui").tokens
    once = networks["sd1"].embed(["(red:1.21) ball"], syntax="webui").tokens
    torch.testing.assert_close(twice, once)
