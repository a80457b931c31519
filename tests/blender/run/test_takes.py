"""Films made anew out of films, and where they go."""

import bpy
import pytest

from blender_addon.job import folders
from blender_addon.run import compare, edit_scenes, session, settings_file, strips, takes, waiting
from t2vz_core.wire.job import read_job
from tests.blender.driving import generate, to_the_end, until


@pytest.fixture
def take(scene, painter):
    """A finished take of three frames; its folder."""
    scene.t2vz.prompt.text, scene.t2vz.sampling.seed = "a hill", 7
    generate(scene)
    return to_the_end().folder


def all_done():
    until(lambda: not session.now.is_busy and not session.now.waiting)


def test_a_film_goes_into_an_edit_scene_of_the_same_size_in_its_own_colours(scene, painter):
    scene.t2vz.destination = "EDIT"
    scene.render.fps = 12
    takes.generate(scene, edit_scenes.target_of(scene))
    all_done()
    edit = scene.t2vz.edit_scene
    assert edit != scene and len(strips.strips_of(edit)) == 1 and not strips.strips_of(scene)
    assert (edit.render.resolution_x, edit.render.fps) == (64, 12)
    assert edit.view_settings.view_transform == "Standard"
    assert edit_scenes.target_of(scene) == edit


def test_renders_of_a_3d_scene_stay_what_they_were(scene, take):
    assert not edit_scenes.renders_sequencer(scene)
    assert not scene.render.use_sequencer
    assert "stay the 3D scene" in " ".join(session.now.generation.notes)


def test_a_scene_that_renders_its_strips_already_goes_on_doing_so_and_it_is_said(scene, painter):
    effects = strips.strips_of(scene)
    ends = {"length": 9} if bpy.app.version >= (5, 0, 0) else {"frame_end": 10}
    effects.new_effect("mine", "COLOR", 1, 1, **ends)
    assert "show its Sequencer" in edit_scenes.keep_render(scene)
    assert scene.render.use_sequencer


def test_the_strip_grows_while_frames_come(scene, painter):
    painter(delay_s=0.4)
    generate(scene)
    until(lambda: session.now.generation.frames_done >= 1 and strips.strips_of(scene))
    assert len(strips.strips_of(scene)[0].elements) < 3
    to_the_end()
    (strip,) = strips.strips_of(scene)
    assert len(strip.elements) == 3


def test_a_strip_that_was_removed_while_it_grew_comes_back_only_at_the_end(scene, painter):
    painter(delay_s=0.4)
    generate(scene)
    until(lambda: strips.strip_of_job(scene, session.now.generation.folder) is not None)
    done = session.now.generation.frames_done
    strips.strips_of(scene).remove(strips.strips_of(scene)[0])
    until(lambda: session.now.generation.frames_done > done)
    assert session.now.generation.end or not strips.strips_of(scene)
    to_the_end()
    assert len(strips.strips_of(scene)) == 1


def test_generate_queues_behind_the_one_under_way_with_the_settings_of_its_moment(scene, painter):
    painter(delay_s=0.2)
    generate(scene)
    scene.t2vz.prompt.text = "second"
    generate(scene)
    scene.t2vz.prompt.text = "third"
    generate(scene)
    assert [task.generation.is_held for task in session.now.waiting] == [True, True]
    waiting.reorder(1, "UP")
    waiting.reorder(1, "CANCEL")
    assert [task.generation.spec.prompt.text for task in session.now.waiting] == ["third"]
    all_done()
    texts = [read_job(strips.folder_of(strip)).prompt.text for strip in strips.strips_of(scene)]
    assert sorted(texts) == ["a red cube", "third"]


def test_a_paused_queue_begins_nothing_new(scene, painter):
    generate(scene)
    generate(scene)
    waiting.pause()
    until(lambda: not session.now.is_busy)
    assert len(session.now.waiting) == 1
    waiting.go_on()
    all_done()
    assert len(strips.strips_of(scene)) == 2


