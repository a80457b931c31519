"""LoRA files in every dialect, merged as W + weight · α/r · B A."""

import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from t2vz_core.models.networks import ModelError, load
from t2vz_core.models.single_file_names import original
from t2vz_core.wire.job import Lora, Model
from tests.core.original_layout import write
from tests.core.random_networks import write_model

UNET_LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
CONVOLUTION = "up_blocks.1.resnets.0.conv1"
TEXT_LAYER = "encoder.layers.0.self_attn.q_proj"
RANK, ALPHA = 2, 1.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def plain(folder):
    return load(Model(str(folder)), (), "cpu")


@pytest.fixture(scope="module")
def matrices(plain):
    """Per layer: A, B and the change W' − W at weight 1."""
    torch.manual_seed(0)
    found = {}
    for name in (UNET_LAYER, CONVOLUTION, TEXT_LAYER):
        weight = layer(plain, name)
        down = torch.randn(RANK, *weight.shape[1:])
        up = torch.randn(weight.shape[0], RANK, *[1] * (weight.ndim - 2))
        change = torch.einsum("or,r...->o...", up.flatten(1), down) * ALPHA / RANK
        found[name] = (down, up, change)
    return found


def layer(networks, name):
    network = networks.text.encoders[0] if name == TEXT_LAYER else networks.unet
    return network.get_submodule(name).weight


def kohya(name):
    part = "lora_te_text_model_" if name == TEXT_LAYER else "lora_unet_"
    return part + name.replace(".", "_")


def kohya_original(name):
    if name == TEXT_LAYER:
        return kohya(name)
    config = {"layers_per_block": 2, "up_block_types": ()}
    return "lora_unet_" + original("unet", name + ".weight", config).removesuffix(
        ".weight"
    ).replace(".", "_")


def diffusers(name):
    return ("text_encoder.text_model." if name == TEXT_LAYER else "unet.") + name


def lycoris(name):
    return kohya(name).replace("lora_unet_", "lycoris_")


def comfy(name):
    if name == TEXT_LAYER:
        return "text_encoders.clip_l.transformer.text_model." + name
    config = {"layers_per_block": 2, "up_block_types": ()}
    return "diffusion_model." + original("unet", name + ".weight", config).removesuffix(".weight")


DIALECTS = {
    "kohya": (kohya, ".lora_down.weight", ".lora_up.weight"),
    "kohya, original block names": (kohya_original, ".lora_down.weight", ".lora_up.weight"),
    "ComfyUI": (comfy, ".lora_down.weight", ".lora_up.weight"),
    "SimpleTuner's LyCORIS": (lycoris, ".lora_down.weight", ".lora_up.weight"),
    "diffusers": (diffusers, ".lora.down.weight", ".lora.up.weight"),
    "PEFT": (diffusers, ".lora_A.weight", ".lora_B.weight"),
}


def write_lora(path, matrices, dialect):
    name_of, down_end, up_end = DIALECTS[dialect]
    weights = {}
    for name, (down, up, _) in matrices.items():
        weights |= {name_of(name) + down_end: down, name_of(name) + up_end: up}
        weights[name_of(name) + ".alpha"] = torch.tensor(ALPHA)
    return write(path, weights)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_changes_the_weights_it_names(tmp_path, folder, plain, matrices, dialect):
    path = write_lora(tmp_path / "lora.safetensors", matrices, dialect)
    networks = load(Model(str(folder), (Lora(str(path), 0.5),)), (), "cpu")
    for name, (_, _, change) in matrices.items():
        torch.testing.assert_close(layer(networks, name), layer(plain, name) + 0.5 * change)
    assert networks.notes == ()
    untouched = "mid_block.attentions.0.proj_in"
    assert torch.equal(layer(networks, untouched), layer(plain, untouched))


def test_several_loras_add_up(tmp_path, folder, plain, matrices):
    path = write_lora(tmp_path / "lora.safetensors", matrices, "kohya")
    networks = load(Model(str(folder), (Lora(str(path), 0.5), Lora(str(path), -2.0))), (), "cpu")
    change = matrices[UNET_LAYER][2]
    torch.testing.assert_close(layer(networks, UNET_LAYER), layer(plain, UNET_LAYER) - 1.5 * change)


