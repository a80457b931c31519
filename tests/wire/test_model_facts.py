"""What a model is, known from its table of contents or its configuration."""

import json
import struct
import zipfile

import pytest

from t2vz_core.wire.model_facts import (
    TELLTALES,
    VELOCITY_MARK,
    ModelFacts,
    Suggestion,
    facts_of,
    facts_together,
    prediction_of,
)

SD1, SD2, SDXL = (TELLTALES[family][0] for family in ("sd1", "sd2", "sdxl"))


def write_file(path, names, metadata=None, weights=None):
    """A .safetensors file with these names, each of them empty or with these float16 numbers."""
    table, body = {}, b""
    for name in names:
        numbers = (weights or {}).get(name, [])
        start = len(body)
        body += struct.pack(f"<{len(numbers)}e", *numbers)
        table[name] = {"dtype": "F16", "shape": [len(numbers)], "data_offsets": [start, len(body)]}
    if metadata:
        table["__metadata__"] = metadata
    header = json.dumps(table).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + body)
    return path


def write_folder(path, unet, scheduler=None):
    for part, config in (
        ("unet/config.json", unet),
        ("scheduler/scheduler_config.json", scheduler),
    ):
        if config is not None:
            (path / part).parent.mkdir(parents=True)
            (path / part).write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    ("names", "metadata", "family", "side_px"),
    [
        ((SD1,), {}, "sd1", 512),
        (("cond_stage_model.transformer.final_layer_norm.weight",), {}, "sd1", 512),
        (("state_dict." + SD1,), {}, "sd1", 512),
        ((SDXL,), {}, "sdxl", 1024),
        ((SDXL,), {"modelspec.resolution": "768x768"}, "sdxl", 768),
        ((SD2,), {}, "sd2", 512),
        ((SD2,), {"modelspec.prediction_type": "v"}, "sd2", 768),
        (("lora_unet_x.lora_down.weight",), {}, "", 512),
    ],
)
def test_a_files_table_tells_family_and_size(tmp_path, names, metadata, family, side_px):
    facts = facts_of(write_file(tmp_path / "a.safetensors", names, metadata))
    assert (facts.family, facts.native_side_px) == (family, side_px)


@pytest.mark.parametrize(("spread", "side_px"), [(0.2, 768), (0.02, 512)])
def test_of_a_silent_file_of_sd_2_one_weight_tells_prediction_and_size(tmp_path, spread, side_px):
    weights = {VELOCITY_MARK: [spread, -spread] * 160}
    facts = facts_of(write_file(tmp_path / "a.safetensors", (SD2, VELOCITY_MARK), {}, weights))
    assert facts.native_side_px == side_px
    assert facts.prediction == ("v_prediction" if side_px == 768 else "epsilon")


@pytest.mark.parametrize(
    ("names", "metadata", "predicted"),
    [
        ((), {"modelspec.prediction_type": "v"}, "v_prediction"),
        ((), {"modelspec.predict_key": "v"}, "v_prediction"),
        ((), {"modelspec.predict_key": "epsilon"}, "epsilon"),
        (("v_pred",), {}, "v_prediction"),
        ((), {}, ""),
    ],
)
def test_a_file_says_what_it_predicts_in_metadata_or_marks(tmp_path, names, metadata, predicted):
    assert prediction_of(tmp_path / "a.safetensors", names, metadata, lambda _: ()) == predicted


def test_a_yaml_beside_a_file_says_what_it_predicts(tmp_path):
    (tmp_path / "a.yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert prediction_of(tmp_path / "a.safetensors", (), {}, lambda _: ()) == "v_prediction"
    (tmp_path / "b.yaml").write_text("model:\n  params:\n    linear_start: 0.00085\n")
    assert prediction_of(tmp_path / "b.safetensors", (), {}, lambda _: ()) == "epsilon"


def test_a_folders_configurations_tell_the_same(tmp_path):
    sdxl = write_folder(tmp_path / "a", {"sample_size": 128, "addition_embed_type": "text_time"})
    assert facts_of(sdxl) == ModelFacts("sdxl", 1024)
    sd2 = write_folder(
        tmp_path / "b",
        {"sample_size": 96, "use_linear_projection": True},
        {"prediction_type": "v_prediction"},
    )
    assert facts_of(sd2) == ModelFacts("sd2", 768, "v_prediction")


def test_z_image_is_known_from_its_file_and_its_folder(tmp_path):
    names = [f"model.diffusion_model.{TELLTALES['z-image'][0]}"]
    base = facts_of(write_file(tmp_path / "z_image_bf16.safetensors", names))
    turbo = facts_of(write_file(tmp_path / "z_image_turbo_bf16.safetensors", names))
    assert (base.family, base.native_side_px, base.prediction) == ("z-image", 1024, "flow")
    assert base.suggested == Suggestion(30, 4.0, "euler") and not base.is_distilled
    assert turbo.suggested == Suggestion(8, 1.0, "euler") and turbo.is_distilled
    folder = tmp_path / "Z-Image-Turbo"
    (folder / "transformer").mkdir(parents=True)
    config = json.dumps({"_class_name": "ZImageTransformer2DModel"})
    (folder / "transformer/config.json").write_text(config)
    assert facts_of(folder) == turbo


def test_a_pickle_is_known_by_the_names_in_it_and_not_unpickled(tmp_path):
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nabort\n)R" + SDXL.encode())
    assert facts_of(path).native_side_px == 1024
    legacy = tmp_path / "b.ckpt"
    legacy.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j" + SD2.encode() + b"\0" * 99)
    assert facts_of(legacy).family == "sd2"


