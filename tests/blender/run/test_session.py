"""A generation beside the artist's work: what its buttons, other files, undo and playback do to
it."""

from types import SimpleNamespace

import bpy
import pytest

from blender_addon.run import session, strips
from blender_addon.ui import operators
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
    assert "job.json" in session.now.error


def test_esc_is_left_to_playback_and_the_next_one_cancels(scene, painter, monkeypatch):
    def esc():
        button = SimpleNamespace(execute=lambda _: {"FINISHED"})
        return operators.T2VZ_OT_cancel.invoke(button, bpy.context, SimpleNamespace(type="ESC"))

    painter(delay_s=0.3)
    generate(scene)
    until(lambda: not session.now.generation.is_capturing)
    with monkeypatch.context() as playing:
        playing.setattr(session, "_user_of_the_scene", lambda: "playback")
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


def test_another_file_does_not_get_the_strip_of_the_first(scene, painter):
    painter(delay_s=0.3)
    generate(scene)
    until(lambda: not session.now.generation.is_capturing)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    generation = to_the_end()
    assert generation.end == "finished" and not strips.strips_of(bpy.context.scene)
    assert "Import Frames" in generation.notes[-1]


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


def test_saving_in_mid_capture_saves_the_scene_as_it_was(scene, painter, tmp_path):
    scene.frame_set(2)
    generate(scene)
    session.tick()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert to_the_end().end == "failed" and "saved" in session.now.error
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert bpy.context.scene.frame_current == 2


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


def test_undo_ends_a_capture_with_a_sentence(scene, painter):
    bpy.ops.ed.undo_push(message="before")
    generate(scene)
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    assert to_the_end().end == "failed" and "undone" in session.now.error


def test_what_nobody_foresaw_is_a_sentence_too(scene, painter, monkeypatch):
    generate(scene)
    monkeypatch.setattr(session.now.generation, "step", lambda: 1 / 0)
    assert to_the_end().end == "failed"
    assert "ZeroDivisionError" in session.now.error


def test_generate_without_a_window_goes_on_to_its_end(scene, painter):
    scene.t2vz.prompt.text = "a hill"
    assert bpy.ops.t2vz.generate() == {"FINISHED"}
    assert [strip.name for strip in strips.strips_of(scene)] == ["a hill"]
