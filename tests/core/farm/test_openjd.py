"""OpenJD itself reads the template, and carries it out."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from t2vz_core.farm.openjd import Lines
from t2vz_core.wire import events
from t2vz_core.wire.job import Frame, JobSpec, write_job

from .test_daemon import command, model, small_job  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[3]
OPENJD = Path(sys.executable).with_name("openjd")
needs_openjd = pytest.mark.skipif(
    importlib.util.find_spec("openjd") is None, reason="the extra `farm` is not installed"
)


def said(*words):
    variables = os.environ | {"PYTHONPATH": str(ROOT)}  # a session runs in a folder of its own
    return subprocess.run(
        list(map(str, words)), cwd=ROOT, env=variables, capture_output=True, text=True, timeout=500
    )


def farm(job, out, *more):
    return said(*command("farm", job, "--engine", "openjd", "--out", out, "--cpu", *more))


@pytest.fixture
def job(tmp_path):
    folder = tmp_path / "shot 7"
    folder.mkdir()
    write_job(folder, JobSpec(frames=tuple(Frame(i, i in (-3, 18)) for i in range(-3, 30))))
    return folder


def ranges(step):
    return {one["name"]: one for one in step["parameterSpace"]["taskParameterDefinitions"]}


@pytest.mark.slow
@needs_openjd
@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--parts", "3"], ["--models", "models"]])
def test_openjd_takes_the_template(job, tmp_path, more):
    done = farm(job, tmp_path / "out", *more)
    assert done.returncode == 0, done.stderr
    checked = said(OPENJD, "check", tmp_path / "out" / "template.json")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_openjd
@pytest.mark.slow
def test_openjd_cuts_the_shot_into_parts_that_begin_at_key_frames(job, tmp_path):
    farm(job, tmp_path / "out")
    template = json.loads((tmp_path / "out" / "template.json").read_text())
    defaults = {one["name"]: one.get("default") for one in template["parameterDefinitions"]}
    assert defaults["Parts"] == "-3,5,13,18,26" and defaults["Shots"] == "-3,18"
    assert ranges(template["steps"][0])["Shot"]["range"] == "{{Param.Shots}}"
    part = ranges(template["steps"][1])["Part"]
    assert part["type"] == "CHUNK[INT]" and part["range"] == "{{Param.Parts}}"


@needs_openjd
def test_a_scene_is_captured_first_and_parts_follow_its_frames(tmp_path):
    (tmp_path / "shot.blend").touch()
    scene = ["--blend", tmp_path / "shot.blend", "--frames", "1-240"]
    done = farm(tmp_path / "job", tmp_path / "out", *scene)
    assert done.returncode == 0, done.stderr
    assert said(OPENJD, "check", tmp_path / "out" / "template.json").returncode == 0
    template = json.loads((tmp_path / "out" / "template.json").read_text())
    names = [step["name"] for step in template["steps"]]
    assert names == ["Capture", "Anchors", "Paint", "Finish"]
    paths = json.loads((tmp_path / "out" / "paths.json").read_text())
    assert paths == {"JobFolder": str(tmp_path / "job"), "Scene": str(tmp_path / "shot.blend")}


@pytest.mark.slow
def test_a_bundle_for_deadline_names_its_paths_and_assets(job, tmp_path):
    farm(job, tmp_path / "out", "--models", tmp_path)
    values = json.loads((tmp_path / "out" / "parameter_values.json").read_text())
    named = {one["name"]: one["value"] for one in values["parameterValues"]}
    assert named["JobFolder"] == str(job) and named["deadline:maxRetriesPerTask"] == 3
    assets = json.loads((tmp_path / "out" / "asset_references.json").read_text())
    assert assets["assetReferences"]["outputs"]["directories"] == [str(job)]


@pytest.mark.parametrize(
    ("more", "words", "code"),
    [
        (["--blend", "nowhere.blend", "--frames", "1-9"], "nowhere.blend is not there", 1),
        (["--hours", "0"], "--hours", 2),
        (["--parts", "-1"], "--parts", 2),
        (["--fps", "0"], "--fps", 2),
    ],
)
def test_what_does_not_fit_is_a_sentence_and_writes_nothing(job, tmp_path, more, words, code):
    done = farm(job, tmp_path / "out", *more)
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_scene_over_a_job_or_without_frames_is_a_sentence(job, tmp_path):
    (tmp_path / "shot.blend").touch()
    scene = ["--blend", tmp_path / "shot.blend"]
    assert "needs --frames" in farm(tmp_path / "new", tmp_path / "out", *scene).stderr
    over = farm(job, tmp_path / "out", *scene, "--frames", "1-9")
    assert over.returncode == 1 and "holds a job already" in over.stderr


def test_a_folder_with_something_in_it_is_left_alone(job, tmp_path):
    done = farm(job, job)
    assert done.returncode == 1 and "not empty" in done.stderr


def test_no_job_is_a_sentence(tmp_path):
    done = farm(tmp_path, tmp_path / "out")
    assert done.returncode == 1 and "job.json" in done.stderr


def test_a_sessions_lines_are_whole_lines(capsys):
    lines = Lines(sys.stdout)
    for done in (0, 1, 1, 2):
        lines.show(events.Progress("job", "painting frames", done, 2))
    lines.show(events.Failed("job", "one\nopenjd_env: X=1", "log"))
    assert capsys.readouterr().out.splitlines() == [
        "openjd_status: painting frames",
        "openjd_progress: 0",
        "openjd_progress: 50",
        "openjd_progress: 100",
        "openjd_fail: one openjd_env: X=1",
    ]


@needs_openjd
@pytest.mark.slow
def test_openjd_makes_a_shot_whose_folder_lies_elsewhere_on_the_farm(tmp_path, model):  # noqa: F811
    job = small_job(tmp_path / "job", model, count=24)
    assert farm(job, tmp_path / "out").returncode == 0
    there = tmp_path / "farm"
    job.rename(there)
    rule = {"source_path_format": "POSIX", "source_path": str(job), "destination_path": str(there)}
    rules = {"version": "pathmapping-1.0", "path_mapping_rules": [rule]}
    out = tmp_path / "out"
    done = said(
        OPENJD,
        "run",
        out / "template.json",
        "-p",
        f"file://{out / 'paths.json'}",
        "--path-mapping-rules",
        json.dumps(rules),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Session ended successfully" in done.stdout
    assert done.stdout.count("loading the model") == 2  # for the anchors, and for all parts once
    assert (there / "movie.mp4").stat().st_size > 1000
    assert len(list((there / "frames").glob("*.png"))) == 24 and not job.exists()


@needs_openjd
@pytest.mark.slow
def test_a_task_that_fails_fails_the_session_with_its_sentence(tmp_path):
    job = small_job(tmp_path / "job", tmp_path / "no model")
    assert farm(job, tmp_path / "out").returncode == 0
    out = tmp_path / "out"
    done = said(OPENJD, "run", out / "template.json", "-p", f"file://{out / 'paths.json'}")
    assert done.returncode != 0 and "no model" in done.stdout
    assert "Exiting Environment: Engine" in done.stdout


@needs_openjd
@pytest.mark.slow
def test_an_engine_that_is_not_installed_there_is_said(job, tmp_path):
    farm(job, tmp_path / "out", "--python", "/opt/nowhere/python")
    out = tmp_path / "out"
    done = said(OPENJD, "run", out / "template.json", "-p", f"file://{out / 'paths.json'}")
    assert done.returncode != 0 and "/opt/nowhere/python" in done.stdout
