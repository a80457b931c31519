"""The image pass is what the scene's own render shows, and rendering it changes no setting."""

import bpy
import numpy as np
import pytest

from blender_addon.capture.beauty import rendered, with_pictures
from blender_addon.capture.cameras import CaptureError
from blender_addon.job.folders import FrameArrays

SIZE = (48, 32)


@pytest.fixture(autouse=True)
def red_cube_on_the_right():
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.view_settings.view_transform = "Standard"
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.camera.location.z = 6
    bpy.ops.mesh.primitive_plane_add(size=1, location=(1, 0.5, 0))
    red = bpy.data.materials.new("Red")
    if red.node_tree is None:  # up to 4.5
        red.use_nodes = True
    nodes = red.node_tree.nodes
    nodes.clear()
    light, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    light.inputs["Color"].default_value = (1, 0, 0, 1)
    red.node_tree.links.new(light.outputs[0], output.inputs[0])
    bpy.context.object.data.materials.append(red)
    yield
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def shot():
    return rendered(bpy.context.scene, bpy.context.view_layer, SIZE)


def test_the_picture_is_upright_in_rgb_at_the_size_asked_for():
    picture = shot()
    assert picture.shape == (32, 48, 3) and picture.dtype == np.uint8
    rows, columns = np.nonzero((picture == (255, 0, 0)).all(-1))
    assert columns.mean() > 28 and rows.mean() < 14  # right of and above the middle


def test_rendering_puts_every_setting_back():
    render = bpy.context.scene.render
    form = render.image_settings
    if hasattr(form, "media_type"):
        form.media_type = "VIDEO"
    form.file_format = "FFMPEG"
    render.resolution_percentage, render.filepath, render.use_sequencer = 33, "//out/", True

    def state():
        names = [
            p.identifier
            for p in render.bl_rna.properties
            if p.type in ("INT", "FLOAT", "BOOLEAN", "ENUM", "STRING")
        ]
        own = {name: str(getattr(render, name)) for name in names}
        return (
            own,
            {p.identifier: str(getattr(form, p.identifier)) for p in form.bl_rna.properties},
            len(bpy.data.images),
        )

    before = state()
    shot()
    assert state() == before


def test_the_sequencers_film_is_not_taken_for_the_scene():
    editor = bpy.context.scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    kind = {"length": 10} if bpy.app.version >= (5, 0, 0) else {"frame_end": 11}
    strips.new_effect(name="Blue", type="COLOR", channel=1, frame_start=1, **kind).color = (0, 0, 1)
    assert (shot() == (255, 0, 0)).all(-1).any()


def test_a_cropped_border_fills_the_picture():
    render = bpy.context.scene.render
    whole = shot()
    render.use_border, render.use_crop_to_border = True, True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = (
        0.5,
        1,
        0.5,
        1,
    )
    corner = shot()
    assert corner.shape == whole.shape
    assert ((corner[::2, ::2, 0] > 128) == (whole[:16, 24:, 0] > 128)).mean() > 0.95


def test_without_a_camera_there_is_a_sentence():
    bpy.context.scene.camera = None
    with pytest.raises(CaptureError, match=r"^Frame 1 cannot be rendered: .*[Cc]amera"):
        shot()


def test_a_capture_gets_its_pictures_and_is_closed_with_them():
    closed = []

    def capture():
        try:
            for number in (1, 2, 3):
                bpy.context.scene.frame_set(number)
                yield FrameArrays(number)
        finally:
            closed.append(True)

    frames = with_pictures(capture(), bpy.context.scene, bpy.context.view_layer, SIZE)
    first = next(frames)
    assert first.number == 1 and first.image.shape == (32, 48, 3)
    frames.close()
    assert closed


def test_a_stereo_scene_gives_one_picture_and_no_stamp_is_burned_in():
    plain, render = shot(), bpy.context.scene.render
    render.use_multiview = render.use_stamp = True
    assert np.array_equal(shot(), plain)
    assert render.use_multiview and render.use_stamp
