"""Words that a file teaches."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from t2vz_core.models.networks import ModelError, load
from t2vz_core.wire.job import Model, TextualInversion
from tests.core.random_networks import write_model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return {f: str(write_model(tmp_path_factory.mktemp(f), f)) for f in ("sd1", "sdxl")}


def known_vectors(networks, words):
    """The vectors that the encoders have for some words."""
    ids = [
        tokenizer(words, add_special_tokens=False).input_ids
        for tokenizer in networks.text.tokenizers
    ]
    tables = [encoder.get_input_embeddings().weight for encoder in networks.text.encoders]
    return [table[one].detach().clone() for table, one in zip(tables, ids)]


def taught(base, path, word=""):
    return load(Model(base, inversions=(TextualInversion(str(path), word),)), (), "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["emb_params", "<my-style>"])
def test_a_word_with_the_vectors_of_others_reads_as_these(models, tmp_path, name):
    plain = load(Model(models["sd1"]), (), "cpu")
    save_file({name: known_vectors(plain, "red ball")[0]}, tmp_path / "mystyle.safetensors")
    networks = taught(models["sd1"], tmp_path / "mystyle.safetensors")
    expected = plain.embed(["blue red ball on grass"]).tokens
    torch.testing.assert_close(networks.embed(["blue mystyle on grass"]).tokens, expected)
    torch.testing.assert_close(networks.embed(["blue MyStyle on grass"]).tokens, expected)


def test_it_weighs_as_any_word(models, tmp_path):
    plain = load(Model(models["sd1"]), (), "cpu")
    save_file({"emb_params": known_vectors(plain, "red")[0]}, tmp_path / "a.safetensors")
    networks = taught(models["sd1"], tmp_path / "a.safetensors", "<red-2>")
    torch.testing.assert_close(
        networks.embed(["(<red-2>:1.3) ball"], syntax="webui").tokens,
        plain.embed(["(red:1.3) ball"], syntax="webui").tokens,
    )


def test_sdxl_learns_in_both_encoders_and_its_pooled_vector_still_ends_where_the_text_does(
    models, tmp_path
):
    plain = load(Model(models["sdxl"]), (), "cpu")
    small, large = known_vectors(plain, "red ball")
    save_file({"clip_l": small, "clip_g": large}, tmp_path / "xl.safetensors")
    networks = taught(models["sdxl"], tmp_path / "xl.safetensors", "thing")
    expected = plain.embed(["red ball on grass"])
    embedding = networks.embed(["thing on grass"])
    torch.testing.assert_close(embedding.tokens, expected.tokens)
    torch.testing.assert_close(embedding.pooled, expected.pooled)


def test_a_word_is_not_found_within_another(models, tmp_path):
    plain = load(Model(models["sd1"]), (), "cpu")
    save_file({"emb_params": torch.ones(1, 32)}, tmp_path / "all.safetensors")
    networks = taught(models["sd1"], tmp_path / "all.safetensors")
    torch.testing.assert_close(networks.embed(["ball"]).tokens, plain.embed(["ball"]).tokens)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"emb_params": torch.ones(1, 48)}, "made for other text encoders"),
        (
            {"clip_l": torch.ones(1, 32), "clip_g": torch.ones(1, 32)},
            "made for other text encoders",
        ),
        ({"emb_params": torch.ones(80, 32)}, "80 vectors"),
        ({"lora_unet_a.lora_down.weight": torch.ones(4, 4), "b": torch.ones(1)}, "is a LoRA"),
    ],
)
def test_a_file_that_teaches_nothing_here_gets_a_sentence(models, tmp_path, weights, sentence):
    save_file(weights, tmp_path / "it.safetensors")
    with pytest.raises(ModelError, match=sentence):
        taught(models["sd1"], tmp_path / "it.safetensors")


def test_old_models_ask_for_none():
    assert dataclasses.asdict(Model())["inversions"] == ()
