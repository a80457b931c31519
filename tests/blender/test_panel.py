"""The panel draws what there is to choose and to know; its buttons drive a generation."""

import time
from types import SimpleNamespace

import blf
import bpy
import pytest

from blender_addon import operators, panels, playback, preferences, properties, rig, scene_job, session
from t2vz_core.wire import presets


class Layout:
    """Stands in for a UILayout: keeps what was drawn, and refuses properties and operators that are not there."""

    def __init__(self, drawn=None):
        self.drawn = [] if drawn is None else drawn

    def column(self, **_):
        return Layout(self.drawn)

    row = box = split = column

    def prop(self, owner, name, **_):
        assert name in owner.bl_rna.properties, name
        self.drawn.append(name)

    def prop_search(self, owner, name, where, listed, **_):
        assert hasattr(where, listed)
        self.prop(owner, name)

    def operator(self, name, **_):
        group, _, action = name.partition(".")
        assert action in dir(getattr(bpy.ops, group)), name
        self.drawn.append(name)
        return SimpleNamespace()

    def operator_menu_enum(self, name, _choice, **_):
        self.operator(name)

    def label(self, text="", **_):
        self.drawn.append(text)

    def progress(self, factor, text):
        assert 0 <= factor <= 1
        self.drawn.append(text)


def drawn(section):
    """What a section of the panel shows now."""
    layout = Layout()
    context = SimpleNamespace(
        scene=bpy.context.scene,
        region=SimpleNamespace(width=300),
        preferences=SimpleNamespace(system=SimpleNamespace(ui_scale=1.0), ui_styles=bpy.context.preferences.ui_styles),
    )
    panel = SimpleNamespace(layout=layout, draw_fields=lambda *words: section.draw_fields(None, *words))
    section.draw(panel, context)
    return layout.drawn


def generate(scene):
    session.begin(scene_job.generation_of(scene, session.engine()), scene)


def until(is_so, limit_s=20.0):
    """Calls the timer as Blender would."""
    last = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < last, "waited in vain"
        session.tick()
        time.sleep(0.02)


def to_the_end():
    until(lambda: not session.now.is_busy)
    return session.now.generation


def test_the_panel_is_in_the_viewport_and_in_the_sequencer():
    tabs = {(kind.bl_space_type, kind.bl_category) for kind in panels.CLASSES}
    assert tabs == {("VIEW_3D", "T2VZ"), ("SEQUENCE_EDITOR", "T2VZ")}
    assert all(issubclass(kind, bpy.types.Panel) and kind.is_registered for kind in panels.CLASSES)


@pytest.fixture
def armature(scene):
    """An armature with one bone, active."""
    bpy.ops.object.armature_add()
    return bpy.context.active_object


@pytest.mark.parametrize("mode", [mode[0] for mode in properties.MODES])
@pytest.mark.parametrize("source", [source[0] for source in properties.SOURCES])
def test_every_section_draws_in_every_mode(scene, armature, mode, source):
    scene.t2vz.mode, scene.t2vz.motion_source = mode, source
    for place in ("prompt.keys", "model.loras", "controls"):
        bpy.ops.t2vz.add(place=place)
    shown = [name for section in panels.SECTIONS for name in drawn(section)]
    assert {"text", "negative", "mode", "base", "seed", "t2vz.generate"} <= set(shown)


def test_a_preset_is_chosen_in_one_go_and_recognised(scene):
    assert bpy.ops.t2vz.preset(preset="fast") == {"FINISHED"}
    sampling = scene.t2vz.sampling
    assert (sampling.scheduler, sampling.steps, sampling.deep_every) == ("dpm++2m", 14, 2)
    assert presets.preset_of(sampling) == presets.FAST and "t2vz.preset" in drawn(panels.Picture)
    sampling.steps = 17
    assert presets.preset_of(sampling) is None
    assert "t2vz.preset" in drawn(panels.Picture)


def test_a_list_grows_and_shrinks(scene):
    for _ in range(2):
        bpy.ops.t2vz.add(place="prompt.keys")
    scene.t2vz.prompt.keys[1].text = "kept"
    bpy.ops.t2vz.remove(place="prompt.keys", index=0)
    assert [key.text for key in scene.t2vz.prompt.keys] == ["kept"]


def test_a_bone_is_chosen_for_a_joint_and_forgotten_again(armature):
    assert bpy.ops.t2vz.set_joint(joint="nose", bone="Bone") == {"FINISHED"}
    assert rig.mapping_of(armature) == {"nose": "Bone"}
    bpy.ops.t2vz.set_joint(joint="nose", bone="–")
    assert rig.mapping_of(armature) == {}
    bpy.ops.t2vz.detect_joints()
    assert rig.mapping_of(armature) is None


def test_joints_are_shown_where_poses_steer_and_an_armature_is_active(scene, armature):
    assert not panels.Joints.poll(bpy.context)
    scene.t2vz.mode = "pose"
    assert panels.Joints.poll(bpy.context)
    bpy.context.view_layer.objects.active = scene.camera
    assert not panels.Joints.poll(bpy.context)


