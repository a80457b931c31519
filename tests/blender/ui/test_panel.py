"""The panel draws what there is to choose and to know."""

from types import SimpleNamespace

import blf
import bpy
import pytest

from blender_addon import preferences
from blender_addon.capture import armatures
from blender_addon.run import scene_job, session, strips
from blender_addon.ui import drawing, panels, properties, results
from t2vz_core.wire import presets
from tests.blender.driving import generate, to_the_end, until

SECTIONS = (*panels.SECTIONS, *results.SECTIONS)


class Layout:
    """Stands in for a UILayout: keeps what was drawn, and refuses properties and operators that are
    not there."""

    def __init__(self, drawn=None):
        self.drawn = [] if drawn is None else drawn

    def column(self, **_):
        return Layout(self.drawn)

    row = box = split = column

    def prop(self, owner, name, **_):
        assert name in owner.bl_rna.properties, name
        self.drawn.append(name)

    def popover(self, panel, **_):
        assert hasattr(bpy.types, panel)
        self.drawn.append(panel)

    menu = popover

    def prop_enum(self, owner, name, value, text=""):
        self.drawn.append(text)

    def template_icon(self, icon_value, **_):
        assert icon_value

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
        preferences=SimpleNamespace(
            system=SimpleNamespace(ui_scale=1.0), ui_styles=bpy.context.preferences.ui_styles
        ),
    )
    panel = SimpleNamespace(
        layout=layout, draw_fields=lambda *words: section.draw_fields(None, *words)
    )
    section.draw(panel, context)
    return layout.drawn


def test_the_panel_is_in_the_viewport_and_in_the_sequencer():
    kinds = (*panels.PANELS, *results.CLASSES)
    tabs = {(kind.bl_space_type, kind.bl_category) for kind in kinds}
    assert tabs == {("VIEW_3D", "T2VZ"), ("SEQUENCE_EDITOR", "T2VZ")}
    assert all(issubclass(kind, bpy.types.Panel) and kind.is_registered for kind in kinds)


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
    shown = [name for section in SECTIONS for name in drawn(section)]
    assert {"text", "negative", "T2VZ_MT_modes", "base", "seed", "t2vz.generate"} <= set(shown)


