"""The add-on comes and goes, and its knobs are the wire's."""

import dataclasses
import os
import tomllib
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon import preferences
from blender_addon.job.settings import INSTRUCT, spec_of
from blender_addon.run import models
from blender_addon.ui import german, menus, panels, properties, results
from t2vz_core.wire import homes
from t2vz_core.wire.job import Control, JobSpec, Motion, Prompt
from t2vz_core.wire.rules import passes_needed

HERE = Path(blender_addon.__file__).parent


def test_nothing_stays_behind_when_it_goes():
    rooms = [_room(name) for name in blender_addon.ROOMS]
    names = [kind.__name__ for room in rooms for kind in getattr(room, "CLASSES", ())]
    handlers = len(bpy.app.handlers.load_pre)
    blender_addon.unregister()
    try:
        assert not hasattr(bpy.types.Scene, "t2vz")
        assert not [name for name in names if hasattr(bpy.types, name)]
        assert len(bpy.app.handlers.load_pre) == handlers - 1
    finally:
        blender_addon.register()
    assert [name for name in names if hasattr(bpy.types, name)]


def _room(name):
    return __import__("importlib").import_module(f"{blender_addon.__name__}.{name}")


def test_fresh_settings_ask_for_the_wires_defaults_and_read_prompts_as_webui_does(scene):
    scene.t2vz.follows_render, scene.t2vz.prompt.text = False, ""
    spec = spec_of(scene.t2vz, 1.0, lambda name: name)
    prompt, controls = Prompt(syntax="webui"), (Control("depth"),)
    assert spec == JobSpec(prompt=prompt, controls=controls, motion=Motion("map"))


@pytest.mark.parametrize("kind", properties.GROUPS)
def test_every_number_of_the_wire_keeps_its_range_and_meaning(kind):
    shown = properties.GROUPS[kind].bl_rna.properties
    for field in dataclasses.fields(kind):
        assert field.name in shown, f"{kind.__name__}.{field.name}"
        if "low" in field.metadata and "high" in field.metadata:
            known = shown[field.name]
            assert known.hard_min == pytest.approx(field.metadata["low"])
            assert known.hard_max == pytest.approx(
                min(field.metadata["high"], properties.LARGEST_INT)
            )
            assert known.description.lower() == field.metadata["meaning"].lower()


def test_typed_decimals_reach_the_job_as_they_were_typed(scene):
    scene.t2vz.sampling.guidance = 0.6
    scene.t2vz.motion.strength = (-3.3, 4)
    spec = spec_of(scene.t2vz, 1.0, str)
    assert spec.sampling.guidance == 0.6 and spec.motion.strength == (-3.3, 4.0)


def test_a_mode_becomes_a_control_and_further_ones_follow(scene):
    settings = scene.t2vz
    settings.mode = "depth"
    settings.control.scale = 0.5
    settings.controls.add().kind = "pose"
    spec = spec_of(settings, 1.0, str)
    assert spec.controls == (Control("depth", scale=0.5), Control("pose"))
    assert {"depth", "pose"} <= passes_needed(spec, settings.mode == INSTRUCT)


def test_only_what_steers_is_captured(scene):
    settings = scene.t2vz
    settings.mode, settings.motion_source, settings.coherence.fusion = "text", "camera", 0
    assert passes_needed(spec_of(settings, 1.0, str), settings.mode == INSTRUCT) == set()
    settings.mode, settings.coherence.smoothing, settings.coherence.fusion = "instruct", 0.6, 0.5
    wanted = passes_needed(spec_of(settings, 1.0, str), settings.mode == INSTRUCT)
    assert wanted == {"image", "mask", "map", "visible", "ids", "disturbed"}


@pytest.mark.parametrize(
    ("source", "mode"), [("camera", "translation"), ("geometry", "map"), ("none", "none")]
)
def test_a_motion_source_becomes_the_jobs_motion_mode(scene, source, mode):
    scene.t2vz.motion_source = source
    assert spec_of(scene.t2vz, 1.0, str).motion.mode == mode


