"""A reference picture steers as in diffusers' own pipelines with IP-Adapters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import diffusers
import numpy as np
import pytest
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from t2vz_core.fault import Fault
from t2vz_core.models.networks import Networks, load
from t2vz_core.models.weights import ModelError
from t2vz_core.wire.job import Coherence, Control, JobSpec, Model, Motion, Reference, Sampling
from t2vz_core.wire.parse import WireError
from tests.core.random_networks import write_controlnet, write_ip_adapter, write_model
from tests.core.small_jobs import job, make

from .test_ordinary_images import SCHEDULERS, image_of

PIPELINES = {
    "sd1": diffusers.StableDiffusionPipeline,
    "sdxl": diffusers.StableDiffusionXLPipeline,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("references")
    return {family: write_model(folder / family, family) for family in PIPELINES}


def adapter_of(folder: Path, model: Path, is_plus: bool = False, seed: int = 2) -> Path:
    unet = diffusers.UNet2DConditionModel.from_pretrained(model / "unet")
    return write_ip_adapter(folder, unet, is_plus, seed)


def picture_in(folder: Path, name: str = "look.png", seed: int = 7) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 52, 3), np.uint8)
    cv2.imwrite(str(folder / name), pixels)
    return name


def loaded(model: Path, spec: JobSpec) -> Networks:
    return load(Model(str(model)), spec.controls, "cpu", spec.references)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "is_plus", "count"), [("sd1", False, 1), ("sd1", True, 2), ("sdxl", False, 1)]
)
def test_the_anchor_is_the_image_of_diffusers_pipeline(
    models: dict[str, Path], tmp_path: Path, family: str, is_plus: bool, count: int
) -> None:
    files = [adapter_of(tmp_path / str(n), models[family], is_plus, n) for n in range(count)]
    names = [picture_in(tmp_path, f"{n}.png", n) for n in range(count)]
    scales = [0.8, 0.4][:count]
    references = tuple(
        Reference(name, str(file), scale=scale) for name, file, scale in zip(names, files, scales)
    )
    scheduler = "euler" if family == "sdxl" else "ddim"
    spec = job(tmp_path, 1, references=references)
    spec = replace(spec, sampling=Sampling(seed=5, steps=3, scheduler=scheduler))
    ours = make(tmp_path, spec, loaded(models[family], spec))[1]

    plain = load(Model(str(models[family])), (), "cpu")
    sort, extra = SCHEDULERS[scheduler]
    pipeline = PIPELINES[family].from_pretrained(
        models[family],
        scheduler=sort.from_config(dict(plain.scheduler_config), clip_sample=False, **extra),
        image_encoder=CLIPVisionModelWithProjection.from_pretrained(
            files[0].parent / "image_encoder"
        ),
        feature_extractor=CLIPImageProcessorPil(size=32, crop_size=32),
    )
    pipeline.load_ip_adapter(
        [str(file.parent) for file in files],
        subfolder=[""] * count,
        weight_name=[file.name for file in files],
        image_encoder_folder=None,
        low_cpu_mem_usage=False,
    )
    pipeline.set_ip_adapter_scale(scales)
    shown = [Image.open(tmp_path / name).convert("RGB") for name in names]
    theirs = image_of(lambda **_: pipeline, plain, spec, ip_adapter_image=shown)
    assert np.abs(ours - theirs).max() < 1
    bare = replace(spec, references=())
    assert (ours != make(tmp_path, bare, plain)[1]).any()


@pytest.mark.slow
def test_no_frame_depends_on_its_chunk_with_a_controlnet(
    models: dict[str, Path], tmp_path: Path
) -> None:
    control = Control("depth", str(write_controlnet(tmp_path / "control")))
    reference = Reference(
        picture_in(tmp_path), str(adapter_of(tmp_path, models["sd1"])), start=0.2, end=0.8
    )
    spec = job(tmp_path, 3, references=(reference,), controls=(control,), motion=Motion("map"))
    spec = replace(spec, coherence=Coherence(fusion=0.7), sampling=Sampling(steps=4, seed=3))
    nets = loaded(models["sd1"], spec)
    whole, alone = make(tmp_path, spec, nets, chunk=2), make(tmp_path, spec, nets, [3], chunk=1)
    assert np.abs(whole[3].astype(int) - alone[3]).max() <= 1


@pytest.mark.slow
def test_outside_of_its_part_of_the_steps_it_counts_nothing(
    models: dict[str, Path], tmp_path: Path
) -> None:
    file = str(adapter_of(tmp_path, models["sd1"]))
    reference = Reference(picture_in(tmp_path), file, start=0.5, end=0.5)
    spec = job(tmp_path, 1, references=(reference,))
    plain = load(Model(str(models["sd1"])), (), "cpu")
    ours = make(tmp_path, spec, loaded(models["sd1"], spec))[1]
    assert (ours == make(tmp_path, replace(spec, references=()), plain)[1]).all()


def test_an_adapter_for_another_family_gets_a_sentence(
    models: dict[str, Path], tmp_path: Path
) -> None:
    reference = Reference("x.png", str(adapter_of(tmp_path, models["sdxl"])))
    with pytest.raises(ModelError, match="made for another family"):
        load(Model(str(models["sd1"])), (), "cpu", [reference])


def test_what_is_no_adapter_and_what_has_no_encoder_gets_a_sentence(
    models: dict[str, Path], tmp_path: Path
) -> None:
    other = str(models["sd1"] / "unet/diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelError, match="not an IP-Adapter"):
        load(Model(str(models["sd1"])), (), "cpu", [Reference("x.png", other)])
    file = adapter_of(tmp_path / "a/b/c", models["sd1"])
    file = file.rename(tmp_path / "alone.safetensors")
    with pytest.raises(ModelError, match="image_encoder folder beside it"):
        load(Model(str(models["sd1"])), (), "cpu", [Reference("x.png", str(file))])


def test_a_reference_that_is_no_picture_gets_a_sentence(
    models: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "look.png").write_bytes(b"no picture")
    reference = Reference("look.png", str(adapter_of(tmp_path, models["sd1"])))
    spec = job(tmp_path, 1, references=(reference,))
    with pytest.raises(Fault, match="is no picture that can be read; choose another reference"):
        make(tmp_path, spec, loaded(models["sd1"], spec))


def test_a_reference_without_a_file_gets_a_sentence() -> None:
    with pytest.raises(WireError, match=r"^references\[0\]\.adapter: must name a file"):
        JobSpec.from_json({"references": [{"picture": "a.png"}], "frames": [{}]})