def test_modes_that_the_model_cannot_do_say_what_they_need(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("T2VZ_MODELS", str(tmp_path))
    (tmp_path / "mine/unet").mkdir(parents=True)
    for name, body in (("model_index.json", "{}"), ("unet/config.json", '{"sample_size": 64}')):
        (tmp_path / "mine" / name).write_text(body)
    scene.t2vz.model.base = "mine"
    shown = drawn(panels.Modes)
    assert "Pose (needs a ControlNet for SD 1)" in shown and "Text to Video" in shown
    assert "Instruct (needs an InstructPix2Pix model)" in shown
    scene.t2vz.model.base = "demo"
    assert {"Depth", "Pose", "Instruct"} <= set(drawn(panels.Modes))


def test_a_preset_is_chosen_in_one_go_and_recognised(scene):
    assert bpy.ops.t2vz.preset(preset="fast") == {"FINISHED"}
    sampling = scene.t2vz.sampling
    assert (sampling.scheduler, sampling.steps, sampling.deep_every) == ("dpm++2m", 14, 2)
    assert presets.preset_of(sampling) == presets.FAST and scene.t2vz.quality == "fast"
    sampling.steps = 17
    assert presets.preset_of(sampling) is None and scene.t2vz.quality == "custom"


def test_custom_is_kept_though_its_settings_are_still_those_of_a_quality(scene):
    scene.t2vz.quality = "draft"
    assert scene.t2vz.sampling.steps == 8
    scene.t2vz.quality = "custom"
    assert scene.t2vz.quality == "custom" and scene.t2vz.sampling.steps == 8


def test_sizes_are_shown_in_real_pixels_and_the_models_own_stays_automatic(scene):
    scene.t2vz.side_px = 0
    assert scene.t2vz.side_shown_px == 128
    scene.t2vz.side_shown_px = 192
    assert scene.t2vz.side_px == 192
    scene.t2vz.side_shown_px = 128
    assert scene.t2vz.side_px == 0


def test_a_list_grows_and_shrinks(scene):
    for _ in range(2):
        bpy.ops.t2vz.add(place="prompt.keys")
    scene.t2vz.prompt.keys[1].text = "kept"
    bpy.ops.t2vz.remove(place="prompt.keys", index=0)
    assert [key.text for key in scene.t2vz.prompt.keys] == ["kept"]


def test_a_bone_is_chosen_for_a_joint_and_forgotten_again(armature):
    assert bpy.ops.t2vz.set_joint(joint="nose", bone="Bone") == {"FINISHED"}
    assert armatures.mapping_of(armature) == {"nose": "Bone"}
    bpy.ops.t2vz.set_joint(joint="nose", bone="–")
    assert armatures.mapping_of(armature) == {}
    bpy.ops.t2vz.detect_joints()
    assert armatures.mapping_of(armature) is None


def test_joints_are_shown_where_poses_steer_and_an_armature_is_active(scene, armature):
    assert not panels.Joints.poll(bpy.context)
    scene.t2vz.mode = "pose"
    assert panels.Joints.poll(bpy.context)
    bpy.context.view_layer.objects.active = scene.camera
    assert not panels.Joints.poll(bpy.context)


def test_an_idle_panel_offers_to_generate_and_not_to_cancel(scene, painter):
    assert "t2vz.generate" in drawn(panels.Main)
    assert bpy.ops.t2vz.generate.poll() and not bpy.ops.t2vz.cancel.poll()


def test_a_busy_panel_shows_frame_and_time_left_and_offers_to_cancel(scene, painter):
    painter(delay_s=0.3)
    generate(scene)
    until(lambda: session.now.generation.stage == "painting frames")
    assert "Frame 1 of 3, 1 s left" in drawn(panels.Main)
    assert bpy.ops.t2vz.generate.poll() and bpy.ops.t2vz.cancel.poll()
    session.now.generation.cancel()
    to_the_end()


def test_nothing_in_the_panel_moves_while_messages_come_and_go(scene, painter):
    def height():
        return len([item for item in drawn(panels.Main) if item != "t2vz.read"])

    before = height()
    painter(delay_s=0.1)
    generate(scene)
    while session.now.is_busy:
        session.tick()
        assert height() == before
    session.now.refusal = "A sentence that is much too long for the box. " * 9
    assert height() == before and "t2vz.read" in drawn(panels.Main)


def test_a_capture_waits_while_the_scene_plays_and_says_so(scene, painter, monkeypatch):
    generate(scene)
    with monkeypatch.context() as playing:
        playing.setattr(session, "user_of_the_scene", lambda: "playback")
        session.tick()
        assert "Waiting for playback to end" in drawn(panels.Main)
    session.tick()
    assert session.now.generation.done == 0
    assert to_the_end().end == "finished"
    assert "Waiting" not in " ".join(drawn(panels.Main))


def test_cancel_leaves_a_strip_of_what_is_done_and_resume_makes_the_rest(scene, painter):
    painter(delay_s=0.5)
    generate(scene)
    until(lambda: session.now.generation.frames_done)
    bpy.ops.t2vz.cancel()
    stopped = to_the_end()
    (strip,) = strips.strips_of(scene)
    assert stopped.end == "cancelled" and len(strip.elements) < 3
    assert session.folder_to_resume(scene)
    painter()
    bpy.ops.t2vz.resume()
    assert to_the_end().folder == stopped.folder
    (strip,) = strips.strips_of(scene)
    assert len(strip.elements) == 3


def test_a_job_of_an_earlier_session_is_resumed_from_its_folder(scene, painter):
    painter(dies_after=1)
    generate(scene)
    folder = to_the_end().folder
    session.now.task = None
    painter()
    assert bpy.ops.t2vz.resume(directory=str(folder)) == {"FINISHED"}
    assert to_the_end().end == "finished" and session.now.generation.folder == folder
    assert not session.folder_to_resume(scene)
    assert {"t2vz.resume", "t2vz.import_frames"} <= set(drawn(panels.Advanced))


def test_a_cancelled_preview_is_not_resumed_as_if_it_were_a_film(scene, painter):
    generation = scene_job.preview_of(scene, session.engine(), [1])
    session.begin(generation, scene)
    until(lambda: not generation.is_capturing)
    generation.cancel()
    to_the_end()
    assert not session.folder_to_resume(scene)


@pytest.mark.parametrize(
    "text",
    ["WWWW " * 30, "/a/path/without/any/blank" * 9, "The scene has no camera: add one.", "i"],
)
def test_a_sentence_is_cut_into_lines_that_fit(text):
    blf.size(0, 11)
    lines = drawing.lines_of(text, 200)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(blf.dimensions(0, line)[0] <= 200 for line in lines)
    assert len(drawing.lines_of(text, 1)) >= len(lines)


def test_a_failure_stays_in_the_panel_as_a_sentence(scene, painter):
    painter(dies_after=1)
    generate(scene)
    assert to_the_end().end == "failed"
    assert "stopped by itself" in " ".join(drawn(panels.Main))
    painter()
    generate(scene)
    assert to_the_end().end == "finished"
    assert "stopped" not in " ".join(drawn(panels.Main))


def test_a_corrected_setting_clears_the_red_text(scene, painter):
    scene.t2vz.motion_source = "object"
    assert bpy.ops.t2vz.generate() == {"CANCELLED"}
    assert "Choose the object" in " ".join(drawn(panels.Main))
    scene.t2vz.motion_source = "camera"
    assert "Choose the object" not in " ".join(drawn(panels.Main))


def test_a_new_refusal_is_not_mixed_with_the_last_runs_notes(scene, painter):
    generate(scene)
    to_the_end().notes.append("What the last run said.")
    assert "What the last run said." in " ".join(drawn(panels.Main))
    scene.t2vz.motion_source = "object"
    bpy.ops.t2vz.generate()
    said = " ".join(drawn(panels.Main))
    assert "Choose the object" in said and "last run said" not in said


def test_a_failure_offers_to_retry_with_these_settings_and_to_resume_with_its_own(scene, painter):
    painter(dies_after=1)
    generate(scene)
    to_the_end()
    assert {"t2vz.retry", "t2vz.resume"} <= set(drawn(panels.Main))


def test_no_engine_is_a_sentence_in_the_panel(scene, painter, monkeypatch, tmp_path):
    monkeypatch.setenv(preferences.ENGINE_VARIABLE, str(tmp_path / "gone"))
    assert bpy.ops.t2vz.generate() == {"CANCELLED"}
    assert "t2vz.set_up_engine" in drawn(panels.Main)
    assert "Set Up Engine" in " ".join(drawn(panels.Main))
