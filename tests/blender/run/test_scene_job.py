"""What a scene's settings ask for is what the job folder says."""

import math

import bpy
import numpy as np
import pytest

from blender_addon.run import scene_job, session
from tests.blender import rigs
from tests.blender.driving import job_of


def key_strength(scene):
    scene.t2vz.motion_source = "strength"
    for number, strength in ((1, (0, 0)), (3, (16, -8))):
        scene.t2vz.motion.strength = strength
        scene.keyframe_insert("t2vz.motion.strength", frame=number)


def test_a_strength_that_is_not_keyed_is_the_papers(scene, tmp_path):
    scene.t2vz.motion_source = "strength"
    spec = job_of(scene, tmp_path / "job")
    assert spec.motion.mode == "strength" and {frame.shift_px for frame in spec.frames} == {
        (0.0, 0.0)
    }


def test_an_empty_prompt_is_refused_before_anything_is_captured(scene, painter, tmp_path):
    scene.t2vz.prompt.text = "  "
    with pytest.raises(ValueError, match="The prompt is empty"):
        scene_job.generation_of(scene, session.engine(), tmp_path / "job")
    assert not (tmp_path / "job").exists()
    scene.t2vz.mode, scene.t2vz.control.is_guess = "depth", True
    assert scene_job.generation_of(scene, session.engine(), tmp_path / "job").spec.controls


@pytest.mark.parametrize("is_open", [True, False])
def test_a_keyed_strength_adds_up_from_frame_to_frame(scene, tmp_path, is_open):
    """Half of (16, -8) at the frame between the keys; 1/512 of 64 px is 1/8 px, and plus is left
    and up."""
    key_strength(scene)
    if not is_open:
        bpy.context.window.scene = bpy.data.scenes.new("open")
    spec = job_of(scene, tmp_path / "job")
    assert spec.motion.mode == "translation"
    assert [frame.shift_px for frame in spec.frames] == [(0.0, 0.0), (-1.0, 0.5), (-3.0, 1.5)]


def test_a_keyed_strength_starts_anew_at_a_cut(scene, tmp_path):
    key_strength(scene)
    other = scene.camera.copy()
    scene.collection.objects.link(other)
    scene.timeline_markers.new("one", frame=1).camera = scene.camera
    scene.timeline_markers.new("two", frame=2).camera = other
    spec = job_of(scene, tmp_path / "job")
    assert [frame.shift_px for frame in spec.frames] == [(0.0, 0.0), (0.0, 0.0), (-2.0, 1.0)]


def test_a_prompt_alone_starts_anew_at_a_cut_too(scene, tmp_path):
    scene.t2vz.motion_source, scene.t2vz.mode = "none", "text"
    for name, frame in (("one", 1), ("two", 3)):
        other = scene.camera.copy()
        scene.collection.objects.link(other)
        scene.timeline_markers.new(name, frame=frame).camera = other
    spec = job_of(scene, tmp_path / "job")
    assert [frame.is_anchor for frame in spec.frames] == [True, False, True]


def test_a_driven_strength_is_followed_too(scene, tmp_path):
    scene.t2vz.motion_source = "strength"
    driver = scene.driver_add("t2vz.motion.strength", 0).driver
    driver.expression = "frame * 4"
    scene.t2vz.motion.strength = (0, 0)
    spec = job_of(scene, tmp_path / "job")
    assert [frame.shift_px[0] for frame in spec.frames] == [0.0, -1.0, -2.5]


def test_keys_of_other_settings_leave_the_strength_the_papers(scene, tmp_path):
    scene.t2vz.motion_source = "strength"
    scene.t2vz.sampling.keyframe_insert("guidance", frame=1)
    assert job_of(scene, tmp_path / "job").motion.mode == "strength"


def test_hands_are_a_pass_of_their_own_on_request(scene, tmp_path):
    rigs.build("Unreal")
    scene.camera.location, scene.camera.rotation_euler = (0, -6, 1), (math.pi / 2, 0, 0)
    scene.objects["Cube"].hide_render = True
    scene.t2vz.mode = "pose"
    assert job_of(scene, tmp_path / "plain").frames[0].passes.hands is None
    scene.t2vz.has_hands = True
    assert job_of(scene, tmp_path / "hands").frames[0].passes.hands == "passes/hands/0001.npy"


def test_a_vector_pass_without_files_that_hold_one_is_a_sentence(scene, tmp_path):
    scene.t2vz.motion_source = "vectors"
    for files in ("", "//film.mp4", "//shot_####.png"):
        scene.t2vz.rendered = files
        with pytest.raises(ValueError, match="The Vector Pass needs Renders"):
            scene_job.generation_of(scene, None, tmp_path / "job")
        assert not (tmp_path / "job").exists()


