"""A model file that is another one than the job was made with is noted."""

import json

import pytest

from t2vz_core.farm.hashes import differences, is_path, write_hashes
from t2vz_core.models.weights import ModelError
from t2vz_core.wire.homes import MODELS_VARIABLE
from t2vz_core.wire.job import Control, Frame, JobSpec, Model


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A models folder with a file and a diffusers folder of one network."""
    home = tmp_path / "models"
    (home / "sd" / "unet").mkdir(parents=True)
    (home / "sd" / "model_index.json").write_text("{}")
    (home / "sd" / "unet" / "config.json").write_text("{}")
    (home / "sd" / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"weights")
    (home / "ink.safetensors").write_bytes(b"ink")
    monkeypatch.setenv(MODELS_VARIABLE, str(home))
    return home


def spec_of(base):
    return JobSpec(model=Model(base), frames=(Frame(1),))


def test_the_same_files_are_no_note_and_neither_is_a_job_without_hashes(tmp_path, models):
    assert differences(tmp_path, spec_of("sd")) == []
    write_hashes(tmp_path, spec_of("sd"))
    assert differences(tmp_path, spec_of("sd")) == []
    said = json.loads((tmp_path / "models.json").read_text())
    assert list(said["sd"]) == ["unet/diffusion_pytorch_model.safetensors"]


@pytest.mark.parametrize("body", [b"WEIGHTS", b"more weights"])
def test_another_file_of_the_same_name_is_a_note_with_both_hashes(tmp_path, models, body):
    write_hashes(tmp_path, spec_of("sd"))
    (models / "sd" / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(body)
    (note,) = differences(tmp_path, spec_of("sd"))
    assert "is not the file that this job was made with (SHA-256 " in note


def test_a_single_file_counts_by_its_name(tmp_path, models):
    write_hashes(tmp_path, spec_of("ink.safetensors"))
    (models / "ink.safetensors").write_bytes(b"INK")
    assert len(differences(tmp_path, spec_of("ink.safetensors"))) == 1


def test_the_demo_model_and_its_controlnets_count_too(tmp_path):
    spec = JobSpec(controls=(Control("depth"),), frames=(Frame(1),))
    write_hashes(tmp_path, spec)
    said = json.loads((tmp_path / "models.json").read_text())
    assert said["demo"] and said["demo/controlnet-depth"] and differences(tmp_path, spec) == []


def test_a_model_that_is_not_here_is_a_sentence(tmp_path, models):
    with pytest.raises(ModelError, match="nowhere"):
        write_hashes(tmp_path, spec_of("nowhere.safetensors"))


@pytest.mark.parametrize("body", ["", "[]", '{"sd": 3}', '{"sd": {"unet/x": 4}}'])
def test_hashes_that_are_not_whole_are_none(tmp_path, models, body):
    (tmp_path / "models.json").write_text(body)
    assert differences(tmp_path, spec_of("sd")) == []


@pytest.mark.parametrize("path", ["/home/a/models/sd", "C:\\Users\\a\\sd", "D:/models/sd"])
def test_a_path_of_another_machine_means_its_name_in_the_models_folder_and_is_noted(
    tmp_path, models, path
):
    (note,) = differences(tmp_path, spec_of(path))
    assert note.startswith(f"{path} is not on this machine: ") and str(models / "sd") in note


def test_paths_of_any_system_are_told_from_names():
    assert is_path("/home/a/sd") and is_path("C:\\models\\sd.safetensors")
    assert not is_path("sd") and not is_path("owner/name") and not is_path("demo/style")
