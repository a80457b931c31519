"""Pictures that the artist has rendered before are found by the frame's number: in files, in a
movie, in a strip."""

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.capture.cameras import CaptureError
from blender_addon.capture.images import Place, check, place_of, read, strips_known, suffix_of

SIZE = (64, 48)
FRAMES = 8


def grey(number):
    """What the picture of a frame shows, 0..1; its lower left is red besides."""
    return number / 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """shot_0001.png … and movie.mp4 of the same pictures, as Blender writes them."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    folder = tmp_path_factory.mktemp("footage")
    for number in range(1, FRAMES + 1):
        image = bpy.data.images.new("frame", *SIZE)
        pixels = np.full((SIZE[1], SIZE[0], 4), grey(number), np.float32)
        pixels[:24, :32, 0] = pixels[..., 3] = 1
        image.pixels.foreach_set(pixels.ravel())
        image.filepath_raw, image.file_format = str(folder / f"shot_{number:04d}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)
    scene = bpy.context.scene
    image_strip(scene, folder)
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = *SIZE, 100
    scene.view_settings.view_transform = "Standard"
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format, render.ffmpeg.format, render.ffmpeg.codec = (
        "FFMPEG",
        "MPEG4",
        "H264",
    )
    render.ffmpeg.constant_rate_factor, render.ffmpeg.gopsize = "LOSSLESS", 3
    scene.frame_start, scene.frame_end, render.filepath = 1, FRAMES, str(folder / "movie.mp4")
    bpy.ops.render.render(animation=True)
    return folder


@pytest.fixture(autouse=True)
def fresh(folder):
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def strips_of(scene):
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def image_strip(scene, folder, start=1):
    strip = strips_of(scene).new_image("Pictures", str(folder / "shot_0001.png"), 1, start)
    for number in range(2, FRAMES + 1):
        strip.elements.append(f"shot_{number:04d}.png")
    return strip


def shown(files, number, size=SIZE):
    """The frame's picture, and the number of the picture that it is."""
    picture = read(place_of(bpy.context.scene, files, number), size)
    return picture, picture[2, -2].mean() / 255 * 16


def test_numbered_files_are_read_by_frame_number(folder):
    files = str(folder / "shot_####.png")
    picture, which = shown(files, 7)
    assert (
        picture.shape == (48, 64, 3)
        and picture.dtype == np.uint8
        and which == pytest.approx(7, abs=0.1)
    )
    assert picture[40, 10, 0] == 255 > picture[10, 10, 0]  # rows go down
    assert shown(files, 3, (24, 16))[0].shape == (16, 24, 3)


@pytest.mark.parametrize("size", [SIZE, (32, 24)])
def test_a_movie_is_read_in_any_order_at_any_size(folder, size):
    """Its first picture is the scene's first frame."""
    bpy.context.scene.frame_start = 11
    for number in (11, 15, 12, 18):
        picture, which = shown(str(folder / "movie.mp4"), number, size)
        assert picture.shape == (size[1], size[0], 3) and which == pytest.approx(
            number - 10, abs=0.2
        )
        assert picture[-8, 5, 0] > 240 > picture[5, 5, 0]


@pytest.mark.parametrize("kind", ["images", "movie"])
def test_a_strip_is_read_where_it_lies_and_as_it_is_cut(folder, kind):
    scene = bpy.context.scene
    if kind == "images":
        strip = image_strip(scene, folder, start=101)
    else:
        strip = strips_of(scene).new_movie("Film", str(folder / "movie.mp4"), 1, 101)
    if hasattr(strip, "left_handle_offset"):
        strip.left_handle_offset = 2
    else:
        strip.frame_offset_start = 2
    assert strips_known(scene) == [strip.name]
    assert shown(strip.name, 103)[1] == pytest.approx(3, abs=0.2)
    assert shown(strip.name, 108)[1] == pytest.approx(8, abs=0.2)
    for outside in (102, 109):
        with pytest.raises(
            CaptureError, match=rf"Frame {outside} is not in the strip .*, which shows 103 to 108"
        ):
            place_of(scene, strip.name, outside)


