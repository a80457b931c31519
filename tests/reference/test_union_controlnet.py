"""A union ControlNet steers as in diffusers' own pipeline, with one kind or several at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
from PIL import Image

from t2vz_core.conditions.controlnet import conditions
from t2vz_core.job_folder.passes import Source
from t2vz_core.models.networks import Networks, load
from t2vz_core.models.weights import ModelError
from t2vz_core.wire.job import Control, Model, Sampling
from tests.core.random_networks import write_model, write_union_controlnet
from tests.core.small_jobs import job, make

from .test_ordinary_images import image_of

NUMBERS = {"depth": 1, "edges": 3}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("union")
    return write_model(folder / "sdxl", "sdxl"), write_union_controlnet(folder / "control")


def loaded(folders: tuple[Path, Path], *controls: Control) -> Networks:
    return load(Model(str(folders[0])), controls, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [("depth",), ("depth", "edges")])
@pytest.mark.parametrize("is_file", [False, True])
def test_the_anchor_is_the_image_of_diffusers_union_pipeline(
    folders: tuple[Path, Path], tmp_path: Path, kinds: tuple[str, ...], is_file: bool
) -> None:
    path = folders[1] / "diffusion_pytorch_model.safetensors" if is_file else folders[1]
    scales = (0.7, 0.4)[: len(kinds)]
    controls = tuple(Control(kind, str(path), scale) for kind, scale in zip(kinds, scales))
    nets = loaded(folders, *controls)
    spec = job(tmp_path, 1, controls=controls)
    spec = replace(spec, sampling=Sampling(seed=5, steps=3, scheduler="euler"))
    pictures = conditions(spec, Source(tmp_path), spec.frames[0])
    theirs = image_of(
        diffusers.StableDiffusionXLControlNetUnionPipeline,
        replace(nets, controlnets=nets.controlnets[:1]),
        spec,
        control_image=[Image.fromarray(picture) for picture in pictures],
        control_mode=[NUMBERS[kind] for kind in kinds],
        controlnet_conditioning_scale=list(scales),
    )
    ours = make(tmp_path, spec, nets)[1]
    assert np.abs(ours - theirs).max() < 1
    assert (ours != make(tmp_path, replace(spec, controls=()), loaded(folders))[1]).any()


def test_a_network_that_several_controls_name_is_loaded_once(folders: tuple[Path, Path]) -> None:
    nets = loaded(folders, Control("depth", str(folders[1])), Control("pose", str(folders[1])))
    assert nets.controlnets[0] is nets.controlnets[1]


def test_for_another_family_it_gets_a_sentence(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="union ControlNet, made for SDXL alone"):
        load(Model(str(write_model(tmp_path / "sd1"))), [Control("depth", str(folders[1]))], "cpu")