@pytest.mark.parametrize(
    ("name", "side_px"), [("v2-1_768-ema-pruned.ckpt", 768), ("v2-1_512-ema-pruned.ckpt", 512)]
)
def test_a_pickle_of_sd_2_is_as_large_as_its_name_says(tmp_path, name, side_px):
    (tmp_path / name).write_bytes(b"\x80\x02" + SD2.encode() + VELOCITY_MARK.encode())
    assert facts_of(tmp_path / name).native_side_px == side_px


@pytest.mark.parametrize(
    ("name", "steps", "guidance", "scheduler"),
    [
        ("sdxl_lightning_4step_lora", 4, 1.0, "euler"),
        ("sdxl_lightning_8step_unet", 8, 1.0, "euler"),
        ("DreamShaperXL_Turbo_v2_1", 4, 1.0, "euler"),
        ("Hyper-SDXL-12steps-CFG-lora", 12, 5.0, "ddim"),
        ("lcm-lora-sdv1-5", 8, 1.0, "lcm"),
        ("dmd2_sdxl_4step_lora_fp16", 4, 1.0, "lcm"),
    ],
)
def test_a_distilled_models_name_tells_what_suits_it(tmp_path, name, steps, guidance, scheduler):
    facts = facts_of(write_file(tmp_path / f"{name}.safetensors", (SDXL,)))
    assert facts.is_distilled and facts.suggested == Suggestion(steps, guidance, scheduler)
    assert facts.begins_at_noise == (scheduler != "lcm")


@pytest.mark.parametrize(
    "name", ["hyperrealism", "sd_xl_base_1.0", "film_calcmodel", "v1-5-pruned"]
)
def test_other_names_are_no_distilled_models(tmp_path, name):
    assert not facts_of(write_file(tmp_path / f"{name}.safetensors", (SDXL,))).is_distilled


def test_a_lora_that_was_trained_on_pictures_is_a_style_whatever_its_name(tmp_path):
    trained = {"ss_tag_frequency": '{"10_storm": {"lightning": 20}}', "ss_network_dim": "16"}
    path = tmp_path / "Lightning_Storm_Style.safetensors"
    assert not facts_of(write_file(path, ("lora_unet_x.lora_down.weight",), trained)).is_distilled


def test_the_hubs_cache_and_nameless_files_go_by_their_folders_name(tmp_path):
    snapshot = tmp_path / "models--stabilityai--sdxl-turbo/snapshots/0123"
    assert facts_of(write_folder(snapshot, {"sample_size": 64})).suggested.steps == 4
    folder = tmp_path / "lcm-lora-sdv1-5"
    folder.mkdir()
    file = write_file(
        folder / "pytorch_lora_weights.safetensors", ("lora_unet_x.lora_down.weight",)
    )
    assert facts_of(file).suggested.scheduler == facts_of(folder).suggested.scheduler == "lcm"


def test_a_distilled_lora_makes_its_model_one(tmp_path):
    model = ModelFacts("sdxl", 1024)
    style = ModelFacts()
    lora = ModelFacts(is_distilled=True, suggested=Suggestion(8, 1.0, "euler"))
    both = facts_together(model, [lora, style])
    assert (both.native_side_px, both.is_distilled, both.suggested.steps) == (1024, True, 8)
    assert facts_together(model, [style]) == model


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]"])
def test_what_cannot_be_read_is_unknown_and_no_fault(tmp_path, body):
    path = tmp_path / "a.safetensors"
    path.write_bytes(body)
    assert facts_of(path) == facts_of(tmp_path / "gone.safetensors") == ModelFacts()


def test_a_file_that_was_replaced_is_read_again(tmp_path):
    path = write_file(tmp_path / "a.safetensors", (SD1,))
    assert facts_of(path).family == "sd1"
    assert facts_of(write_file(path, (SDXL,))).family == "sdxl"