def test_several_takes_are_captured_once_and_have_seeds_of_their_own(scene, painter):
    scene.t2vz.takes, scene.t2vz.sampling.seed = 3, 5
    takes.generate(scene, scene)
    all_done()
    specs = [read_job(strips.folder_of(strip)) for strip in strips.strips_of(scene)]
    assert sorted(spec.sampling.seed for spec in specs) == [5, 6, 7]
    assert len({spec.frames for spec in specs}) == 1


def test_settings_come_back_from_a_take(scene, take):
    scene.t2vz.prompt.text, scene.t2vz.mode = "else", "text"
    scene.t2vz.coherence.smoothing = 0.5
    assert bpy.ops.t2vz.load_settings(directory=str(take)) == {"FINISHED"}
    assert (scene.t2vz.prompt.text, scene.t2vz.mode) == ("a hill", "depth")
    assert scene.t2vz.coherence.smoothing == 0


def test_every_setting_survives_the_way_through_a_file(scene, tmp_path):
    settings = scene.t2vz
    settings.motion_object, settings.motion.strength = scene.camera, (-3.5, 4)
    settings.controls.add().kind = "pose"
    settings.model.loras.add().path = "style.safetensors"
    settings_file.write(tmp_path / "one.json", settings)
    before = settings_file.to_json(settings)
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    other = bpy.context.scene.t2vz
    assert settings_file.read(tmp_path / "one.json", other) == []
    after = settings_file.to_json(other)
    own = settings_file.OWN_PLACE
    assert {k: v for k, v in after.items() if k not in own} == {
        k: v for k, v in before.items() if k not in own
    }


def test_a_new_seed_makes_the_take_once_more_without_the_scene(scene, take):
    scene.camera = None
    assert bpy.ops.t2vz.reseed(directory=str(take)) == {"FINISHED"}
    all_done()
    one, two = (read_job(strips.folder_of(strip)) for strip in strips.strips_of(scene))
    assert one.frames == two.frames and one.sampling.seed != two.sampling.seed


def test_extend_takes_over_what_is_done_and_paints_the_rest(scene, take):
    mark = (take / "frames/0002.png").read_bytes()
    bpy.ops.t2vz.extend("EXEC_DEFAULT", directory=str(take), frames=2)
    all_done()
    longer = session.now.generation.folder
    assert [frame.number for frame in read_job(longer).frames] == [1, 2, 3, 4, 5]
    assert (longer / "frames/0002.png").read_bytes() == mark


def test_replaced_frames_are_painted_and_the_others_taken_over(scene, take):
    bpy.ops.t2vz.replace_frames("EXEC_DEFAULT", directory=str(take), first=2, last=2)
    until(lambda: not session.now.generation.is_capturing)
    new = session.now.generation.folder
    assert [path.name for path in sorted((new / "frames").glob("*"))] == ["0001.png", "0003.png"]
    all_done()
    assert len(folders.finished_frames(new, read_job(new))) == 3


def test_frames_that_a_take_has_not_are_a_sentence(scene, take):
    assert bpy.ops.t2vz.replace_frames("EXEC_DEFAULT", directory=str(take), first=50, last=60) == {
        "CANCELLED"
    }
    assert "frames 1 to 3" in session.now.refusal


def test_compare_cuts_the_upper_take_and_gives_it_back(scene, take):
    with pytest.raises(ValueError, match="Nothing lies below"):
        compare.toggle(scene, take)
    takes.again_with_new_seed(take, scene, scene)
    all_done()
    folder = session.now.generation.folder
    upper = strips.strip_of_job(scene, folder)
    compare.toggle(scene, folder)
    assert upper.crop.max_x == 8
    compare.toggle(scene, folder)
    assert upper.crop.max_x == 0


def test_delete_takes_a_take_from_disk_and_no_other(scene, take):
    assert bpy.ops.t2vz.delete_take("EXEC_DEFAULT", directory=str(take)) == {"FINISHED"}
    assert not take.exists() and take.parent.exists()


def test_move_to_an_edit_scene_takes_the_strip_along(scene, take):
    assert bpy.ops.t2vz.to_edit_scene(directory=str(take)) == {"FINISHED"}
    assert not strips.strips_of(scene)
    assert strips.strip_of_job(scene.t2vz.edit_scene, take) is not None