def test_alpha_is_the_rank_where_the_file_says_nothing(tmp_path, folder, plain, matrices):
    down, up, change = matrices[UNET_LAYER]
    names = diffusers(UNET_LAYER)
    path = write(
        tmp_path / "a.safetensors", {f"{names}.lora_A.weight": down, f"{names}.lora_B.weight": up}
    )
    networks = load(Model(str(folder), (Lora(str(path)),)), (), "cpu")
    torch.testing.assert_close(
        layer(networks, UNET_LAYER), layer(plain, UNET_LAYER) + change * RANK / ALPHA
    )


def test_layers_without_a_place_are_noted(tmp_path, folder, matrices):
    down, up, _ = matrices[UNET_LAYER]
    weights = {f"{diffusers(name)}.lora_{which}.weight": matrix.clone()
               for name in (UNET_LAYER, "down_blocks.7.nowhere")
               for which, matrix in (("A", down), ("B", up))}  # fmt: skip
    networks = load(
        Model(str(folder), (Lora(str(write(tmp_path / "a.safetensors", weights))),)), (), "cpu"
    )
    assert networks.notes == ("a.safetensors: 1 of its 2 layers have no place in this model.",)


def rand(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def loha(out, into):
    a, b, c, d = rand(out, 3), rand(3, into), rand(out, 3) + 1, rand(3, into) - 1
    return {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d}, ALPHA / 3 * (a @ b) * (
        c @ d
    )


def lokr(out, into):
    a, b, c = rand(4, 2), rand(out // 4, 3), rand(3, into // 2)
    return {"lokr_w1": a, "lokr_w2_a": b, "lokr_w2_b": c}, ALPHA / 3 * torch.kron(a, b @ c)


def whole_lokr(out, into):
    a, b = rand(4, 2), rand(out // 4, into // 2)
    return {"lokr_w1": a, "lokr_w2": b}, torch.kron(a, b)  # without a rank there is no α


@pytest.mark.slow
@pytest.mark.parametrize("relative", [loha, lokr, whole_lokr])
@pytest.mark.parametrize("name", [UNET_LAYER, CONVOLUTION])
def test_the_relatives_of_lora_are_added(tmp_path, folder, plain, relative, name):
    weight = layer(plain, name)
    factors, change = relative(len(weight), weight[0].numel())
    weights = {f"{kohya(name)}.{which}": factor for which, factor in factors.items()}
    path = write(
        tmp_path / "a.safetensors", {**weights, f"{kohya(name)}.alpha": torch.tensor(ALPHA)}
    )
    networks = load(Model(str(folder), (Lora(str(path), 0.5),)), (), "cpu")
    torch.testing.assert_close(layer(networks, name), weight + 0.5 * change.view_as(weight))


def cored_lora(out, into):
    up, core, down = rand(out, 3, 1, 1), rand(3, 4, 3, 3), rand(4, into, 1, 1)
    change = torch.einsum("or,rshw,si->oihw", up[..., 0, 0], core, down[..., 0, 0]) * ALPHA / 4
    return {"lora_up.weight": up, "lora_mid.weight": core, "lora_down.weight": down}, change


def cored_loha(out, into):
    factors, change = {}, ALPHA / 3
    for i in "12":
        a, b, core = rand(3, out) + int(i), rand(3, into), rand(3, 3, 3, 3)
        factors |= {f"hada_w{i}_a": a, f"hada_w{i}_b": b, f"hada_t{i}": core}
        change = change * torch.einsum("ro,rshw,si->oihw", a, core, b)
    return factors, change


def cored_lokr(out, into):
    first, a, b, core = rand(4, 2), rand(3, out // 4), rand(3, into // 2), rand(3, 3, 3, 3)
    second = torch.einsum("ro,rshw,si->oihw", a, core, b)
    change = torch.einsum("ab,oihw->aobihw", first, second).reshape(out, into, 3, 3) * ALPHA / 3
    return {"lokr_w1": first, "lokr_w2_a": a, "lokr_w2_b": b, "lokr_t2": core}, change


@pytest.mark.parametrize("relative", [cored_lora, cored_loha, cored_lokr])
def test_a_convolutions_factors_may_have_a_core(tmp_path, folder, plain, relative):
    weight = layer(plain, CONVOLUTION)
    factors, change = relative(*weight.shape[:2])
    weights = {f"{kohya(CONVOLUTION)}.{which}": factor for which, factor in factors.items()}
    path = write(
        tmp_path / "a.safetensors", {**weights, f"{kohya(CONVOLUTION)}.alpha": torch.tensor(ALPHA)}
    )
    networks = load(Model(str(folder), (Lora(str(path)),)), (), "cpu")
    torch.testing.assert_close(layer(networks, CONVOLUTION), weight + change)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "shape", "axes"),
    [
        ("lora_magnitude_vector.weight", (1, -1, 1, 1), (1, 2, 3)),  # PEFT's, of the outputs
        ("dora_scale", (-1, 1, 1, 1), (1, 2, 3)),  # LyCORIS', of the outputs
        ("dora_scale", (1, -1, 1, 1), (0, 2, 3)),  # LyCORIS', of the inputs
    ],
)
def test_a_dora_says_how_long_the_changed_weights_are(
    tmp_path, folder, plain, matrices, key, shape, axes
):
    down, up, change = matrices[CONVOLUTION]
    weight = layer(plain, CONVOLUTION)
    other = next(axis for axis in range(4) if axis not in axes)
    lengths = rand(weight.shape[other]).abs() + 0.5
    name = kohya(CONVOLUTION)
    weights = {
        f"{name}.lora_down.weight": down,
        f"{name}.lora_up.weight": up,
        f"{name}.alpha": torch.tensor(ALPHA),
    }
    path = write(tmp_path / "a.safetensors", {**weights, f"{name}.{key}": lengths.view(shape)})
    changed = layer(load(Model(str(folder), (Lora(str(path)),)), (), "cpu"), CONVOLUTION)
    torch.testing.assert_close(torch.linalg.vector_norm(changed, dim=axes), lengths)
    bare, length = weight + change, partial(torch.linalg.vector_norm, dim=axes, keepdim=True)
    torch.testing.assert_close(changed / length(changed), bare / length(bare))
    half = layer(load(Model(str(folder), (Lora(str(path), 0.5),)), (), "cpu"), CONVOLUTION)
    torch.testing.assert_close(half, (weight + changed) / 2)


@pytest.mark.parametrize("end", ["q_proj", f"text_model.{TEXT_LAYER}"])
def test_a_layer_of_the_text_encoder_may_have_a_scale_of_its_own(
    tmp_path, folder, plain, matrices, end
):
    down, up, change = matrices[TEXT_LAYER]
    name = diffusers(TEXT_LAYER)
    weights = {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    said = json.dumps({"text_encoder.lora_alpha": 9, "text_encoder.alpha_pattern": {end: ALPHA}})
    path = write(tmp_path / "a.safetensors", weights, {"lora_adapter_metadata": said})
    networks = load(Model(str(folder), (Lora(str(path)),)), (), "cpu")
    torch.testing.assert_close(layer(networks, TEXT_LAYER), layer(plain, TEXT_LAYER) + change)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("said", "scale"),
    [
        ({"unet.lora_alpha": 4}, 4 / RANK),
        ({"unet.lora_alpha": 4, "unet.alpha_pattern": {"to_q": 6}}, 6 / RANK),
        (
            {
                "unet.lora_alpha": 4,
                "unet.alpha_pattern": {"to_k": 6},
                "unet.rank_pattern": {"to_q": RANK},
            },
            4 / RANK,
        ),
        ({"unet.lora_alpha": 4, "unet.use_rslora": True}, 4 / RANK**0.5),
        ({"text_encoder.lora_alpha": 4}, 1),
    ],
)
def test_the_scales_of_peft_are_kept(tmp_path, folder, plain, matrices, said, scale):
    down, up, change = matrices[UNET_LAYER]
    weights = {f"unet.{UNET_LAYER}.lora_A.weight": down, f"unet.{UNET_LAYER}.lora_B.weight": up}
    path = write(tmp_path / "a.safetensors", weights, {"lora_adapter_metadata": json.dumps(said)})
    networks = load(Model(str(folder), (Lora(str(path)),)), (), "cpu")
    expected = layer(plain, UNET_LAYER) + change / (ALPHA / RANK) * scale
    torch.testing.assert_close(layer(networks, UNET_LAYER), expected)


def test_a_folder_of_pefts_own_is_read_with_its_scale(tmp_path, folder, plain, matrices):
    down, up, change = matrices[UNET_LAYER]
    name = f"base_model.model.{UNET_LAYER}"
    weights = {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    write(tmp_path / "adapter_model.safetensors", weights)
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * ALPHA})
    )
    networks = load(Model(str(folder), (Lora(str(tmp_path)),)), (), "cpu")
    torch.testing.assert_close(layer(networks, UNET_LAYER), layer(plain, UNET_LAYER) + 2 * change)