def test_a_preview_of_one_frame_says_whose_depths_it_shows(scene, painter):
    scene.t2vz.mode = "depth"
    one, whole = (scene_job.preview_of(scene, None, numbers) for numbers in ([1, 2], [1, 2, 3]))
    assert one.notes == [scene_job.FEW_DEPTHS] and whole.notes == []
    scene.t2vz.shot.near, scene.t2vz.shot.far = 1, 9
    assert scene_job.preview_of(scene, None, [1, 2]).notes == []


def test_the_objects_own_colours_are_the_segments(scene, tmp_path):
    """Linear 0.5 is 188 in sRGB; an object left white has no colour of its own."""
    scene.t2vz.mode = "segments"
    cube = scene.objects["Cube"]
    cube.color = (1, 0.5, 0, 1)
    spec = job_of(scene, tmp_path / "job")
    ids = np.load(tmp_path / "job" / spec.frames[0].passes.ids)
    (colour,) = spec.colours
    assert colour.rgb == (255, 188, 0) and set(np.unique(ids)) == {0, colour.id}
    cube.color = (1, 1, 1, 1)
    assert job_of(scene, tmp_path / "plain").colours == ()


def test_jobs_without_segments_tell_no_colours(scene, tmp_path):
    scene.objects["Cube"].color = (1, 0, 0, 1)
    assert job_of(scene, tmp_path / "job").colours == ()


def test_of_several_view_layers_the_one_that_is_captured_is_named(scene, tmp_path):
    scene.view_layers.new("Foreground")
    generation = scene_job.generation_of(scene, None, tmp_path / "job")
    generation.step()
    generation.cancel()
    assert (
        "Only the view layer ViewLayer is captured; renders put several together."
        in generation.notes
    )


def second_layer(scene):
    """A view layer without the cube, shown in the window."""
    cube = scene.objects["Cube"]
    apart = bpy.data.collections.new("Apart")
    scene.collection.children.link(apart)
    apart.objects.link(cube)
    for collection in [each for each in cube.users_collection if each != apart]:
        collection.objects.unlink(cube)
    bpy.ops.mesh.primitive_uv_sphere_add(location=(0, 0, 2))
    layer = scene.view_layers.new("Bare")
    layer.layer_collection.children["Apart"].exclude = True
    bpy.context.window_manager.windows[0].view_layer = layer
    return layer


@pytest.mark.parametrize("is_open", [True, False])
def test_the_view_layer_that_was_active_in_the_saved_file_is_captured(scene, tmp_path, is_open):
    second_layer(scene)
    file = str(tmp_path / "layers.blend")
    bpy.ops.wm.save_as_mainfile(filepath=file)
    bpy.ops.wm.open_mainfile(filepath=file)
    opened = bpy.context.scene
    assert scene_job.view_layer_of(opened).name == "Bare"
    if not is_open:
        with bpy.context.temp_override(window=None):
            assert scene_job.view_layer_of(opened).name == "Bare"


def test_a_view_layer_can_be_named(scene, tmp_path):
    second_layer(scene)
    scene.t2vz.mode = "segments"
    found = {}
    for name in ("ViewLayer", "Bare"):
        generation = scene_job.generation_of(scene, None, tmp_path / name, name)
        while generation.end is None:
            generation.step()
        passes = generation.spec.frames[0].passes
        found[name] = set(np.unique(np.load(tmp_path / name / passes.ids)))
    assert len(found["ViewLayer"]) == 3 and len(found["Bare"]) == 2  # with the background
    with pytest.raises(ValueError, match="has no view layer 'Props'; it has ViewLayer, Bare"):
        scene_job.generation_of(scene, None, tmp_path / "job", "Props")


def ball_in(scene, folder, resolution, pixel_aspect):
    """Across and down, px, how far the ball in the middle of a job's first picture reaches."""
    scene.objects["Cube"].hide_render = True
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.6, segments=64, ring_count=32)
    camera = scene.camera
    camera.location, camera.rotation_euler = (0, -6, 0), (math.pi / 2, 0, 0)
    scene.render.resolution_x, scene.render.resolution_y = resolution
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = pixel_aspect
    scene.t2vz.side_px, scene.t2vz.mode = 128, "depth"
    spec = job_of(scene, folder)
    depth = np.load(folder / spec.frames[0].passes.depth)
    return depth.shape[::-1], [np.isfinite(depth).any(axis).sum() for axis in (0, 1)]


