"""A strip gives the picture that Blender's own sequencer shows at the frame, or a sentence."""

import shutil
from functools import partial

import bpy
import numpy as np
import pytest

from blender_addon.capture.cameras import CaptureError
from blender_addon.capture.images import place_of, read

SIZE = (64, 48)
PICTURES, FPS, SCENE_FPS, START = 40, 30, 24, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """picture_0001.png … and movie.mp4 of them, 30 a second, each a little lighter."""
    folder = tmp_path_factory.mktemp("strips")
    scene = opened(FPS)
    for number in range(1, PICTURES + 1):
        saved_grey(folder / f"picture_{number:04d}.png", number / PICTURES)
    images(scene, folder, 1)
    save_movie(scene, folder / "movie.mp4", PICTURES)
    return folder


def save_movie(scene, path, count):
    """Of what the sequencer shows in the first frames."""
    render = scene.render
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec = "MPEG4", "H264"
    render.ffmpeg.constant_rate_factor, render.ffmpeg.gopsize = "LOSSLESS", 3
    scene.frame_start, scene.frame_end, render.filepath = 1, count, str(path)
    bpy.ops.render.render(animation=True, scene=scene.name)


def opened(fps):
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    scene = bpy.context.scene
    scene.render.fps, scene.view_settings.view_transform = fps, "Standard"
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    return scene


def saved_grey(path, value):
    image = bpy.data.images.new("grey", *SIZE)
    pixels = np.full((SIZE[1] * SIZE[0], 4), value, np.float32)
    pixels[:, 3] = 1
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def strips_of(scene):
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def images(scene, folder, start=START):
    strip = strips_of(scene).new_image("Pictures", str(folder / "picture_0001.png"), 1, start)
    for number in range(2, PICTURES + 1):
        strip.elements.append(f"picture_{number:04d}.png")
    return strip


def movie(scene, folder, is_adjusted=True):
    """The strip as Blender's own button adds it; only that plays at the movie's speed."""
    how = {"move_strips": False} if bpy.app.version >= (5, 0, 0) else {}
    with in_the_sequencer(scene):
        bpy.ops.sequencer.movie_strip_add(
            filepath=str(folder / "movie.mp4"),
            frame_start=START,
            channel=1,
            sound=False,
            use_framerate=False,
            adjust_playback_rate=is_adjusted,
            **how,
        )
    return strips_of(scene)[0]


def in_the_sequencer(scene):
    """As if its button were pressed there."""
    window = bpy.context.window
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    scene.sequence_editor_create()
    if hasattr(window.workspace, "sequencer_scene"):
        window.workspace.sequencer_scene = scene
    region = next(region for region in area.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window, area=area, region=region)


def put(strip, value, *names):
    """Sets the property that this version has under the first or the second of two names."""
    setattr(strip, next(name for name in names if hasattr(strip, name)), value)


def span(strip):
    if hasattr(strip, "left_handle"):
        return strip.left_handle, strip.right_handle
    return strip.frame_final_start, strip.frame_final_end


def as_it_is(_strip):
    pass


def reversed_(strip):
    strip.use_reverse_frames = True


def stroboscopic(strip):
    strip.strobe = 3


def cut(strip):
    put(strip, 4, "left_handle_offset", "frame_offset_start")
    put(strip, 3, "right_handle_offset", "frame_offset_end")


def held(strip):
    put(strip, -4, "left_handle_offset", "frame_offset_start")
    put(strip, -4, "right_handle_offset", "frame_offset_end")


def trimmed(strip):
    put(strip, 5, "content_trim_start", "animation_offset_start")
    put(strip, 3, "content_trim_end", "animation_offset_end")


def trimmed_and_reversed(strip):
    trimmed(strip)
    reversed_(strip)


def in_a_meta_strip(strip):
    with in_the_sequencer(strip.id_data):
        bpy.ops.sequencer.select_all(action="SELECT")
        bpy.ops.sequencer.meta_make()


CHANGES = [as_it_is, reversed_, stroboscopic, cut, held, trimmed, trimmed_and_reversed]
KINDS = {"adjusted": movie, "plain": partial(movie, is_adjusted=False), "images": images}


@pytest.mark.parametrize("change", [*CHANGES, in_a_meta_strip])
@pytest.mark.parametrize("kind", KINDS)
def test_a_strip_gives_what_the_sequencer_shows(folder, tmp_path, kind, change):
    scene = opened(SCENE_FPS)
    strip = KINDS[kind](scene, folder)
    change(strip)
    first, end = map(int, span(strip))
    for number in (first, first + 1, first + 2, first + 3, first + 8, first + 15, end - 2, end - 1):
        ours = read(place_of(scene, strip.name, number), SIZE).mean()
        assert ours == pytest.approx(shown_by_the_sequencer(scene, number, tmp_path), abs=1.5), (
            number
        )


def shown_by_the_sequencer(scene, number, folder):
    """How light the sequencer's picture of a frame is, 0..255."""
    scene.frame_set(number)
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "IMAGE"
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(folder / "shown.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(folder / "shown.png"))
    pixels = np.empty(SIZE[0] * SIZE[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return 255 * pixels.reshape(-1, 4)[:, :3].mean()


def test_thirty_pictures_a_second_in_twenty_four_frames(folder):
    """Frame n of the scene shows picture 1 + (n − start)·30/24, halves rounded up."""
    scene = opened(SCENE_FPS)
    strip = movie(scene, folder)
    numbers = (5, 6, 7, 8, 9, 13, 17)
    places = [place_of(scene, strip.name, number).movie_frame for number in numbers]
    assert places == [1, 2, 4, 5, 6, 11, 16]


def faster(strip):
    """By a Speed effect."""
    strips = strips_of(strip.id_data)
    first, end = map(int, span(strip))
    if bpy.app.version >= (5, 0, 0):
        how = {"length": end - first, "input1": strip}
    elif bpy.app.version >= (4, 5, 0):
        how = {"frame_end": end, "input1": strip}
    else:
        how = {"frame_end": end, "seq1": strip}
    strips.new_effect(name="Fast", type="SPEED", channel=2, frame_start=first, **how)


def in_a_reversed_meta_strip(strip):
    in_a_meta_strip(strip)
    strip.parent_meta().use_reverse_frames = True


def retimed(strip):
    strip.select = True
    with in_the_sequencer(strip.id_data):
        bpy.ops.sequencer.retiming_key_add(timeline_frame=START + 10)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (faster, "The speed of the strip movie.* is changed by the strip Fast"),
        (in_a_reversed_meta_strip, "The meta strip MetaStrip, in which movie.* lies, is reversed"),
        (retimed, "The strip movie.* is retimed"),
    ],
)
def test_what_cannot_be_mapped_exactly_is_refused(folder, change, said):
    scene = opened(SCENE_FPS)
    strip = movie(scene, folder)
    change(strip)
    with pytest.raises(CaptureError, match=said + ".*: render it to image files and take those"):
        place_of(scene, strip.name, START + 3)


def test_a_strip_that_is_not_as_long_as_its_movie_is_refused(folder, tmp_path):
    shutil.copy(folder / "movie.mp4", tmp_path)
    strip = movie(opened(SCENE_FPS), tmp_path)
    scene = bpy.data.scenes.new("Other")
    images(scene, folder, 1)
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    save_movie(scene, tmp_path / "movie.mp4", 20)
    with pytest.raises(CaptureError, match="is not as long as its movie"):
        place_of(bpy.context.scene, strip.name, START)
