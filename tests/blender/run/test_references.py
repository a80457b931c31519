"""A reference picture travels with its job."""

import bpy
import pytest

from blender_addon.job.generation import FINISHED
from blender_addon.run import scene_job


def referenced(scene, picture):
    one = scene.t2vz.references.add()
    one.picture, one.adapter, one.scale = str(picture), "adapter.safetensors", 0.8


def test_the_picture_is_copied_into_the_job(scene, tmp_path):
    picture = tmp_path / "look.PNG"
    image = bpy.data.images.new("look", 4, 4)
    image.filepath_raw, image.file_format = str(picture), "PNG"
    image.save()
    referenced(scene, picture)
    generation = scene_job.generation_of(scene, None, tmp_path / "job")
    while generation.end is None:
        generation.step()
    assert generation.end == FINISHED, generation.error
    (one,) = generation.spec.references
    assert (one.picture, one.adapter, one.scale) == (
        "references/01.png",
        "adapter.safetensors",
        0.8,
    )
    assert (tmp_path / "job" / one.picture).read_bytes() == picture.read_bytes()


def test_a_picture_that_is_not_there_gets_a_sentence_and_leaves_nothing(scene, tmp_path):
    referenced(scene, tmp_path / "gone.png")
    with pytest.raises(ValueError, match="is not there: choose a picture"):
        scene_job.generation_of(scene, None, tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_a_reference_without_adapter_gets_a_sentence(scene, tmp_path):
    picture = tmp_path / "look.png"
    picture.write_bytes(b"x")
    referenced(scene, picture)
    scene.t2vz.references[0].adapter = ""
    with pytest.raises(ValueError, match=r"references\[0\]\.adapter: must name a file"):
        scene_job.generation_of(scene, None, tmp_path / "job")