def test_an_idle_panel_offers_to_generate_and_not_to_cancel(scene, painter):
    assert "t2vz.generate" in drawn(panels.Main) and "t2vz.cancel" not in drawn(panels.Main)
    assert bpy.ops.t2vz.generate.poll() and not bpy.ops.t2vz.cancel.poll()


def test_a_busy_panel_shows_stage_step_and_time_left_and_offers_to_cancel(scene, painter):
    painter(delay_s=0.3)
    generate(scene)
    until(lambda: session.now.generation.stage == "denoising")
    assert {"Denoising", "0/3, 1 s left"} <= set(drawn(panels.Main))
    assert "t2vz.cancel" in drawn(panels.Main) and "t2vz.generate" not in drawn(panels.Main)
    assert not bpy.ops.t2vz.generate.poll() and bpy.ops.t2vz.cancel.poll()
    session.now.generation.cancel()
    to_the_end()


def test_a_finished_generation_leaves_one_strip_and_the_frame_where_it_was(scene, painter):
    scene.frame_set(2)
    generate(scene)
    assert to_the_end().end == "finished"
    (strip,) = playback.strips_of(bpy.context.scene)
    assert len(strip.elements) == 3
    assert scene.frame_current == 2
    assert getattr(bpy.context.workspace, "sequencer_scene", scene) == scene  # from 5.0 on it must be chosen


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


def test_a_capture_waits_while_the_scene_plays_and_says_so(scene, painter, monkeypatch):
    generate(scene)
    with monkeypatch.context() as playing:
        playing.setattr(session, "_user_of_the_scene", lambda: "playback")
        session.tick()
        assert "Waiting for playback to end" in drawn(panels.Main)
    session.tick()
    assert session.now.generation.done == 0
    assert to_the_end().end == "finished"
    assert "Waiting" not in " ".join(drawn(panels.Main))


def test_cancel_ends_it_without_a_strip_and_resume_makes_the_rest(scene, painter):
    painter(delay_s=0.5)
    generate(scene)
    until(lambda: session.now.generation.frames_done)
    bpy.ops.t2vz.cancel()
    stopped = to_the_end()
    assert stopped.end == "cancelled" and not playback.strips_of(scene)
    assert "t2vz.resume" in drawn(panels.Main)
    painter()
    bpy.ops.t2vz.resume()
    assert to_the_end().folder == stopped.folder
    assert len(playback.strips_of(scene)) == 1


def test_a_job_of_an_earlier_session_is_resumed_from_its_folder(scene, painter):
    painter(dies_after=1)
    generate(scene)
    folder = to_the_end().folder
    session.now.generation = None
    painter()
    assert bpy.ops.t2vz.resume(directory=str(folder)) == {"FINISHED"}
    assert to_the_end().end == "finished" and session.now.generation.folder == folder
    assert "t2vz.resume" not in drawn(panels.Main)
    assert {"t2vz.resume", "t2vz.import_frames"} <= set(drawn(panels.Advanced))


def test_resuming_a_folder_without_a_job_is_a_sentence(scene, painter, tmp_path):
    assert bpy.ops.t2vz.resume(directory=str(tmp_path)) == {"CANCELLED"}
    assert "job.json" in session.now.error


def test_a_cancelled_preview_is_not_resumed_as_if_it_were_a_film(scene, painter):
    generation = scene_job.preview_of(scene, session.engine(), [1])
    session.begin(generation, scene)
    until(lambda: not generation.is_capturing)
    generation.cancel()
    to_the_end()
    assert "t2vz.resume" not in drawn(panels.Main)


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


@pytest.mark.parametrize(
    "text", ["WWWW " * 30, "/a/path/without/any/blank" * 9, "The scene has no camera: add one.", "i"]
)
def test_a_sentence_is_cut_into_lines_that_fit(text):
    blf.size(0, 11)
    lines = panels._lines(text, 200)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(blf.dimensions(0, line)[0] <= 200 for line in lines)
    assert len(panels._lines(text, 1)) >= len(lines)


def test_a_failure_stays_in_the_panel_as_a_sentence(scene, painter):
    painter(dies_after=1)
    generate(scene)
    assert to_the_end().end == "failed"
    assert "stopped by itself" in " ".join(drawn(panels.Main))
    painter()
    generate(scene)
    assert to_the_end().end == "finished"
    assert "stopped" not in " ".join(drawn(panels.Main))


def test_no_engine_is_a_sentence_in_the_panel(scene, painter, monkeypatch, tmp_path):
    monkeypatch.setenv(preferences.ENGINE_VARIABLE, str(tmp_path / "gone"))
    assert bpy.ops.t2vz.generate() == {"CANCELLED"}
    assert "install.py engine" in " ".join(drawn(panels.Main))


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
    assert generation.end == "finished" and not playback.strips_of(bpy.context.scene)
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
    assert len(playback.strips_of(bpy.data.scenes["Shot 3"])) == 1


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
    assert [strip.name for strip in playback.strips_of(scene)] == ["a hill"]
