"""Z-Image from folders and single files, against diffusers' own loading."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from t2vz_core.models import qwen, single_file, z_image
from t2vz_core.models.families import Query, Steering
from t2vz_core.models.float8 import widened
from t2vz_core.models.networks import ModelError, load
from t2vz_core.wire.job import Control, Lora, Model
from tests.core import random_transformers as tiny

PROMPTS = ["a red ball on grass", "blue — 造相", ""]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tiny.write_z_image(tmp_path_factory.mktemp("z") / "Z-Image-Turbo")


@pytest.fixture(scope="session")
def pipeline(folder):
    from diffusers import ZImagePipeline

    return ZImagePipeline.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="session")
def networks(folder):
    return load(Model(str(folder)), (), "cpu")


@pytest.fixture
def tiny_configs(tmp_path, monkeypatch):
    """Has the shipped configurations speak of the tiny networks."""
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "z-image.json").write_text(json.dumps(tiny.CONFIGS))
    tiny.write_merges(configs)
    monkeypatch.setattr(z_image, "CONFIGS", configs)
    monkeypatch.setattr(qwen, "CONFIGS", configs)


def same(one, two):
    one, two = one.state_dict(), two.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in two)


def test_a_folder_gives_the_networks_diffusers_gives(networks, pipeline):
    assert networks.family == "z-image"
    assert same(networks.denoiser, pipeline.transformer)
    assert same(networks.vae, pipeline.vae)
    assert same(networks.text.encoders[0], pipeline.text_encoder)


def test_prompts_embed_as_in_diffusers(networks, pipeline):
    embedding = networks.embed(PROMPTS)
    theirs, _ = pipeline.encode_prompt(list(PROMPTS), "cpu", False)
    assert embedding.lengths == tuple(len(one) for one in theirs)
    for ours, length, one in zip(embedding.tokens, embedding.lengths, theirs, strict=True):
        torch.testing.assert_close(ours[:length], one, rtol=1e-4, atol=1e-4)
        assert torch.equal(ours[length:], ours[length - 1].expand_as(ours[length:]))


def test_a_prompt_that_is_too_long_is_refused(networks):
    with pytest.raises(ModelError, match=r"prompt.text: is \d+ tokens long, this model reads 512"):
        networks.embed(["ball " * 600])


def test_words_that_are_weighed_are_refused_and_brackets_of_plain_text_are_words(networks):
    with pytest.raises(ModelError, match="weighs its words"):
        networks.embed(["a (red:1.2) ball"], 0, "webui")
    plain, same_words = (networks.embed(["a red ball"], 0, how) for how in ("plain", "webui"))
    assert plain.tokens.equal(same_words.tokens)
    assert networks.embed(["a (red:1.2) ball"]).lengths > plain.lengths


def test_the_shipped_tokenizer_knows_qwens_marks():
    ids = qwen.tokenizer()(qwen.QUESTION.format("A red ball, it's 造相")).input_ids
    # numbers of Qwen's published vocabulary
    assert ids[:3] == [151644, 872, 198] and ids[-5:] == [151645, 198, 151644, 77091, 198]
    assert qwen.tokenizer().decode(ids) == qwen.QUESTION.format("A red ball, it's 造相")


def test_it_says_v_as_diffusers_transformer_does(networks, pipeline):
    embedding = networks.embed(PROMPTS[:2])
    x = torch.randn(4, 16, 8, 12)  # two groups of two frames
    with torch.inference_mode():
        ours = networks.predict(Query(x, 900.0, embedding, 2, (64, 96)))
        texts = [row[:n] for row, n in zip(embedding.tokens, embedding.lengths) for _ in (0, 1)]
        time = torch.full((4,), 0.1)
        theirs = pipeline.transformer(list(x[:, :, None]), time, texts, return_dict=False)[0]
    torch.testing.assert_close(ours, -torch.stack(theirs)[:, :, 0], rtol=1e-4, atol=1e-4)


def test_an_image_survives_as_diffusers_decodes_it(networks, pipeline):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    latents = networks.encode(images)
    assert latents.shape == (2, *networks.latent_shape(32, 48)) == (2, 16, 4, 6)
    planes = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        codes = pipeline.vae.encode(planes).latent_dist.mode()
        expected = (pipeline.vae.decode(codes).sample / 2 + 0.5).clamp(0, 1) * 255
    torch.testing.assert_close(latents, (codes - 0.1159) * 0.3611, rtol=1e-4, atol=1e-5)
    for image, truth in zip(networks.decode(latents), expected, strict=True):
        assert np.abs(image - truth.permute(1, 2, 0).numpy()).max() <= 1


def test_a_size_that_it_does_not_paint_is_refused(networks):
    with pytest.raises(ModelError, match="multiples of 16 pixels: choose the width 48 or 64"):
        networks.latent_shape(64, 56)


@pytest.mark.parametrize("in_one", [False, True])
def test_single_files_give_the_same_networks(networks, tmp_path, tiny_configs, in_one):
    path = tiny.write_single_files(tmp_path / "models", networks, in_one=in_one)
    found = load(Model(str(path)), (), "cpu")
    assert same(found.denoiser, networks.denoiser)
    assert same(found.vae, networks.vae)
    assert same(found.text.encoders[0], networks.text.encoders[0])
    assert len(found.notes) == (0 if in_one else 2)
    assert found.embed(PROMPTS).tokens.equal(networks.embed(PROMPTS).tokens)


def test_diffusers_reads_the_same_single_file(networks, tmp_path):
    from diffusers.loaders.single_file_utils import (
        convert_z_image_transformer_checkpoint_to_diffusers as convert,
    )

    path = tiny.write_single_files(tmp_path, networks)
    theirs, ours = convert(load_file(path)), networks.denoiser.state_dict()
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


def test_parts_that_lie_nowhere_or_twice_are_asked_for(networks, tmp_path, tiny_configs):
    path = tiny.write_single_files(tmp_path / "models", networks)
    vae = tmp_path / "models/vae/ae.safetensors"
    shutil.move(vae, tmp_path / "mine.safetensors")
    with pytest.raises(ModelError, match="has no vae in it, and none that fits lies beside it"):
        load(Model(str(path)), (), "cpu")
    named = load(Model(str(path), vae=str(tmp_path / "mine.safetensors")), (), "cpu")
    assert same(named.vae, networks.vae)
    for name in ("one", "two"):
        shutil.copy(tmp_path / "mine.safetensors", vae.with_name(f"{name}.safetensors"))
    with pytest.raises(ModelError, match=r"several lie beside it \(one.safetensors, two"):
        load(Model(str(path)), (), "cpu")
    text = path.parents[1] / "text_encoders/qwen_3_4b.safetensors"
    with pytest.raises(ModelError, match=r"is not the vae that z_image_turbo\.safetensors needs"):
        load(Model(str(path), vae=str(text)), (), "cpu")


@pytest.mark.parametrize("version", tiny.CONTROLS)
def test_a_fun_union_file_steers_as_in_diffusers(folder, pipeline, tmp_path, version):
    from diffusers import ZImageControlNetModel

    path = tiny.write_fun_union(tmp_path / "union.safetensors", version)
    steered = load(Model(str(folder)), [Control("depth", str(path))], "cpu")
    theirs = ZImageControlNetModel(**tiny.control_config(version))
    own = theirs.state_dict()
    theirs.load_state_dict({name: w for name, w in load_file(path).items() if name in own})
    theirs.from_transformer(theirs, pipeline.transformer)
    pictures = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    network = steered.controlnets[0]
    steering = Steering(network, steered.control_input(network, pictures), 0.7, (0,))
    assert steering.input.shape == (1, tiny.CONTROLS[version]["control_in_dim"], 1, 8, 8)
    x, embedding = torch.randn(1, 16, 8, 8), steered.embed(PROMPTS[:1])
    query = Query(x, 500.0, embedding, 1, (64, 64), (steering,))
    with torch.inference_mode():
        ours = steered.predict(query)
        inputs = [list(x[:, :, None]), torch.tensor([0.5]), list(embedding.tokens)]
        hints = theirs(*inputs, steering.input, 0.7)
        truth = pipeline.transformer(*inputs, controlnet_block_samples=hints)[0][0]
        plain = steered.predict(Query(x, 500.0, embedding, 1, (64, 64)))
    torch.testing.assert_close(ours[0], -truth[:, 0], rtol=1e-4, atol=1e-4)
    assert (ours - plain).abs().max() > 1e-3


def test_two_controls_of_one_file_share_its_network(folder, tmp_path):
    path = str(tiny.write_fun_union(tmp_path / "union.safetensors"))
    controls = [Control("depth", path), Control("pose", path)]
    one, two = load(Model(str(folder)), controls, "cpu").controlnets
    assert one is two


def test_a_control_that_its_controlnets_do_not_read_is_refused(folder, tmp_path):
    path = str(tiny.write_fun_union(tmp_path / "union.safetensors"))
    with pytest.raises(ModelError, match="Z-Image's ControlNets read no segments: choose one of"):
        load(Model(str(folder)), [Control("segments", path)], "cpu")


DIALECTS = {
    "diffusers": ("transformer.layers.1.attention.to_q.lora_A.weight", "lora_B"),
    "kohya": ("lora_unet_layers_1_attention_to_q.lora_down.weight", "lora_up"),
    "ComfyUI": ("diffusion_model.layers.1.attention.to_q.lora_A.weight", "lora_B"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_lora_is_added_in_every_dialect(folder, networks, tmp_path, dialect):
    name, up = DIALECTS[dialect]
    down = torch.randn(2, tiny.DIM), torch.randn(tiny.DIM, 2)
    path = tmp_path / "style.safetensors"
    other = name.replace("lora_A", up).replace("lora_down", up)
    save_file({name: down[0], other: down[1]}, path)
    bent = load(Model(str(folder), (Lora(str(path), 0.5),)), (), "cpu")
    layer, plain = (one.denoiser.layers[1].attention.to_q for one in (bent, networks))
    torch.testing.assert_close(layer.weight, plain.weight + 0.5 * down[1] @ down[0])
    assert not bent.notes


def test_a_lora_of_fused_projections_is_shared_out(folder, networks, tmp_path):
    down, up = torch.randn(2, tiny.DIM), torch.randn(3 * tiny.DIM, 2)
    name = "lora_unet_layers_1_attention_qkv"
    path = tmp_path / "style.safetensors"
    save_file({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}, path)
    bent = load(Model(str(folder), (Lora(str(path)),)), (), "cpu")
    for part, delta in zip("qkv", (up @ down).chunk(3)):
        attentions = [one.denoiser.layers[1].attention for one in (bent, networks)]
        changed, plain = (getattr(attention, f"to_{part}") for attention in attentions)
        torch.testing.assert_close(changed.weight, plain.weight + delta)


def test_the_shipped_configurations_have_the_published_sizes():
    from t2vz_core.models.checkpoints import empty_network
    from t2vz_core.models.families import FAMILIES
    from t2vz_core.models.weights import read_config

    configs = read_config(single_file.CONFIGS / "z-image.json")
    sizes = {
        part: sum(w.numel() for w in empty_network(path, configs[part]).parameters())
        for part, path in FAMILIES["z-image"].classes.items()
        if part != "controlnet"
    }
    assert sizes == {
        "transformer": 6_154_908_736,
        "vae": 83_819_683,
        "text_encoder": 4_022_468_096,
    }


def narrowed(parts, scale):
    """The tensors of linear layers in eight bits, as their files have them."""
    for weights in (parts["diffusion_models"], parts["text_encoders"]):
        for name in [n for n, w in weights.items() if w.ndim == 2 and "embed_tokens" not in n]:
            weights[name] = (weights[name] / (scale or 1)).to(torch.float8_e4m3fn)
            if scale:
                weights[f"{name.removesuffix('.weight')}.scale_weight"] = torch.tensor(scale)
    if scale:
        parts["diffusion_models"]["scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)
    return parts


@pytest.mark.parametrize("scale", [None, 0.25])
def test_weights_of_eight_bits_stay_so_and_say_nearly_the_same(
    networks, tmp_path, tiny_configs, scale
):
    parts = narrowed(tiny.single_files(networks), scale)
    path = tiny.write_parts(tmp_path / "models", parts)
    found = load(Model(str(path)), (), "cpu")
    layer = found.denoiser.layers[1].attention.to_k
    assert layer.weight.dtype == torch.float8_e4m3fn
    assert found.denoiser.t_embedder.mlp[0].weight.dtype == torch.float32  # needed in full
    assert found.text.encoders[0].layers[0].mlp.up_proj.weight.dtype == torch.float8_e4m3fn
    truth = networks.denoiser.layers[1].attention.to_k.weight
    torch.testing.assert_close(widened(layer), truth, rtol=0.07, atol=1e-3)
    torch.manual_seed(0)
    x, embedding = torch.randn(1, 16, 8, 8), networks.embed(PROMPTS[:1])
    with torch.inference_mode():
        ours, whole = (
            one.predict(Query(x, 500.0, embedding, 1, (64, 64))) for one in (found, networks)
        )
    assert (ours - whole).norm() < 0.3 * whole.norm()
    assert found.embed(PROMPTS).tokens.isfinite().all()


def test_a_lora_widens_the_layers_it_changes(networks, tmp_path, tiny_configs):
    path = tiny.write_parts(tmp_path / "models", narrowed(tiny.single_files(networks), 0.25))
    down, up = 1e-3 * torch.randn(2, tiny.DIM), torch.randn(tiny.DIM, 2)
    lora = tmp_path / "style.safetensors"
    name = "transformer.layers.1.attention.to_q"
    save_file({f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, lora)
    bent = load(Model(str(path), (Lora(str(lora)),)), (), "cpu").denoiser.layers[1].attention
    plain = load(Model(str(path)), (), "cpu").denoiser.layers[1].attention
    assert bent.to_q.weight.dtype == torch.bfloat16
    assert bent.to_k.weight.dtype == torch.float8_e4m3fn
    torch.testing.assert_close(
        widened(bent.to_q), widened(plain.to_q) + up @ down, rtol=1e-2, atol=1e-3
    )


def write_gguf(path, weights):
    """The transformer's weights as a GGUF file, its larger matrices in blocks of eight bits."""
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(path, "lumina2")
    for name, weight in weights.items():
        array, blocks = weight.float().numpy(), gguf.GGMLQuantizationType.Q8_0
        if array.ndim == 2 and array.shape[1] % 32 == 0:
            array = gguf.quants.quantize(array, blocks)
            writer.add_tensor(name, array, raw_dtype=blocks)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_stays_in_blocks_and_says_nearly_the_same(networks, tmp_path, tiny_configs):
    parts = tiny.single_files(networks)
    tiny.write_parts(tmp_path / "models", parts)
    path = write_gguf(
        tmp_path / "models/diffusion_models/z_image_turbo-Q8_0.gguf", parts["diffusion_models"]
    )
    found = load(Model(str(path)), (), "cpu")
    assert found.facts.family == "z-image" and found.facts.is_distilled
    layer, truth = (one.denoiser.layers[1].attention.to_k for one in (found, networks))
    assert layer.weight.dtype == torch.uint8 and layer.weight.nbytes < truth.weight.nbytes / 3
    torch.testing.assert_close(widened(layer), truth.weight, rtol=0, atol=2e-2)
    assert found.denoiser.t_embedder.mlp[0].weight.dtype == torch.float32
    x, embedding = torch.randn(1, 16, 8, 8), networks.embed(PROMPTS[:1])
    with torch.inference_mode():
        ours, whole = (
            one.predict(Query(x, 500.0, embedding, 1, (64, 64))) for one in (found, networks)
        )
    assert (ours - whole).norm() < 0.05 * whole.norm()
    name = "transformer.layers.1.attention.to_q"
    down, up = torch.randn(2, tiny.DIM), torch.randn(tiny.DIM, 2)
    lora = tmp_path / "style.safetensors"
    save_file({f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}, lora)
    bent = load(Model(str(path), (Lora(str(lora)),)), (), "cpu").denoiser.layers[1].attention.to_q
    plain = found.denoiser.layers[1].attention.to_q
    torch.testing.assert_close(bent.weight, widened(plain) + up @ down, rtol=1e-3, atol=1e-3)


def test_without_its_reader_a_gguf_file_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    path = tmp_path / "z_image_turbo-Q4_K.gguf"
    path.write_bytes(b"GGUF" + bytes(99))
    with pytest.raises(ModelError, match="install the package gguf"):
        load(Model(str(path)), (), "cpu")


def test_other_ways_of_quantising_are_refused(networks, tmp_path, tiny_configs):
    parts = tiny.single_files(networks)
    name = "layers.1.attention.qkv.weight"
    parts["diffusion_models"][name] = parts["diffusion_models"][name].to(torch.int8)
    path = tiny.write_parts(tmp_path / "models", parts)
    with pytest.raises(ModelError, match="is quantised in a way that this engine does not read"):
        load(Model(str(path)), (), "cpu")
