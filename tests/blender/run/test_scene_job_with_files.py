"""Of files rendered before, a job takes what they hold, and the rest from the scene."""

import bpy
import numpy as np
import pytest

from blender_addon.run import scene_job
from tests.blender.driving import job_of


def rendered(scene, tmp_path, kind="OPEN_EXR_MULTILAYER", passes=("use_pass_z",)):
    """Three frames by Cycles, one sample; Renders is set to them."""
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    for layer in scene.view_layers:
        layer.use_pass_z = False
        for name in passes:
            setattr(layer, name, True)
    form = scene.render.image_settings
    if hasattr(form, "media_type"):
        form.media_type = "MULTI_LAYER_IMAGE" if kind.endswith("LAYER") else "IMAGE"
        form.use_exr_interleave = True  # 5.0 cannot write pixels that are not square otherwise
    form.file_format = kind
    if hasattr(form, "use_exr_interleave"):  # without it 5.0 writes no pixels that are not square
        form.use_exr_interleave = True
    scene.render.filepath = scene.t2vz.rendered = str(tmp_path / "shot_####.exr")
    bpy.ops.render.render(animation=True)


def kinds_of(frame):
    """Which passes a frame has from its file, and which from the scene."""
    passes = {name: path for name, path in vars(frame.passes).items() if path is not None}
    files = {name for name, path in passes.items() if path.endswith(".exr")}
    return files, set(passes) - files


@pytest.mark.parametrize("mode", ["edges", "depth", "instruct"])
@pytest.mark.parametrize("kind", ["OPEN_EXR", "OPEN_EXR_MULTILAYER"])
def test_what_ordinary_renders_lack_is_captured(scene, tmp_path, kind, mode):
    rendered(scene, tmp_path, kind, () if kind == "OPEN_EXR" else ("use_pass_z",))
    scene.t2vz.mode = mode
    files, captured = kinds_of(job_of(scene, tmp_path / "job").frames[1])
    needed = {"edges": "image", "depth": "depth", "instruct": "image"}[mode]
    held = {"image"} if kind == "OPEN_EXR" else {"image", "depth"}
    assert files == {needed} & held and files | captured >= {needed, "ids", "map", "visible"}


def test_what_is_taken_from_the_scene_is_said(scene, tmp_path):
    rendered(scene, tmp_path)
    scene.t2vz.mode = "outline"
    generation = scene_job.generation_of(scene, None, tmp_path / "job")
    generation.step()
    generation.cancel()
    said = "Not in the rendered files, so taken from the scene: ids, normal."
    assert said in generation.notes


def test_an_index_pass_of_nothing_but_zeros_tells_no_objects_apart(scene, tmp_path):
    rendered(scene, tmp_path, passes=("use_pass_z", "use_pass_object_index"))
    scene.t2vz.mode = "segments"
    assert "ids" in kinds_of(job_of(scene, tmp_path / "job").frames[0])[1]
    scene.objects["Cube"].pass_index = 3
    assert "ids" in kinds_of(job_of(scene, tmp_path / "again").frames[0])[0]


@pytest.mark.parametrize(
    "passes", [("use_pass_z",), ("use_pass_vector",)], ids=["no Vector", "no Z"]
)
def test_vectors_that_the_files_lack_are_a_sentence_before_anything(scene, tmp_path, passes):
    rendered(scene, tmp_path, passes=passes)
    scene.t2vz.motion_source = "vectors"
    with pytest.raises(ValueError, match="lack the Vector or the Z pass"):
        scene_job.generation_of(scene, None, tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_of_several_view_layers_the_files_must_hold_the_active_one(scene, tmp_path):
    scene.view_layers.new("Second")
    rendered(scene, tmp_path)
    scene.t2vz.mode = "depth"
    generation = scene_job.generation_of(scene, None, tmp_path / "job", "Second")
    generation.cancel()
    scene.view_layers["Second"].name = "Renamed"
    with pytest.raises(ValueError, match=r"does not hold the view layer Renamed but .*Second"):
        scene_job.generation_of(scene, None, tmp_path / "job", "Renamed")


def test_what_is_no_exr_is_a_sentence_before_anything(scene, tmp_path):
    for number in (1, 2, 3):
        (tmp_path / f"shot_{number:04d}.exr").write_text("no picture")
    scene.t2vz.mode, scene.t2vz.rendered = "depth", str(tmp_path / "shot_####.exr")
    with pytest.raises(ValueError, match=r"shot_0001\.exr is no EXR file"):
        scene_job.generation_of(scene, None, tmp_path / "job")
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    ("resolution", "pixel_aspect"), [((100, 60), (1, 1)), ((60, 60), (2, 1)), ((130, 50), (1, 1))]
)
def test_passes_of_files_and_of_the_scene_lie_on_each_other(
    scene, tmp_path, resolution, pixel_aspect
):
    """The files' whole frame becomes the picture, whose shape is seldom just theirs."""
    exr = pytest.importorskip("t2vz_core.job_folder.exr")
    scene.render.resolution_x, scene.render.resolution_y = resolution
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = pixel_aspect
    scene.objects["Cube"].scale = (1.6, 1.6, 1.6)
    rendered(scene, tmp_path)
    scene.t2vz.mode, scene.t2vz.side_px = "outline", 128
    spec = job_of(scene, tmp_path / "job")
    passes = spec.frames[0].passes
    depth = np.isfinite(exr.read_exr(tmp_path / "job" / passes.depth, "depth"))
    surface = np.load(tmp_path / "job" / passes.normal).any(-1)
    assert surface.mean() > 0.1 and (depth != surface).sum() < 2.5 * sum(depth.shape)
    assert abs(depth.sum() / surface.sum() - 1) < 0.02
    for axis in (0, 1):  # the outermost row and column of both
        ends = [np.flatnonzero(each.any(axis))[[0, -1]] for each in (depth, surface)]
        assert np.abs(ends[0] - ends[1]).max() <= 2
