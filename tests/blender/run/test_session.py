"""A generation beside the artist's work: what its buttons, other files, undo and playback do to
it."""

import os
from types import SimpleNamespace

import bpy
import pytest

from blender_addon import preferences
from blender_addon.run import session, strips, unfinished
from blender_addon.ui import operators
from t2vz_core.wire.job import read_job
from tests.blender.driving import generate, to_the_end, until


def test_a_finished_generation_leaves_one_strip_and_the_frame_where_it_was(scene, painter):
    scene.frame_set(2)
    generate(scene)
    assert to_the_end().end == "finished"
    (strip,) = strips.strips_of(bpy.context.scene)
    assert len(strip.elements) == 3
    assert scene.frame_current == 2
    assert (
        getattr(bpy.context.workspace, "sequencer_scene", scene) == scene
    )  # from 5.0 on it must be chosen


def test_the_engine_is_kept_for_a_while_and_then_lets_its_memory_go(scene, painter):
    generate(scene)
    to_the_end()
    assert session.now.warm_engine.is_running and bpy.app.timers.is_registered(session.stop_engine)
    generate(scene)
    assert not bpy.app.timers.is_registered(session.stop_engine)
    to_the_end()
    worker = session.now.warm_engine
    assert session.stop_engine() is None and not worker.is_running
    generate(scene)
    assert to_the_end().end == "finished"


def test_resuming_a_folder_without_a_job_is_a_sentence(scene, painter, tmp_path):
    assert bpy.ops.t2vz.resume(directory=str(tmp_path)) == {"CANCELLED"}
    assert session.now.error == f"{tmp_path}: holds no job.json; choose a job's own folder"


def test_any_part_of_a_jobs_folder_means_the_job(scene, painter):
    generate(scene)
    folder = to_the_end().folder
    for chosen in (folder, folder / "frames", folder / "passes"):
        assert bpy.ops.t2vz.import_frames(directory=str(chosen)) == {"FINISHED"}
    assert len(strips.strips_of(scene)) == 4


def test_jobs_are_looked_for_where_this_scenes_jobs_are(scene):
    asked = []
    context = SimpleNamespace(
        scene=scene, window_manager=SimpleNamespace(fileselect_add=asked.append)
    )
    for kind in (operators.T2VZ_OT_resume, operators.T2VZ_OT_import_frames):
        button = SimpleNamespace(directory="")
        assert kind.invoke(button, context, None) == {"RUNNING_MODAL"}
        assert button.directory == str(preferences.jobs_home("")) + os.sep
    assert len(asked) == 2


def test_esc_is_left_to_playback_and_the_next_one_cancels(scene, painter, monkeypatch):
    def esc():
        button = SimpleNamespace(execute=lambda _: {"FINISHED"})
        return operators.T2VZ_OT_cancel.invoke(button, bpy.context, SimpleNamespace(type="ESC"))

    painter(delay_s=0.3)
    generate(scene)
    until(lambda: not session.now.generation.is_capturing)
    with monkeypatch.context() as playing:
        playing.setattr(session, "user_of_the_scene", lambda: "playback")
        session.tick()
        assert esc() == {"PASS_THROUGH"}
    session.tick()
    assert esc() == {"FINISHED"}
    session.now.generation.cancel()
    to_the_end()


def test_another_file_ends_a_capture_with_a_sentence(scene, painter, tmp_path):
    generate(scene)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert to_the_end().end == "failed"
    assert "Another file was opened" in session.now.error


def paint(scene, painter):
    """Begins, and goes on until the engine paints; returns the job's folder."""
    painter(delay_s=0.3)
    generate(scene)
    until(lambda: not session.now.generation.is_capturing)
    return session.now.generation.folder


def test_a_file_that_is_read_again_gets_its_strip(scene, painter):
    paint(scene, painter)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)  # as File > Revert does
    assert to_the_end().end == "finished"
    assert len(strips.strips_of(bpy.context.scene)) == 1
    assert unfinished.job_of(bpy.context.scene) is None


def test_another_file_does_not_get_the_strip_of_the_first_which_offers_it_later(
    scene, painter, tmp_path
):
    first = bpy.data.filepath
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other.blend"), copy=True)
    folder = paint(scene, painter)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "other.blend"))
    generation = to_the_end()
    assert generation.end == "finished" and not strips.strips_of(bpy.context.scene)
    assert "Import Frames" in generation.notes[-1]
    bpy.ops.wm.open_mainfile(filepath=first)
    assert unfinished.job_of(bpy.context.scene) == folder


