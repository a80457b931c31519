"""An artist's settings become the job they ask for."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from blender_addon.job.settings import (
    base_for,
    frame_numbers,
    native_side_px,
    part_of,
    picture_size,
)
from t2vz_core.wire.job import DEMO_MODEL, DEMO_SIDE_PX, Lora, Model, Motion, Sampling


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
    ],
)
def test_the_picture_has_the_asked_area_and_the_cameras_aspect(aspect, side, size):
    assert picture_size(aspect, side) == size


def test_a_models_own_size_is_read_from_its_folder(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/config.json").write_text('{"sample_size": 128}')
    assert native_side_px(str(tmp_path)) == 1024
    assert native_side_px("a-file.safetensors") == 512
    assert native_side_px(DEMO_MODEL) == native_side_px("demo/instruct-pix2pix") == DEMO_SIDE_PX


def test_instructions_are_for_the_demo_models_own_checkpoint():
    assert base_for(DEMO_MODEL, "instruct") == "demo/instruct-pix2pix"
    assert base_for(DEMO_MODEL, "depth") == DEMO_MODEL
    assert base_for("my-model", "instruct") == "my-model"


def test_a_range_that_ends_before_it_begins_is_a_sentence():
    assert frame_numbers(3, 9, 3) == [3, 6, 9]
    with pytest.raises(ValueError, match=r"ends \(1\) before it begins \(5\)"):
        frame_numbers(5, 1)