@pytest.mark.parametrize("pixel_aspect", [(2, 1), (1, 2)])
def test_a_picture_has_square_pixels_whatever_the_renders_have(scene, tmp_path, pixel_aspect):
    size, (across, down) = ball_in(scene, tmp_path / "job", (200, 200), pixel_aspect)
    assert size == ((192, 96) if pixel_aspect == (2, 1) else (96, 192))
    assert across == pytest.approx(down, abs=1) and across > 15


def test_a_border_that_crops_shapes_the_picture(scene, tmp_path):
    render = scene.render
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x = 0.25, 0.75
    render.border_min_y, render.border_max_y = 0.0, 1.0
    size, (across, down) = ball_in(scene, tmp_path / "job", (200, 100), (1, 1))
    assert size == (128, 128) and across == pytest.approx(down, abs=1)


def test_a_render_region_that_does_not_crop_is_said_to_cut(scene, tmp_path):
    scene.render.use_border, scene.render.border_max_x = True, 0.5
    generation = scene_job.generation_of(scene, None, tmp_path / "job")
    generation.step()
    generation.cancel()
    assert any(note.startswith("Render Region is on without Crop") for note in generation.notes)


def test_of_the_scenes_range_those_frames_are_made_that_a_render_makes(scene):
    scene.frame_end, scene.frame_step = 9, 3
    assert scene.t2vz.frame_numbers() == [1, 4, 7]
    scene.t2vz.every = 2
    assert scene.t2vz.frame_numbers() == [1, 7]
    scene.t2vz.uses_scene_range, scene.t2vz.first, scene.t2vz.last = False, 2, 6
    assert scene.t2vz.frame_numbers() == [2, 4, 6]


def without_camera_and_surface(scene):
    scene.t2vz.mode = "text"
    for item in list(scene.objects):
        bpy.data.objects.remove(item)


@pytest.mark.parametrize("source", ["none", "strength"])
def test_a_prompt_that_nothing_moves_needs_neither_camera_nor_surface(scene, tmp_path, source):
    without_camera_and_surface(scene)
    scene.frame_set(2)
    scene.t2vz.mode, scene.t2vz.motion_source = "text", source
    frames = job_of(scene, tmp_path / "job").frames
    assert [frame.is_anchor for frame in frames] == [True, False, False]
    assert all(path is None for frame in frames for path in vars(frame.passes).values())
    assert scene.frame_current == 2


def test_a_keyed_strength_needs_neither_camera_nor_surface(scene, tmp_path):
    without_camera_and_surface(scene)
    scene.t2vz.mode = "text"
    key_strength(scene)
    frames = job_of(scene, tmp_path / "job").frames
    assert [frame.shift_px for frame in frames] == [(0.0, 0.0), (-1.0, 0.5), (-3.0, 1.5)]


@pytest.mark.parametrize(("source", "mode"), [("camera", "text"), ("none", "depth")])
def test_what_the_scene_moves_or_shapes_needs_a_camera(scene, tmp_path, source, mode):
    without_camera_and_surface(scene)
    scene.t2vz.motion_source, scene.t2vz.mode = source, mode
    generation = scene_job.generation_of(scene, None, tmp_path / "job")
    generation.step()
    assert generation.end == "failed" and "has no camera" in generation.error


def test_nobody_to_be_posed_is_a_sentence_before_anything(scene, tmp_path):
    bpy.ops.object.armature_add()
    scene.t2vz.mode = "pose"
    with pytest.raises(ValueError, match="No armature is recognised as a person"):
        scene_job.generation_of(scene, None, tmp_path / "job")
    assert not (tmp_path / "job").exists()


def test_nothing_in_sight_fails_and_leaves_nothing(scene, tmp_path):
    scene.camera.rotation_euler.x += math.pi
    scene.t2vz.mode = "depth"
    generation = scene_job.generation_of(scene, None, tmp_path / "job")
    while generation.end is None:
        generation.step()
    assert generation.end == "failed" and "camera's sight" in generation.error
    assert not (tmp_path / "job").exists()


class Unasked:
    """An engine that nothing may be asked of."""


@pytest.mark.parametrize(
    ("mode", "base", "said"),
    [
        ("edges", "demo", "Edges cannot be made: the demo model knows depth and pose alone"),
        ("text", "gone.safetensors", "'gone.safetensors' is no model in"),
        ("text", "nobody/nothing", "'nobody/nothing' is no model in"),
    ],
)
def test_a_model_that_is_not_there_or_cannot_is_told_before_the_first_frame(
    scene, tmp_path, mode, base, said
):
    scene.t2vz.mode, scene.t2vz.model.base, scene.t2vz.prompt.text = mode, base, "a hill"
    with pytest.raises(ValueError, match=said):
        scene_job.generation_of(scene, Unasked(), tmp_path / "job")
    assert not (tmp_path / "job").exists()