def test_a_job_that_blender_was_closed_on_is_offered_again_though_nothing_was_saved(scene, painter):
    folder = paint(scene, painter)
    session.stop_engine()
    session.now.task = None
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    scene = bpy.context.scene
    assert unfinished.job_of(scene) == folder
    painter()
    assert bpy.ops.t2vz.resume(directory=str(folder)) == {"FINISHED"}
    assert to_the_end().end == "finished" and len(strips.strips_of(scene)) == 1
    assert unfinished.job_of(scene) is None


def test_a_cancelled_job_is_not_offered_when_the_file_is_opened_again(scene, painter):
    paint(scene, painter)
    session.now.generation.cancel()
    session.tick()
    assert to_the_end().end == "cancelled" and unfinished.job_of(scene) is None


def test_what_was_said_of_one_file_is_not_said_in_the_next(scene, painter):
    painter(dies_after=1)
    generate(scene)
    assert to_the_end().error and session.now.error
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert not session.now.error and not session.now.notes


def test_a_sentence_is_outdated_once_a_setting_is_changed(scene, painter, tmp_path):
    assert bpy.ops.t2vz.resume(directory=str(tmp_path)) == {"CANCELLED"}
    assert session.now.error and not session.is_outdated(scene)
    scene.t2vz.coherence.fusion = 0.25
    assert session.is_outdated(scene)
    scene.t2vz.coherence.fusion = 0.7
    assert not session.is_outdated(scene)


def test_retry_paints_what_was_captured_with_the_settings_as_they_are_now(scene, painter, tmp_path):
    painter(dies_after=2)
    broken = tmp_path / "broken.safetensors"
    broken.touch()
    scene.t2vz.model.base = str(broken)
    generate(scene)
    first = to_the_end()
    assert first.end == "failed"
    scene.t2vz.model.base = "demo"
    painter()
    assert bpy.ops.t2vz.retry() == {"FINISHED"}
    second = to_the_end()
    assert second.end == "finished" and second.spec.model.base == "demo"
    assert second.folder != first.folder  # it has frames, which stay
    assert read_job(first.folder).model.base == str(broken)
    assert second.spec.frames == first.spec.frames


def test_retry_takes_the_folder_itself_where_no_frame_is_done(scene, painter):
    painter(delay_s=5)
    generate(scene)
    until(lambda: not session.now.generation.is_capturing)
    session.now.generation.cancel()
    folder = to_the_end().folder
    scene.t2vz.sampling.steps = 7
    painter()
    assert bpy.ops.t2vz.retry() == {"FINISHED"}
    assert to_the_end().folder == folder and read_job(folder).sampling.steps == 7


def test_retry_refuses_what_was_not_captured(scene, painter):
    painter(dies_after=1)
    scene.t2vz.mode, scene.t2vz.motion_source = "text", "camera"
    generate(scene)
    to_the_end()
    scene.t2vz.mode = "edges"
    assert bpy.ops.t2vz.retry() == {"CANCELLED"}
    assert "Generate captures the scene again" in session.now.error


def test_the_strip_finds_its_scene_though_it_is_renamed_and_a_step_undone(scene, painter):
    painter(delay_s=0.3)
    bpy.ops.ed.undo_push(message="before")
    generate(scene)
    until(lambda: not session.now.generation.is_capturing)
    scene.name = "Shot 3"
    bpy.ops.ed.undo_push(message="renamed")
    scene.name = "Shot 4"
    bpy.ops.ed.undo_push(message="renamed again")
    bpy.ops.ed.undo()
    assert to_the_end().end == "finished"
    assert len(strips.strips_of(bpy.data.scenes["Shot 3"])) == 1


def moving(scene):
    """The cube slides, is hidden from the viewport alone, and has more of itself in renders."""
    cube = scene.objects["Cube"]
    for number, x in ((1, 0), (3, 1)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=number)
    scene.t2vz.mode = "depth"
    cube.hide_viewport = True
    cube.modifiers.new("finer", "SUBSURF").render_levels = 2


def passes_of(generation):
    """Every array of the job, by its path, and what else is told of the frames."""
    frames = generation.spec.frames
    paths = [path for frame in frames for path in vars(frame.passes).values() if path]
    return {path: (generation.folder / path).read_bytes() for path in paths}, [
        (frame.number, frame.is_anchor, frame.shift_px) for frame in frames
    ]