def test_a_strip_whose_beginning_is_trimmed_starts_later_in_its_files(folder):
    strip = image_strip(bpy.context.scene, folder)
    if hasattr(strip, "content_trim_start"):
        strip.content_trim_start = 3
    else:
        strip.animation_offset_start = 3
    first = strip.left_handle if hasattr(strip, "left_handle") else strip.frame_final_start
    assert shown("Pictures", int(first))[1] == pytest.approx(4, abs=0.1)


def test_the_kind_of_file_is_known_of_strips_too(folder):
    scene = bpy.context.scene
    image_strip(scene, folder).name = "looks like.exr"
    assert (
        suffix_of(scene, "looks like.exr") == ".png"
        and suffix_of(scene, "//shot_####.EXR") == ".exr"
    )


@pytest.mark.parametrize(
    ("files", "number", "said"),
    [
        ("shot_####.png", 9, r"^Frame 9 has no rendered file .*shot_0009\.png"),
        ("shot_0007.png", 7, "put ####"),
        ("r#1/shot.png", 7, "put ####"),
        ("gone.mp4", 1, r"^Frame 1 has no rendered file .*gone\.mp4"),
        ("movie.mp4", 0, "comes before"),
        ("movie.mp4", 9, "ends after 8 frames"),
        ("text_#.png", 1, "no picture that can be read"),
    ],
)
def test_what_is_missing_is_a_sentence_and_nothing_stays_behind(folder, files, number, said):
    (folder / "text_1.png").write_text("no picture")
    with pytest.raises(CaptureError, match=said):
        shown(str(folder / files), number)
    assert not bpy.data.images and not bpy.data.textures


PATHS = ["r#1/shot_####.png", "cam##_####.png", "shot_####.png", "a##.b#.png", "shot_#.png"]
TEMPLATES = ["{blend_name}_{camera_name}_####.png", "x{{y}}_####.png", "{resolution_x}_##.png"]


@pytest.mark.parametrize("files", [*PATHS, *TEMPLATES])
@pytest.mark.parametrize("number", [-2, 7, 12345])
def test_a_frames_file_has_the_name_that_blender_gives_it(tmp_path, files, number):
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a film.blend"))
    render = bpy.context.scene.render
    render.filepath, render.use_file_extension = f"//{files}", False
    try:
        named = Path(render.frame_path(frame=number))
    except RuntimeError:
        pytest.skip("this version does not know the name in the braces")
    named.parent.mkdir(exist_ok=True)
    named.touch()
    video = "VIDEO" if hasattr(render.image_settings, "media_type") else None
    if video:
        render.image_settings.media_type = video
    render.image_settings.file_format = "FFMPEG"
    assert place_of(bpy.context.scene, f"//{files}", number).path == named
    assert render.image_settings.file_format == "FFMPEG" and render.filepath == f"//{files}"


def test_braces_that_blender_does_not_know_are_the_files_own(tmp_path):
    (tmp_path / "{take}_0007.png").touch()
    files = str(tmp_path / "{take}_####.png")
    assert place_of(bpy.context.scene, files, 7).path.name == "{take}_0007.png"


def test_all_pictures_are_looked_for_before_the_first_is_needed(folder):
    scene = bpy.context.scene
    assert check(scene, str(folder / "shot_####.png"), range(1, FRAMES + 1)) == ""
    with pytest.raises(CaptureError, match=r"Frame 9 has no rendered file"):
        check(scene, str(folder / "shot_####.png"), range(1, FRAMES + 2))
    with pytest.raises(CaptureError, match="ends after 8 frames"):
        check(scene, str(folder / "movie.mp4"), range(1, FRAMES + 2))


def test_a_movie_of_another_frame_rate_is_taken_picture_by_picture_and_that_is_said(folder):
    scene, files = bpy.context.scene, str(folder / "movie.mp4")
    assert check(scene, files, range(1, 4)) == ""
    scene.render.fps = 30
    said = "movie.mp4 has 24 pictures a second, the scene 30 frames: it is taken picture by picture"
    assert check(scene, files, range(1, 4)).startswith(said)


def test_reading_leaves_nothing_behind(folder):
    shown(str(folder / "movie.mp4"), 2)
    assert read(Place(folder / "shot_0002.png"), SIZE).any()
    assert not bpy.data.images and not bpy.data.textures