def test_the_scene_range_is_taken_unless_another_is_set(scene):
    assert scene.t2vz.frame_numbers() == [1, 2, 3]
    scene.t2vz.uses_scene_range = False
    scene.t2vz.first, scene.t2vz.last, scene.t2vz.every = 10, 20, 5
    assert scene.t2vz.frame_numbers() == [10, 15, 20]


def test_the_engines_python_is_found_in_its_environments_folder(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    monkeypatch.setenv(preferences.ENGINE_VARIABLE, str(tmp_path))
    assert preferences.engine_python() == tmp_path / "bin" / "python"
    monkeypatch.setenv(preferences.ENGINE_VARIABLE, str(tmp_path / "gone"))
    assert preferences.engine_python() is None


def test_a_model_is_offered_and_found_by_its_name_in_the_models_folder(tmp_path, monkeypatch):
    (tmp_path / "my model" / "unet").mkdir(parents=True)
    (tmp_path / "my model" / "model_index.json").write_text("{}")
    (tmp_path / "readme.txt").touch()
    monkeypatch.setenv(homes.MODELS_VARIABLE, str(tmp_path))
    assert [name for name, _ in models.offered(models.BASE)] == ["my model"]
    assert preferences.path_of_model("my model") == tmp_path / "my model"
    assert preferences.path_of_model("gone") is None


def test_a_job_stores_a_model_by_its_name_in_the_models_folder_wherever_it_was_chosen(
    scene, tmp_path, monkeypatch
):
    monkeypatch.setenv(homes.MODELS_VARIABLE, str(tmp_path / "models"))
    (tmp_path / "models/film").mkdir(parents=True)
    inside = tmp_path / "models/film/a.safetensors"
    for chosen in (str(inside), "//models/film/a.safetensors", "film/a.safetensors"):
        assert preferences.stored_model(chosen) == "film/a.safetensors"
    assert preferences.stored_model("//a.safetensors") == str(tmp_path / "a.safetensors")
    for name in ("demo", "", "someone/on-the-hub"):
        assert preferences.stored_model(name) == name


def test_jobs_go_beside_the_blend_and_elsewhere_where_the_scene_says_so(scene, tmp_path):
    assert preferences.jobs_home("") == tmp_path / "t2vz"
    assert preferences.jobs_home(str(tmp_path / "ä b")) == tmp_path / "ä b"


@pytest.mark.skipif(bpy.app.version < (4, 5, 0), reason="Blender did not ask before")
def test_fields_that_take_relative_paths_say_so_lest_blender_shows_them_red(scene):
    settings = scene.t2vz.bl_rna.properties
    fields = (
        settings["output"],
        settings["rendered"],
        preferences.T2VZ_Preferences.bl_rna.properties["output"],
    )
    assert all(field.is_path_supports_blend_relative for field in fields)


def test_jobs_of_an_unsaved_file_go_to_the_addons_own_folder(scene):
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    home = preferences.jobs_home("")
    assert home.is_dir() and os.access(home, os.W_OK)


def test_the_manifest_names_no_wheel_and_leaves_the_version_to_the_build():
    manifest = tomllib.loads((HERE / "blender_manifest.toml").read_text(encoding="utf-8"))
    is_installed = (HERE / "wheels").exists()
    assert ("wheels" in manifest) == is_installed
    assert (manifest["version"] == "0.0.0") != is_installed
    assert manifest["id"] == "t2vz" and set(manifest["permissions"]) == {"files", "network"}


def test_every_button_has_a_german_word():
    rooms = [_room(name) for name in blender_addon.ROOMS]
    kinds = {kind for room in rooms for kind in getattr(room, "CLASSES", ())}
    labels = {
        kind.bl_label
        for kind in kinds
        if issubclass(kind, bpy.types.Operator)
        and "INTERNAL" not in getattr(kind, "bl_options", ())
    }
    known = set(german.WORDS)
    assert labels <= known, labels - known
    sections = {section.bl_label for section in (*panels.SECTIONS, *results.SECTIONS)}
    assert sections - {"Text2Video-Zero"} <= known


def test_blenders_own_menus_offer_it_and_forget_it_again():
    for name, draw in menus.ENTRIES:
        assert draw in getattr(bpy.types, name)._dyn_ui_initialize()
