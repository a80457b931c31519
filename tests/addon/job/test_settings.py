"""An artist's settings become the job they ask for."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from blender_addon.job.settings import (
    PARTS,
    base_for,
    frame_numbers,
    part_of,
    picture_size,
    spec_of,
    suited_sentence,
)
from t2vz_core.wire.job import (
    DEMO_MODEL,
    DEMO_SIDE_PX,
    Control,
    Lora,
    Model,
    Motion,
    Sampling,
)


def test_a_group_with_the_same_names_becomes_the_wires_part():
    group = SimpleNamespace(seed=7, steps=20, guidance=np.float32(0.6), scheduler="ddim")
    part = part_of(Sampling, group)
    assert part == dataclasses.replace(Sampling(), seed=7, steps=20, guidance=0.6)


def test_lists_and_vectors_become_tuples():
    lora = SimpleNamespace(path="a.safetensors", weight=0.5)
    group = SimpleNamespace(base="demo", loras=[lora])
    assert part_of(Model, group).loras == (Lora("a.safetensors", 0.5),)
    assert part_of(Motion, SimpleNamespace(strength=[3, -4.5])).strength == (3.0, -4.5)


@pytest.mark.parametrize(
    ("aspect", "side", "size"),
    [
        (1.0, 512, (512, 512)),
        (16 / 9, 512, (704, 384)),
        (16 / 9, 256, (352, 192)),
        (0.5, 512, (384, 768)),
        (2.4, 128, (224, 96)),  # rounded side by side it would be 192×64
        (1 / 2.4, 128, (96, 224)),
        (1.5, 64, (96, 64)),
    ],
)
def test_the_picture_has_the_asked_area_and_the_cameras_aspect(aspect, side, size):
    assert picture_size(aspect, side) == size


def asked(base="demo", loras=(), **sampling):
    """Settings as the panel has them at first, with a model."""
    loras = [SimpleNamespace(path=path, weight=1.0) for path in loras]
    parts = {name: kind() for name, kind in PARTS.items()}
    parts["model"] = SimpleNamespace(base=base, loras=loras)
    parts["sampling"] = dataclasses.replace(Sampling(), **sampling)
    return SimpleNamespace(
        **parts,
        control=Control(),
        controls=(),
        references=(),
        mode="text",
        motion_source="camera",
        follows_render=True,
        side_px=0,
    )


def write_sdxl(path):
    """A file with the table of contents of an SDXL checkpoint."""
    name = "conditioner.embedders.1.model.ln_final.weight"
    table = json.dumps({name: {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(len(table).to_bytes(8, "little") + table + b"\0\0")
    return str(path)


def test_size_0_is_the_models_own_of_folders_and_of_single_files(tmp_path):
    (tmp_path / "folder/unet").mkdir(parents=True)
    (tmp_path / "folder/unet/config.json").write_text('{"sample_size": 128}')
    sides = [
        spec_of(asked(base), 1.0, str).shot.width_px
        for base in (
            str(tmp_path / "folder"),
            write_sdxl(tmp_path / "painted.safetensors"),
            "gone.safetensors",
            "demo",
            "demo/instruct-pix2pix",
        )
    ]
    assert sides == [1024, 1024, 512, DEMO_SIDE_PX, DEMO_SIDE_PX]


def test_settings_left_as_they_are_become_those_that_a_distilled_model_was_made_for(tmp_path):
    turbo = write_sdxl(tmp_path / "sd_xl_turbo_1.0_fp16.safetensors")
    settings = asked(turbo)
    spec = spec_of(settings, 1.0, str)
    assert (spec.sampling.steps, spec.sampling.guidance, spec.sampling.scheduler) == (
        4,
        1.0,
        "euler",
    )
    assert "4 steps, guidance 1 and euler are taken" in suited_sentence(settings, spec)


def test_what_the_artist_has_set_is_kept_with_a_distilled_model(tmp_path):
    turbo = write_sdxl(tmp_path / "sd_xl_turbo_1.0_fp16.safetensors")
    sampling = spec_of(asked(turbo, steps=6, scheduler="lcm"), 1.0, str).sampling
    assert (sampling.steps, sampling.guidance, sampling.scheduler) == (6, 1.0, "lcm")
    settings = asked(turbo)
    settings.follows_model = False
    assert spec_of(settings, 1.0, str).sampling == Sampling()


def test_a_distilled_lora_sets_the_steps_of_the_model_that_it_is_merged_into(tmp_path):
    lora = write_sdxl(tmp_path / "sdxl_lightning_8step_lora.safetensors")
    assert spec_of(asked("demo", [lora]), 1.0, str).sampling.steps == 8


def test_instructions_are_for_the_demo_models_own_checkpoint():
    assert base_for(DEMO_MODEL, "instruct") == "demo/instruct-pix2pix"
    assert base_for(DEMO_MODEL, "depth") == DEMO_MODEL
    assert base_for("my-model", "instruct") == "my-model"


def test_a_range_that_ends_before_it_begins_is_a_sentence():
    assert frame_numbers(3, 9, 3) == [3, 6, 9]
    with pytest.raises(ValueError, match=r"ends \(1\) before it begins \(5\)"):
        frame_numbers(5, 1)
