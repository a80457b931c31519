"""Finished frames become one strip that shows each picture at its frame."""

import json
from dataclasses import replace

import bpy
import numpy as np
import pytest

from blender_addon.job import folders
from blender_addon.run import strips
from t2vz_core.wire.job import Frame, JobSpec, Prompt, frame_file, read_job


def paint(path, level, side=16):
    """Saves a grey picture; level 0..1 is its sRGB value."""
    image = bpy.data.images.new(path.stem, side, side)
    image.pixels.foreach_set(np.tile(np.float32([level, level, level, 1]), side * side))
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def job_in(folder, numbers, finished=None):
    """A job folder whose finished frames are painted from dark to bright."""
    (folder / "frames").mkdir(parents=True)
    spec = JobSpec(
        prompt=Prompt("a “red” ball\n🎈"), frames=tuple(Frame(number) for number in numbers)
    )
    folders.write_job(folder, spec)
    for i, number in enumerate(finished or numbers):
        paint(folder / frame_file(number), i / 10)
    return read_job(folder)


def rendered(scene, frame, path):
    """The mean sRGB value, 0..255, of a frame rendered from the sequencer."""
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(path)
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    image = bpy.data.images.load(str(path))
    values = np.empty(16 * 16 * 4, np.float32)
    image.pixels.foreach_get(values)
    return 255 * float(values.reshape(-1, 4)[:, :3].mean())


def test_frames_become_one_strip_with_one_element_each(scene, tmp_path):
    spec = job_in(tmp_path / "job", range(5, 21))
    strip = strips.import_job(scene, tmp_path / "job", spec)
    assert strip.type == "IMAGE" and len(strip.elements) == 16
    assert strips.span_of(strip) == (5, 21)
    assert [element.filename for element in strip.elements] == [
        f"{number:04d}.png" for number in range(5, 21)
    ]


def test_the_sequencer_shows_each_picture_at_its_frame(scene, tmp_path):
    strips.import_job(scene, tmp_path / "job", job_in(tmp_path / "job", range(5, 9)))
    assert rendered(scene, 8, tmp_path / "out.png") == pytest.approx(0.3 * 255, abs=1)


@pytest.mark.parametrize(("render", "scale"), [((16, 16), 1), ((32, 30), 2), ((320, 160), 10)])
def test_a_strip_fills_the_render_or_fits_into_one_of_another_shape(scene, tmp_path, render, scale):
    scene.render.resolution_x, scene.render.resolution_y = render
    strip = strips.import_job(scene, tmp_path / "job", job_in(tmp_path / "job", [1, 2]))
    assert (strip.transform.scale_x, strip.transform.scale_y) == (scale, scale)


@pytest.mark.parametrize(
    ("render", "wide_px", "wide_picture", "scales"),
    [
        ((16, 32), 2, 1.0, (1, 2)),  # 32 by 32 as shown
        ((32, 32), 2, 2.0, (2, 2)),  # rendered files' pixels are as wide as the scene's
        ((33, 32), 1, 33 / 32, (2.0625, 2)),
    ],
)
def test_a_strip_fills_a_render_whose_pixels_are_not_square(
    scene, tmp_path, render, wide_px, wide_picture, scales
):
    """The pictures are 16 by 16."""
    scene.render.resolution_x, scene.render.resolution_y = render
    scene.render.pixel_aspect_x = wide_px
    spec = job_in(tmp_path / "job", [1, 2])
    spec = replace(spec, shot=replace(spec.shot, pixel_aspect=wide_picture))
    strip = strips.import_job(scene, tmp_path / "job", spec)
    assert (strip.transform.scale_x, strip.transform.scale_y) == pytest.approx(scales)


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="every Sequencer shows its window's scene")
def test_sequencers_without_a_scene_show_the_strips_and_no_other(scene, tmp_path):
    other = bpy.data.scenes.new("Edit")
    one, two, *_ = bpy.data.workspaces
    one.sequencer_scene, two.sequencer_scene = None, other
    strips.import_job(scene, tmp_path / "job", job_in(tmp_path / "job", [1, 2]))
    assert one.sequencer_scene == scene and two.sequencer_scene == other


def test_a_strip_remembers_how_it_was_made(scene, tmp_path):
    spec = job_in(tmp_path / "job", [1, 2])
    strip = strips.import_job(scene, tmp_path / "job", spec)
    told = json.loads(strip[strips.PROVENANCE])
    assert told["prompt"]["text"] == spec.prompt.text and told["folder"] == "//job"
    assert strips.folder_of(strip) == tmp_path / "job"


def test_a_saved_blend_remembers_its_frames_by_a_relative_path_and_finds_them_again(
    scene, tmp_path
):
    strips.import_job(scene, tmp_path / "job", job_in(tmp_path / "job", [1, 2, 3, 4]))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "elsewhere.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "elsewhere.blend"))
    scene = bpy.context.scene
    (strip,) = strips.strips_of(scene)
    assert strip.directory.startswith("//") and len(strip.elements) == 4
    assert rendered(scene, 4, tmp_path / "out.png") == pytest.approx(0.3 * 255, abs=1)


def test_a_second_strip_lies_above_the_first_and_changes_it_not(scene, tmp_path):
    one = strips.import_job(scene, tmp_path / "a", job_in(tmp_path / "a", [1, 2, 3]))
    before = (one.name, one.channel, strips.span_of(one))
    two = strips.import_job(scene, tmp_path / "b", job_in(tmp_path / "b", [2, 3]))
    assert two.channel == 2 and before == (one.name, one.channel, strips.span_of(one))
    later = strips.import_job(scene, tmp_path / "c", job_in(tmp_path / "c", [50, 51]))
    assert later.channel == 1


def test_every_third_frame_is_shown_three_frames_long(scene, tmp_path):
    strip = strips.import_job(scene, tmp_path / "job", job_in(tmp_path / "job", [1, 4, 7]))
    assert strips.span_of(strip) == (1, 10)
    assert [element.filename[:4] for element in strip.elements] == ["0001"] * 3 + ["0004"] * 3 + [
        "0007"
    ] * 3


def test_a_stopped_jobs_strip_holds_complete_frames_only(scene, tmp_path):
    spec = job_in(tmp_path / "job", range(1, 9), finished=[1, 2, 3])
    (tmp_path / "job" / "frames" / "0004.png.part").write_bytes(b"half")
    assert len(strips.import_job(scene, tmp_path / "job", spec).elements) == 3


def test_a_job_without_a_frame_is_a_sentence(scene, tmp_path):
    spec = job_in(tmp_path / "job", [1], finished=[2])
    with pytest.raises(ValueError, match="no finished frame"):
        strips.import_job(scene, tmp_path / "job", spec)


def test_the_import_button_takes_any_job_folder(scene, tmp_path):
    job_in(tmp_path / "ä b", [1, 2])
    assert bpy.ops.t2vz.import_frames(directory=str(tmp_path / "ä b")) == {"FINISHED"}
    assert len(strips.strips_of(scene)) == 1


def test_the_import_button_forgets_the_scene_of_the_last_strip():
    assert bpy.ops.t2vz.import_frames.get_rna_type().properties["scene"].is_skip_save


def test_a_view_transform_that_changes_the_colours_is_told(scene):
    scene.view_settings.view_transform = "Standard"
    assert strips.caution(scene) == ""
    scene.view_settings.view_transform = "AgX"
    assert "AgX" in strips.caution(scene)
