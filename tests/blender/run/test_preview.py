"""What steers the frames can be looked at before any is made."""

import bpy
import numpy as np
import pytest

from blender_addon.capture.images import Place, read
from blender_addon.job.generation import FINISHED
from blender_addon.run import preview, scene_job, session, strips


def test_what_holds_still_is_white_and_directions_differ():
    flow = np.zeros((4, 64, 2), np.float32)
    assert (preview.flow_colours(flow) == 255).all()
    flow[..., 0] = 8
    assert preview.flow_colours(flow)[0, 0].tolist() == [255, 0, 0]
    flow[..., 0] = -8
    assert preview.flow_colours(flow)[0, 0].tolist() == [0, 255, 255]


def test_slow_movement_is_paler_than_fast():
    slow, fast = (
        preview.flow_colours(np.full((1, 64, 2), speed, np.float32))[0, 0] for speed in (0.5, 2)
    )
    assert slow.sum() > fast.sum()


def finished(scene, numbers, conclude):
    """The preview of these frames, driven to its end; the painter stands for the engine that
    draws."""
    generation = scene_job.preview_of(scene, session.engine(), numbers)
    session.begin(generation, scene, conclude)
    while session.now.is_busy:
        session.tick()
    assert generation.end == FINISHED, generation.error
    return generation


def test_one_frame_is_shown_with_its_motion_beside_it(scene, painter):
    scene.t2vz.mode = "depth"
    finished(scene, [1, 2], preview.show_frame)
    shown = bpy.data.images[preview.NAME]
    assert tuple(shown.size) == (64 * 2 + preview.GAP_PX, 64)


def test_a_second_preview_replaces_the_first(scene, painter):
    scene.t2vz.mode = "depth"
    finished(scene, [1, 2], preview.show_frame)
    scene.t2vz.controls.add().kind = "outline"
    finished(scene, [1], preview.show_frame)
    assert tuple(bpy.data.images[preview.NAME].size) == (64 * 3 + 2 * preview.GAP_PX, 64)
    assert len([image for image in bpy.data.images if image.name.startswith(preview.NAME)]) == 1


def test_the_shown_picture_is_a_file_which_blender_asks_nobody_to_save(scene, painter):
    scene.t2vz.mode = "depth"
    for _ in range(2):
        generation = finished(scene, [1, 2], preview.show_frame)
        image = bpy.data.images[preview.NAME]
        assert image.source == "FILE" and not image.is_dirty and image.packed_file is None
        assert bpy.path.abspath(image.filepath) == str(generation.folder / "conditions/preview.png")


def test_a_preview_that_an_earlier_version_made_gives_way(scene, painter):
    old = bpy.data.images.new(preview.NAME, 8, 8)
    old.pack()
    scene.t2vz.mode = "depth"
    finished(scene, [1, 2], preview.show_frame)
    assert [image.source for image in bpy.data.images if image.name == preview.NAME] == ["FILE"]


def test_where_the_prompt_alone_decides_nothing_is_drawn(scene, painter):
    scene.t2vz.mode, scene.t2vz.motion_source = "text", "none"
    with pytest.raises(ValueError, match="the prompt alone decides"):
        scene_job.preview_of(scene, session.engine(), [1])


def test_with_a_prompt_and_motion_only_the_motion_is_drawn(scene, painter):
    scene.t2vz.mode = "text"
    generation = finished(scene, [1, 2], preview.show_frame)
    assert generation.spec.controls == ()
    assert tuple(bpy.data.images[preview.NAME].size) == (64, 64)


def test_a_whole_range_becomes_a_strip_for_each_condition_and_says_where(scene, painter):
    scene.t2vz.mode = "depth"
    scene.t2vz.controls.add().kind = "outline"
    generation = finished(scene, [1, 2, 3], preview.add_strips)
    made = strips.strips_of(scene)
    assert (
        "In the Sequencer of Scene: Motion (channel 1), Conditions: depth" in generation.notes[-1]
    )
    assert {strip.name for strip in made} == {"Conditions: depth", "Conditions: outline", "Motion"}
    assert {len(strip.elements) for strip in made} == {3}


def test_undo_takes_the_strips_away_and_nothing_else(scene, painter):
    scene.t2vz.prompt.text = "a hill"
    bpy.ops.ed.undo_push(message="the artist's own step")
    finished(scene, [1, 2, 3], preview.add_strips)
    bpy.ops.ed.undo()
    assert not strips.strips_of(bpy.context.scene)
    assert bpy.context.scene.t2vz.prompt.text == "a hill"


def motion_at(generation, number):
    """The colour in the middle of a frame's motion picture."""
    return read(Place(generation.folder / f"conditions/motion/{number:04d}.png"), (64, 64))[
        32, 32
    ].tolist()


def test_the_motion_strip_shows_the_papers_motion_grow(scene, painter):
    scene.t2vz.motion_source, scene.t2vz.motion.strength = "strength", (-16, 0)
    generation = finished(scene, [1, 2, 3], preview.add_strips)
    colours = [motion_at(generation, number) for number in (1, 2, 3)]
    assert colours == [
        preview.flow_colours(np.full((1, 64, 2), (x, 0)))[0, 0].tolist() for x in (0, 2, 4)
    ]
    assert colours[0] == [255, 255, 255]


def test_no_motion_is_white_though_the_camera_moves(scene, painter):
    scene.t2vz.motion_source, scene.t2vz.mode = "none", "depth"
    for frame, x in ((1, 7.0), (3, 8.0)):
        scene.camera.location.x = x
        scene.camera.keyframe_insert("location", frame=frame)
    generation = finished(scene, [1, 2, 3], preview.add_strips)
    assert motion_at(generation, 3) == [255, 255, 255]


def test_the_shown_frames_motion_counts_the_frames_left_out(scene, painter):
    scene.t2vz.motion_source, scene.t2vz.motion.strength = "strength", (-16, 0)
    finished(scene, [1, 3], preview.show_frame)
    image = bpy.data.images[preview.NAME]
    last = np.float32(image.pixels[-4 * 8 :]).reshape(-1, 4)[0, :3] * 255
    assert last.round().tolist() == preview.flow_colours(np.full((1, 64, 2), (4, 0)))[0, 0].tolist()


def test_the_button_previews_the_current_frame_against_the_first(scene, painter):
    scene.frame_set(3)
    assert bpy.ops.t2vz.preview(span="FRAME") == {"FINISHED"}
    while session.now.is_busy:
        session.tick()
    assert [frame.number for frame in session.now.generation.spec.frames] == [1, 3]


@pytest.mark.parametrize("shift_px", [(8.0, 0.0), (0.0, -8.0)])
def test_the_motion_shown_is_the_contents(scene, painter, shift_px):
    camera = scene.camera
    camera.matrix_world = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 10), (0, 0, 0, 1))
    camera.data.type = "ORTHO"
    camera.data.ortho_scale = 1.5  # the cube fills the picture
    for frame, part in ((1, 0.0), (2, 1.0)):
        camera.location = (-shift_px[0] * 1.5 / 64 * part, shift_px[1] * 1.5 / 64 * part, 10)
        camera.keyframe_insert("location", frame=frame)
    generation = finished(scene, [1, 2], preview.show_frame)
    assert generation.spec.frames[-1].shift_px == pytest.approx(shift_px, abs=0.05)