@pytest.mark.parametrize("ticks", [0, 1, 2, 3])
def test_saving_in_mid_capture_saves_the_scene_as_it_was_and_the_capture_goes_on(
    scene, painter, tmp_path, ticks
):
    moving(scene)
    scene.frame_set(2)
    generate(scene)
    whole = passes_of(to_the_end())
    generate(scene)
    for _ in range(ticks):
        session.tick()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert passes_of(to_the_end()) == whole and session.now.generation.end == "finished"
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    cube = bpy.data.objects["Cube"]
    assert bpy.context.scene.frame_current == 2
    assert cube.hide_viewport and cube.modifiers[0].levels == 1


def test_a_keyed_strength_adds_up_over_a_pause(scene, painter, tmp_path):
    scene.t2vz.motion_source = "strength"
    for number, strength in ((1, (0, 0)), (3, (16, -8))):
        scene.t2vz.motion.strength = strength
        scene.keyframe_insert("t2vz.motion.strength", frame=number)
    generate(scene)
    session.tick()
    session.tick()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    shifts = [frame.shift_px for frame in to_the_end().spec.frames]
    assert shifts == [(0.0, 0.0), (-1.0, 0.5), (-3.0, 1.5)]


@pytest.mark.parametrize("is_capturing", [True, False])
def test_disabling_the_addon_ends_what_is_under_way(scene, painter, is_capturing):
    painter(delay_s=0.3)
    scene.frame_set(2)
    generate(scene)
    session.tick()
    until(lambda: session.now.generation.is_capturing == is_capturing)
    session.unregister()
    session.register()
    assert session.now.generation.end == "failed" and "disabled" in session.now.error
    assert scene.frame_current == 2 and bpy.ops.t2vz.generate.poll()
    assert session.now.can_resume != is_capturing and not session.now.warm_engine


def a_prompt(scene):
    scene.t2vz.prompt.text = "a hill"


def a_text(_scene):
    bpy.data.texts.new("Notes")


def a_selection(scene):
    scene.objects["Light"].select_set(True)


def a_strip(scene):
    kind = {"length": 9} if bpy.app.version >= (5, 0, 0) else {"frame_end": 10}
    strips.strips_of(scene).new_effect(name="Blue", type="COLOR", channel=1, frame_start=1, **kind)


def a_place(scene):
    scene.objects["Cube"].location.y = 2


def a_key(scene):
    scene.objects["Cube"].location.x = 3
    scene.objects["Cube"].keyframe_insert("location", frame=2)


def a_vertex(scene):
    scene.objects["Cube"].data.vertices[0].co.z = -3


def a_clear_material(scene):
    nodes = scene.objects["Cube"].data.materials[0].node_tree.nodes
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Alpha"].default_value = 0.8


def a_lens(scene):
    scene.camera.data.lens = 80


def a_lesser_range(scene):
    scene.objects["Cube"].modifiers["finer"].render_levels = 1


def undone_in_mid_capture(scene, step):
    moving(scene)
    if scene.objects["Cube"].data.materials[0].node_tree is None:
        scene.objects["Cube"].data.materials[0].use_nodes = True
    bpy.ops.ed.undo_push(message="before")
    step(scene)
    bpy.ops.ed.undo_push(message="after")
    generate(bpy.context.scene)
    session.tick()
    session.tick()
    bpy.ops.ed.undo()
    return to_the_end()


@pytest.mark.parametrize("step", [a_prompt, a_text, a_selection, a_strip])
def test_a_step_that_changed_nothing_of_what_is_captured_can_be_undone(scene, painter, step):
    generation = undone_in_mid_capture(scene, step)
    assert generation.end == "finished", generation.error
    undone = passes_of(generation)
    generate(bpy.context.scene)
    assert passes_of(to_the_end()) == undone


@pytest.mark.parametrize(
    "step", [a_place, a_key, a_vertex, a_clear_material, a_lens, a_lesser_range]
)
def test_undoing_what_changed_the_scene_ends_its_capture_with_a_sentence(scene, painter, step):
    assert undone_in_mid_capture(scene, step).end == "failed"
    assert "A step that changed the scene was undone" in session.now.error
    assert bpy.context.scene.frame_current == 1


def test_what_nobody_foresaw_is_a_sentence_too(scene, painter, monkeypatch):
    generate(scene)
    monkeypatch.setattr(session.now.generation, "step", lambda: 1 / 0)
    assert to_the_end().end == "failed"
    assert "ZeroDivisionError" in session.now.error


def test_generate_without_a_window_goes_on_to_its_end(scene, painter):
    scene.t2vz.prompt.text = "a hill"
    assert bpy.ops.t2vz.generate() == {"FINISHED"}
    assert [strip.name for strip in strips.strips_of(scene)] == ["a hill · depth · seed 0"]