def test_diffusers_first_dialect_names_clips_layers_as_the_unets(tmp_path, folder, plain, matrices):
    down, up, change = matrices[TEXT_LAYER]
    name = "text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora"
    path = write(tmp_path / "a.safetensors", {f"{name}.down.weight": down, f"{name}.up.weight": up})
    networks = load(Model(str(folder), (Lora(str(path)),)), (), "cpu")
    torch.testing.assert_close(
        layer(networks, TEXT_LAYER), layer(plain, TEXT_LAYER) + change * RANK / ALPHA
    )


def test_weights_that_are_not_read_are_noted(tmp_path, folder, matrices):
    down, up, _ = matrices[UNET_LAYER]
    name = kohya(UNET_LAYER)
    weights = {
        f"{name}.lora_down.weight": down,
        f"{name}.lora_up.weight": up,
        f"{name}.diff_b": torch.zeros(2),
    }
    networks = load(
        Model(str(folder), (Lora(str(write(tmp_path / "a.safetensors", weights))),)), (), "cpu"
    )
    assert networks.notes == (f"a.safetensors: 1 of its weights are not read ({name}.diff_b, …).",)


def test_a_pickled_lora_is_read_when_allowed(tmp_path, folder, plain, matrices):
    down, up, change = matrices[UNET_LAYER]
    name = kohya(UNET_LAYER)
    path = tmp_path / "lora.pt"
    torch.save({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}, path)
    with pytest.raises(ModelError, match="can run code"):
        load(Model(str(folder), (Lora(str(path)),)), (), "cpu")
    networks = load(Model(str(folder), (Lora(str(path)),), allow_pickle=True), (), "cpu")
    torch.testing.assert_close(
        layer(networks, UNET_LAYER), layer(plain, UNET_LAYER) + change * RANK / ALPHA
    )


