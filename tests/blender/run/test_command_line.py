"""The command: what it makes, and what it answers when it cannot."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.run import command_line, session, settings_file, strips
from t2vz_core.wire.job import read_job

SMALL = ["--size", "64", "--mode", "depth"]


def test_it_captures_generates_imports_and_saves(scene, painter, tmp_path):
    out, saved = tmp_path / "out", tmp_path / "made.blend"
    words = [
        "--prompt",
        "a “red” ball\n🎈",
        "--negative",
        "fog",
        "--seed",
        "7",
        "--steps",
        "3",
        *SMALL,
    ]
    assert (
        command_line.main([*words, "--frames", "2-4", "--out", str(out), "--save", str(saved)])
        == command_line.DONE
    )
    spec = read_job(out)
    assert (spec.prompt.text, spec.prompt.negative) == ("a “red” ball\n🎈", "fog")
    assert (spec.sampling.seed, spec.sampling.steps) == (7, 3)
    assert np.isinf(np.load(out / "passes/depth/0002.npy")).any()
    bpy.ops.wm.open_mainfile(filepath=str(saved))
    (strip,) = strips.strips_of(bpy.context.scene)
    assert len(strip.elements) == 3 and strips.span_of(strip) == (2, 5)


def test_without_words_it_takes_what_the_blend_says(scene, painter, tmp_path):
    scene.t2vz.prompt.text = "A snowy hill"
    assert command_line.main([]) == command_line.DONE
    (folder,) = (tmp_path / "t2vz").iterdir()
    assert folder.name.endswith("-a-snowy-hill")
    assert [frame.number for frame in read_job(folder).frames] == [1, 2, 3]


def test_capture_only_writes_the_job_and_starts_no_engine(scene, monkeypatch, tmp_path):
    monkeypatch.setattr(session, "engine", lambda: pytest.fail("an engine was asked for"))
    assert (
        command_line.main(["--capture-only", *SMALL, "--out", str(tmp_path / "out")])
        == command_line.DONE
    )
    assert len(read_job(tmp_path / "out").frames) == 3
    assert not strips.strips_of(scene)


def test_with_flow_every_frame_knows_the_way_to_its_neighbours(scene, tmp_path):
    assert (
        command_line.main(["--capture-only", "--flow", *SMALL, "--out", str(tmp_path / "out")])
        == command_line.DONE
    )
    passes = [frame.passes for frame in read_job(tmp_path / "out").frames]
    assert [each.flow_back is not None for each in passes] == [False, True, True]
    assert [each.flow_ahead is not None for each in passes] == [True, True, False]
    assert np.load(tmp_path / "out" / passes[0].flow_ahead).shape == (64, 64, 3)


def test_fast_is_the_preset_and_what_else_is_said_counts_more(scene, tmp_path):
    words = ["--fast", "--steps", "12", "--capture-only", *SMALL, "--out", str(tmp_path / "out")]
    assert command_line.main(words) == command_line.DONE
    sampling = read_job(tmp_path / "out").sampling
    assert (sampling.scheduler, sampling.steps, sampling.deep_every) == ("dpm++2m", 12, 2)


def test_any_setting_can_be_set_by_its_name(scene, tmp_path):
    words = [
        "--set",
        "coherence.fusion=0.25",
        "--set",
        "motion.is_faithful=yes",
        "--set",
        "shot.width_px=128",
    ]
    words += ["--set", "follows_render=no", "--capture-only", "--out", str(tmp_path / "out")]
    assert command_line.main(words) == command_line.DONE
    spec = read_job(tmp_path / "out")
    assert spec.coherence.fusion == 0.25 and spec.motion.is_faithful and spec.shot.width_px == 128


@pytest.mark.parametrize(
    "words",
    [
        ["--frames", "4-x"],
        ["--frames", "5-1"],
        ["--nonsense"],
        ["--mode", "magic"],
        ["--seed", "a"],
    ],
)
def test_wrong_usage_is_2(scene, words):
    assert command_line.main(words) == command_line.USAGE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--set", "sampling.speed=9"],
            "--set sampling.speed: there is no such setting; known: see",
        ),
        (["--set", "sampling"], "--set sampling: write it as NAME=VALUE"),
        (["--set", "sampling=9"], "--set sampling: is a group of settings"),
        (
            ["--set", "nothing.at.all=9"],
            "--set nothing.at.all: there is no 'nothing'; known: prompt",
        ),
        (
            ["--set", "controls[3].scale=1"],
            "--set controls[3].scale: there is no '3'; it has 0 items",
        ),
        (["--set", "has_hands=maybe"], "has_hands: must be yes or no, not 'maybe'"),
        (["--set", "prompt.clip_skip=2.7"], "prompt.clip_skip: must be a whole number, not 2.7"),
        (["--set", "sampling.guidance=1e400"], "must lie within 0.0..50.0, not inf"),
        (["--set", "sampling.guidance=much"], "sampling.guidance: must be a number, not 'much'"),
        (["--set", "sampling.scheduler=magic"], "must be one of ddim, dpm++2m, unipc, euler, lcm"),
        (["--set", "motion.strength=4"], "motion.strength: must be 2 numbers, as 1,2, not '4'"),
        (["--set", "motion.strength=4,900"], "must lie within -512.0..512.0, not 900.0"),
        (
            ["--set", "motion_object=Nobody"],
            "motion_object: there is no object 'Nobody' in this file",
        ),
        (["--set", "foreground=Cube"], "foreground: there is no collection 'Cube' in this file"),
        (["--set", "model.loras=a"], "model.loras: must be JSON"),
        (["--set", "model.loras=[1]"], "model.loras: must be a list"),
        (["--set", 'model.loras=[{"weight": 9}]'], "model.loras[0].weight: must lie within -4"),
        (["--set", 'controls=[{"kind": "x"}]'], "controls[0].kind: must be one of depth"),
        (["--set", 'prompt.keys=[{"text": 7}]'], "prompt.keys[0].text: must be text, not 7"),
        (["--scene", "Nowhere"], "has no scene 'Nowhere'; it has Scene"),
        (["--view-layer", "Nowhere"], "has no view layer 'Nowhere'; it has ViewLayer"),
        (["--seed", "-5"], "sampling.seed: must lie within 0..9007199254740991, not -5"),
        (["--seed", "9007199254740992"], "sampling.seed: must lie within 0..9007199254740991"),
        (["--steps", "0"], "sampling.steps: must lie within 1..1000, not 0"),
        (["--guidance", "nan"], "sampling.guidance: must lie within 0.0..50.0, not nan"),
        (["--every", "0"], "every: must lie within 1..100, not 0"),
        (["--size", "9000"], "side_px: must lie within 0..2048, not 9000"),
        (["--save", "/nowhere/film.blend"], "--save: there is no folder /nowhere"),
    ],
)
def test_a_value_that_cannot_be_is_wrong_usage_and_one_sentence(
    scene, capsys, tmp_path, words, said
):
    words = [*words, "--capture-only", "--out", str(tmp_path / "out")]
    assert command_line.main(words) == command_line.USAGE
    answer = capsys.readouterr().err
    assert said in answer and answer.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_set_reaches_vectors_lists_and_what_the_file_holds(scene, tmp_path):
    said = (
        "motion_source=strength",
        "motion.strength=4, -2.5",
        'prompt.keys=[{"number": 2, "text": "night"}]',
        'model.loras=[{"path": "demo/style", "weight": 0.5}, {"path": "b.safetensors"}]',
        "model.loras[1].weight=-1",
        'controls=[{"kind": "outline", "scale": 0.25}]',
        "motion_object=Cube",
        "foreground=Collection",
        "sampling.seed=9007199254740991",
    )
    words = [word for text in said for word in ("--set", text)]
    out = tmp_path / "out"
    assert command_line.main([*words, *SMALL, "--capture-only", "--out", str(out)]) == 0
    spec = read_job(out)
    assert spec.motion.strength == (4.0, -2.5)
    assert [(key.number, key.text) for key in spec.prompt.keys] == [(2, "night")]
    loras = [(lora.path, lora.weight) for lora in spec.model.loras]
    assert loras == [("demo/style", 0.5), ("b.safetensors", -1.0)]
    assert [(c.kind, c.scale) for c in spec.controls] == [("depth", 1.0), ("outline", 0.25)]
    assert scene.t2vz.motion_object.name == "Cube" and scene.t2vz.foreground.name == "Collection"
    assert spec.sampling.seed == 2**53 - 1


@pytest.mark.parametrize(
    ("frames", "numbers"),
    [
        ("-2--1", [-2, -1]),
        ("1,3,5", [1, 3, 5]),
        ("1-6:2,20", [1, 3, 5, 20]),
        ("-1", [-1]),
        ("2", [2]),
    ],
)
def test_frames_may_be_negative_and_listed(scene, tmp_path, frames, numbers):
    words = ["--frames", frames, *SMALL, "--capture-only", "--out", str(tmp_path / "out")]
    assert command_line.main(words) == command_line.DONE
    assert [frame.number for frame in read_job(tmp_path / "out").frames] == numbers


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--motion", "object"], "Choose the object"),
        (["--size", "16"], "shot.width_px: must lie within 64..4096, not 32"),
    ],
)
def test_what_cannot_be_made_is_1_and_a_sentence_and_leaves_nothing(
    scene, capsys, tmp_path, words, said
):
    assert (
        command_line.main([*words, "--capture-only", "--out", str(tmp_path / "out")])
        == command_line.WRONG
    )
    answer = capsys.readouterr().err
    assert said in answer and answer.count("\n") == 1  # nothing was captured before
    assert not (tmp_path / "out").exists()


def test_a_blend_that_is_not_there_is_an_error_though_blender_goes_on(capsys):
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    assert command_line.main(["--capture-only"]) == command_line.USAGE
    assert "No .blend file is open" in capsys.readouterr().err


def test_a_scene_without_a_camera_is_a_sentence_and_leaves_no_folder(scene, capsys, tmp_path):
    scene.camera = None
    assert (
        command_line.main(["--capture-only", "--out", str(tmp_path / "out")]) == command_line.WRONG
    )
    assert "camera" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(scene, capsys, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    assert command_line.main(["--capture-only", "--out", str(tmp_path)]) == command_line.WRONG
    assert "not empty" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_worker_that_dies_is_1_and_a_sentence_and_its_frames_stay(
    scene, painter, capsys, tmp_path
):
    painter(dies_after=2)
    assert command_line.main([*SMALL, "--out", str(tmp_path / "out")]) == command_line.WRONG
    assert "stopped by itself" in capsys.readouterr().err
    assert (tmp_path / "out/frames/0002.png").is_file()


def test_an_interrupted_job_goes_on_where_the_same_is_asked_for_again(
    scene, painter, capsys, tmp_path
):
    words = [*SMALL, "--out", str(tmp_path / "out")]
    painter(dies_after=2)
    assert command_line.main(words) == command_line.WRONG
    (tmp_path / "out/frames/mine.txt").touch()
    painter()
    assert command_line.main([*words, "--seed", "5"]) == command_line.WRONG
    assert "another sampling.seed" in capsys.readouterr().err
    assert command_line.main([*words, "--seed", "0"]) == command_line.DONE
    assert {path.name for path in (tmp_path / "out/frames").iterdir()} >= {
        "0001.png",
        "0003.png",
        "mine.txt",
    }
    assert not (tmp_path / "out/again").exists()
    (strip,) = strips.strips_of(scene)
    assert len(strip.elements) == 3


def test_no_engine_is_1_and_a_sentence(scene, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("T2VZ_ENGINE", str(tmp_path / "gone"))
    assert command_line.main([*SMALL, "--out", str(tmp_path / "out")]) == command_line.WRONG
    assert "install.py engine" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_sigint_cancels_with_130_and_keeps_finished_frames(scene, painter, tmp_path):
    def interrupt_after_the_first_frame():
        while not (tmp_path / "out/frames/0001.png").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    painter(delay_s=0.5)
    threading.Thread(target=interrupt_after_the_first_frame, daemon=True).start()
    code = command_line.main([*SMALL, "--frames", "1-9", "--out", str(tmp_path / "out")])
    assert code == command_line.INTERRUPTED
    assert 1 <= len(list((tmp_path / "out").glob("frames/*.png"))) < 9


def test_sigint_while_capturing_puts_the_scene_back_and_leaves_no_folder(scene, painter, tmp_path):
    def interrupt_while_capturing():
        while not (tmp_path / "out/passes/depth/0002.npy").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_while_capturing, daemon=True).start()
    assert (
        command_line.main([*SMALL, "--frames", "1-400", "--out", str(tmp_path / "out")])
        == command_line.INTERRUPTED
    )
    assert scene.frame_current == 1 and not (tmp_path / "out").exists()


def test_the_prompt_may_be_very_long(scene, tmp_path):
    prompt = "“a hill”, " * 2000
    assert (
        command_line.main(["--prompt", prompt, "--capture-only", "--out", str(tmp_path / "out")])
        == command_line.DONE
    )
    assert read_job(tmp_path / "out").prompt.text == prompt


@pytest.mark.skipif(
    not blender_addon.__name__.startswith("bl_ext"),
    reason="only an installed add-on has its command",
)
class TestOnTheCommandLine:
    """blender -b FILE -c t2vz …, each in a Blender of its own."""

    def answer(self, *words):
        command = [bpy.app.binary_path, "-b", *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
        )

    def test_the_command_writes_a_job(self, scene, tmp_path):
        made = self.answer(
            bpy.data.filepath, "-c", "t2vz", "--capture-only", *SMALL, "--out", tmp_path / "ä b"
        )
        assert made.returncode == 0, made.stderr
        assert len(read_job(tmp_path / "ä b").frames) == 3

    def test_the_view_layer_that_was_active_is_taken(self, scene, tmp_path):
        bpy.context.window.view_layer = scene.view_layers.new("Second")
        bpy.ops.wm.save_as_mainfile(filepath=bpy.data.filepath)
        words = [bpy.data.filepath, "-c", "t2vz", "--capture-only", *SMALL, "--out"]
        assert "view layer Second is captured" in self.answer(*words, tmp_path / "out").stderr
        other = self.answer(*words, tmp_path / "named", "--view-layer", "ViewLayer")
        assert "view layer ViewLayer is captured" in other.stderr

    def test_a_missing_blend_is_wrong_usage(self, tmp_path):
        made = self.answer(tmp_path / "gone.blend", "-c", "t2vz", "--capture-only")
        assert made.returncode == 2 and "No .blend file is open" in made.stderr

    def test_wrong_usage_is_2(self, scene):
        assert self.answer(bpy.data.filepath, "-c", "t2vz", "--frames", "x").returncode == 2


def test_a_read_only_output_folder_is_a_sentence(scene, capsys, tmp_path):
    if os.geteuid() == 0:
        shutil.copy(
            bpy.data.filepath, tmp_path / "file"
        )  # nothing is read-only to root: a file stands in the way
        target = tmp_path / "file" / "out"
    else:
        tmp_path.chmod(0o500)
        target = tmp_path / "out"
    assert command_line.main(["--capture-only", "--out", str(target)]) == command_line.WRONG
    assert str(tmp_path) in capsys.readouterr().err


def test_settings_saved_by_the_panel_make_the_same_job(scene, painter, tmp_path):
    scene.t2vz.prompt.text, scene.t2vz.quality, scene.t2vz.mode = "a hill", "draft", "depth"
    scene.t2vz.controls.add().kind = "pose"
    settings_file.write(tmp_path / "look.json", scene.t2vz)
    scene.t2vz.prompt.text, scene.t2vz.quality, scene.t2vz.mode = "", "published", "text"
    scene.t2vz.controls.clear()
    words = ["--settings", str(tmp_path / "look.json"), "--out", str(tmp_path / "out")]
    assert command_line.main(words) == command_line.DONE
    spec = read_job(tmp_path / "out")
    assert (spec.prompt.text, spec.sampling.steps) == ("a hill", 8)
    assert [control.kind for control in spec.controls] == ["depth", "pose"]


def test_several_settings_make_a_film_each(scene, painter, tmp_path):
    for name in ("one", "two"):
        scene.t2vz.prompt.text = name
        settings_file.write(tmp_path / f"{name}.json", scene.t2vz)
    files = [str(tmp_path / f"{name}.json") for name in ("one", "two")]
    assert command_line.main(["--settings", *files]) == command_line.DONE
    assert [strip.name.split(" ")[0] for strip in strips.strips_of(scene)] == ["one", "two"]


def test_settings_that_are_none_are_a_sentence(scene, painter, tmp_path, capsys):
    (tmp_path / "no.json").write_text("[]")
    assert command_line.main(["--settings", str(tmp_path / "no.json")]) == command_line.WRONG
    assert "no settings file" in capsys.readouterr().err


def test_a_dry_run_says_what_would_be_and_captures_nothing(scene, painter, tmp_path, capsys):
    assert command_line.main(["--dry-run", "--json", *SMALL]) == command_line.DONE
    seen = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (seen["frames"], seen["width_px"], seen["missing"]) == (3, 64, [])
    assert not (tmp_path / "t2vz").exists()


def test_a_dry_run_says_what_is_missing(scene, painter, capsys):
    scene.camera = None
    assert command_line.main(["--dry-run", "--model", "not-here"]) == command_line.WRONG
    said = capsys.readouterr().err
    assert "no camera" in said and "no model not-here" in said


def test_json_lines_tell_all_that_happens(scene, painter, capsys):
    assert command_line.main(["--json", *SMALL]) == command_line.DONE
    lines = capsys.readouterr().out.splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert {"progress", "frame", "end"} <= {each["event"] for each in told}
    assert told[-1]["end"] == "finished" and told[-1]["frames"] == 3
