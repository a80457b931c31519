"""Prompts of any length, and the layers that clip skip leaves out."""

import pytest
import torch

from t2vz_core.models.networks import ModelError, load
from t2vz_core.wire.job import Model
from tests.core.random_networks import write_model


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return {
        f: load(Model(str(write_model(tmp_path_factory.mktemp(f), f))), (), "cpu")
        for f in ("sd1", "sdxl")
    }


@pytest.mark.slow
def test_a_prompt_of_2000_words_is_read_to_its_end(networks):
    many = " ".join(["red"] * 2000)
    one, two = (networks["sd1"].embed([f"{many} {word}"]).tokens for word in ("ball", "cube"))
    assert one.shape == (1, 27 * 77, 32)  # 2,001 tokens, 75 to a chunk
    assert torch.equal(one[:, : 26 * 77], two[:, : 26 * 77])
    assert not torch.equal(one, two)


def test_each_chunk_is_embedded_as_a_prompt_of_its_own(networks):
    long = networks["sd1"].embed([" ".join(["red"] * 75 + ["blue"] * 3)]).tokens
    parts = networks["sd1"].embed([" ".join(["red"] * 75), "blue blue blue"]).tokens
    torch.testing.assert_close(long, parts.reshape(1, 2 * 77, 32))


def test_short_texts_get_as_many_chunks_as_the_longest(networks):
    tokens = networks["sd1"].embed(["red", " ".join(["red"] * 76)]).tokens
    assert tokens.shape == (2, 2 * 77, 32)
    torch.testing.assert_close(tokens[:1, 77:], networks["sd1"].embed([""]).tokens)


@pytest.mark.parametrize("text", ["", "quotes \" ' and\nnew\tlines\x00", "日本 🏀 ü"])
def test_any_text_embeds(networks, text):
    assert networks["sd1"].embed([text]).tokens.isfinite().all()


def test_clip_skip_leaves_out_the_last_layers(networks):
    """The reference is the encoder cut short, its last norm applied."""
    encoder = networks["sd1"].text.encoders[0]
    layers = encoder.encoder.layers
    skipped = networks["sd1"].embed(["a red ball"], clip_skip=2).tokens
    encoder.encoder.layers = layers[:-2]
    try:
        expected = networks["sd1"].embed(["a red ball"]).tokens
    finally:
        encoder.encoder.layers = layers
    torch.testing.assert_close(skipped, expected)


def test_clip_skip_beyond_the_encoder_gets_a_sentence(networks):
    with pytest.raises(ModelError, match="3 layers"):
        networks["sd1"].embed(["a red ball"], clip_skip=3)
    with pytest.raises(ModelError, match="3 layers"):
        networks["sdxl"].embed(["a red ball"], clip_skip=2)


def test_sdxl_takes_an_empty_text_as_zeros_and_its_pooled_vector_from_the_first_chunk(networks):
    long = " ".join(["red"] * 80)
    embedding = networks["sdxl"].embed(["", long])
    assert not embedding.tokens[0].any()
    assert not embedding.pooled[0].any()
    torch.testing.assert_close(
        embedding.pooled[1:], networks["sdxl"].embed([" ".join(["red"] * 75)]).pooled
    )
