"""Passes read from Blender's own EXR files are those that the scene gives without a render."""

import bpy
import numpy as np
import pytest
from mathutils import Vector

pytest.importorskip("OpenEXR")

from blender_addon.capture import rendered_passes
from blender_addon.capture.cameras import CaptureError
from blender_addon.capture.capture import Wanted, capture
from blender_addon.job import folders
from t2vz_core.job_folder.exr import layer, read_exr
from t2vz_core.job_folder.vector_passes import backward
from t2vz_core.wire.rendered import read_rendered

SIZE = (96, 64)
PASSES = frozenset({"depth", "normal", "ids", "mask", "map", "visible"})
LAYOUTS = (False, True) if bpy.app.version >= (5, 0, 0) else (None,)


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    """A cube that slides and turns on a floor before a moving camera, rendered in every layout; the
    EXRs' folder."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.filter_width = "CYCLES", 1, 0.01
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    bpy.ops.mesh.primitive_plane_add(size=12)
    bpy.context.object.pass_index = 1
    bpy.ops.mesh.primitive_cube_add(size=1, location=(0, 0, 0.5))
    cube = bpy.context.object
    cube.name, cube.pass_index = "Cube", 2
    camera = scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    for frame, x, side in ((1, 0.0, 2.0), (5, 0.5, 2.4)):
        cube.location.x, cube.rotation_euler.z = x, x / 2
        camera.location = (side, -5, 2.2)
        camera.rotation_euler = (
            (Vector((0, 0, 0.7)) - camera.location).to_track_quat("-Z", "Y").to_euler()
        )
        for thing in (cube, camera):
            thing.keyframe_insert("location", frame=frame)
            thing.keyframe_insert("rotation_euler", frame=frame)
    scene.frame_start, scene.frame_end = 1, 4
    for name in ("z", "vector", "normal", "object_index", "cryptomatte_object"):
        setattr(bpy.context.view_layer, f"use_pass_{name}", True)
    form = scene.render.image_settings
    if hasattr(form, "media_type"):
        form.media_type = "MULTI_LAYER_IMAGE"
    form.file_format = "OPEN_EXR_MULTILAYER"
    folder = tmp_path_factory.mktemp("exr")
    for is_interleaved in LAYOUTS:
        if is_interleaved is not None:
            form.use_exr_interleave = is_interleaved
        scene.render.filepath = str(folder / f"{is_interleaved}_####.exr")
        bpy.ops.render.render(animation=True)
    yield folder
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def captured(passes=PASSES):
    cube = bpy.data.objects["Cube"]
    return capture(
        bpy.context.scene, bpy.context.view_layer, Wanted(*SIZE, passes, subject=cube), range(1, 5)
    )


def from_files(folder, job, files):
    """Last frame's passes, read by the engine's side out of a job folder that the add-on wrote."""
    arrays = rendered_passes.with_files(
        captured(frozenset()), bpy.context.scene, bpy.context.view_layer, SIZE, str(folder / files),
        PASSES,
        bpy.data.objects["Cube"],
    )  # fmt: skip
    last = [folders.write_frame(job, each) for each in arrays][-1]
    path = job / last.passes.depth
    read = {name: read_exr(path, name) for name in ("depth", "normal", "ids", "mask", "image")}
    return {**read, **dict(zip(("map", "visible"), backward(path)))}


@pytest.fixture(scope="module")
def truth(shot):
    return list(captured())[-1]


@pytest.fixture(scope="module", params=LAYOUTS)
def passes(request, shot, tmp_path_factory):
    return from_files(shot, tmp_path_factory.mktemp("job"), f"{request.param}_####.exr")


def test_depth_is_the_captured_depth(passes, truth):
    known = np.isfinite(truth.depth) & np.isfinite(passes["depth"])
    assert (np.isfinite(truth.depth) == np.isfinite(passes["depth"])).mean() > 0.99
    assert np.percentile(abs(passes["depth"][known] / truth.depth[known] - 1), 97) < 1e-3


def test_normals_are_the_captured_normals(passes, truth):
    known = np.isfinite(truth.depth) & np.isfinite(passes["depth"])
    angles = np.degrees(np.arccos(np.clip((passes["normal"] * truth.normal).sum(-1), -1, 1)))
    assert np.percentile(angles[known], 97) < 1


def test_objects_and_the_subjects_mask_are_the_captured_ones(passes, truth):
    both = (passes["mask"] > 0) & (truth.mask > 0)
    assert both.sum() / ((passes["mask"] > 0) | (truth.mask > 0)).sum() > 0.97
    assert set(np.unique(passes["ids"])) == {0, 1, 2} and (passes["ids"][both] == 2).all()


def test_the_chained_vectors_are_the_composed_map(passes, truth):
    known = (passes["visible"] > 0) & (truth.visible > 0)
    assert (passes["visible"] == truth.visible).mean() > 0.95
    error = abs(passes["map"] - truth.map).max(-1)[known]
    assert np.median(error) < 0.05 and np.percentile(error, 97) < 0.5


def test_the_captured_flow_is_what_blenders_vectors_say(shot, tmp_path):
    """Before and after the third of four frames, where nothing is clipped and both ways exist."""
    run = capture(
        bpy.context.scene,
        bpy.context.view_layer,
        Wanted(*SIZE, frozenset(), has_flow=True),
        range(1, 5),
    )
    _, _, third, fourth = run
    files = rendered_passes.with_files(
        captured(frozenset()),
        bpy.context.scene,
        bpy.context.view_layer,
        SIZE,
        str(shot / f"{LAYOUTS[0]}_####.exr"),
        PASSES,
    )
    path = [tmp_path / folders.write_frame(tmp_path, each).passes.depth for each in files][2]
    vector, seen = layer(path, read_rendered(path), "vector"), np.isfinite(read_exr(path, "depth"))
    for flow, told in ((third.flow_back, vector[..., :2]), (fourth.flow_here, -vector[..., 2:])):
        error = np.abs(flow[..., :2] - told * (1, -1)).max(-1)[seen & (flow[..., 2] > 0)]
        assert error.size > 1000 and np.percentile(error, 97) < 0.05


def test_each_frame_names_the_view_layer_that_its_file_is_read_for(shot, tmp_path):
    from_files(shot, tmp_path, f"{LAYOUTS[0]}_####.exr")
    assert read_rendered(tmp_path / "passes/rendered/0001.exr").layer == "ViewLayer"


def test_the_picture_comes_along(passes):
    assert passes["image"].shape == (*SIZE[::-1], 3) and passes["image"].dtype == np.uint8


def test_a_missing_file_is_a_sentence_and_ends_the_capture(shot):
    arrays = rendered_passes.with_files(
        captured(frozenset()),
        bpy.context.scene,
        bpy.context.view_layer,
        SIZE,
        str(shot / "no_##.exr"),
        PASSES,
    )
    bpy.context.scene.frame_set(3)
    with pytest.raises(CaptureError, match=r"^Frame 1 has no rendered file .*no_01\.exr"):
        next(arrays)
    assert bpy.context.scene.frame_current == 3


def test_vectors_with_a_frame_left_out_are_refused(shot, tmp_path):
    arrays = capture(bpy.context.scene, bpy.context.view_layer, Wanted(*SIZE, frozenset()), [1, 3])
    files = rendered_passes.with_files(
        arrays,
        bpy.context.scene,
        bpy.context.view_layer,
        SIZE,
        str(shot / f"{LAYOUTS[0]}_####.exr"),
        PASSES,
    )
    next(files)
    with pytest.raises(CaptureError, match="make every frame"):
        next(files)