def test_a_lora_for_flux_is_refused_though_the_text_encoder_fits(tmp_path, folder, matrices):
    path = write_lora(tmp_path / "a.safetensors", {TEXT_LAYER: matrices[TEXT_LAYER]}, "kohya")
    flux = "lora_unet_double_blocks_0_img_attn_proj"
    weights = load_file(path) | {
        f"{flux}.lora_down.weight": torch.zeros(2, 4),
        f"{flux}.lora_up.weight": torch.zeros(4, 2),
    }
    with pytest.raises(
        ModelError, match="was not made for this model, which has no unet/double_blocks"
    ):
        load(Model(str(folder), (Lora(str(write(path, weights))),)), (), "cpu")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"model.weight": torch.zeros(2, 2)}, "is not a LoRA that this engine reads"),
        ({f"unet.{UNET_LAYER}.lora_A.weight": torch.zeros(2, 32),
          f"unet.{UNET_LAYER}.lora_B.weight": torch.zeros(32, 3)}, "or is damaged"),
        (
            {"unet.x.lora_A.weight": torch.zeros(2, 4), "unet.x.lora_B.weight": torch.zeros(4, 2)},
            "not made for this",
        ),
        ({f"unet.{UNET_LAYER}.lora_A.weight": torch.zeros(2, 99),
          f"unet.{UNET_LAYER}.lora_B.weight": torch.zeros(99, 2)}, "another family"),
        ({f"{kohya(UNET_LAYER)}.lora_up.weight": torch.zeros(32, 2)}, "lacks 'down'"),
        ({f"unet.{UNET_LAYER}.lora_A.weight": torch.full((2, 32), torch.nan),
          f"unet.{UNET_LAYER}.lora_B.weight": torch.ones(32, 2)}, "values that are no numbers"),
        ({f"unet.{UNET_LAYER}.lora_A.weight": torch.full((2, 32), 1e38),
          f"unet.{UNET_LAYER}.lora_B.weight": torch.full((32, 2), 1e38)}, "are no numbers"),
        (
            {f"{kohya(UNET_LAYER)}.oft_blocks": torch.zeros(2, 2)},
            "is not a LoRA that this engine reads",
        ),
    ],
)  # fmt: skip
def test_a_lora_that_cannot_be_added_gets_a_sentence(tmp_path, folder, weights, sentence):
    path = write(tmp_path / "bad.safetensors", weights)
    with pytest.raises(ModelError, match=sentence) as caught:
        load(Model(str(folder), (Lora(str(path)),)), (), "cpu")
    assert str(path) in str(caught.value)
