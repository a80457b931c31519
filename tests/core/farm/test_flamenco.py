"""Flamenco's job type, compiled under a stand-in for its Manager and carried out task by task."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from t2vz_core.farm.flamenco import SCRIPT
from t2vz_core.wire.job import Frame, JobSpec, write_job

from .test_daemon import command, model, small_job  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[3]
MANAGER = Path(__file__).with_name("flamenco_manager.js")
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no node on this machine")


def farm(job, out, *more):
    words = command("farm", job, "--engine", "flamenco", "--out", out, *more)
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


def tasks(out):
    """What the Manager makes of a submission, by name."""
    done = subprocess.run(
        [NODE, MANAGER, out / SCRIPT.name],
        input=(out / "job.json").read_text(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {task["name"]: task for task in json.loads(done.stdout)}


def plain_job(folder, first=1, count=20):
    folder.mkdir()
    frames = tuple(Frame(i, i == first) for i in range(first, first + count))
    write_job(folder, JobSpec(frames=frames))
    return folder


@needs_node
@pytest.mark.slow
def test_anchors_come_first_then_parts_then_the_movie(tmp_path):
    assert farm(plain_job(tmp_path / "job"), tmp_path / "out", "--parts", "2").returncode == 0
    made = tasks(tmp_path / "out")
    assert list(made) == ["anchors-1", "paint-1,9", "paint-17", "finish"]
    assert made["anchors-1"]["needs"] == [] and made["paint-17"]["needs"] == ["anchors-1"]
    assert made["finish"]["needs"] == ["paint-1,9", "paint-17"]
    (paint,) = made["paint-1,9"]["commands"]
    job = (tmp_path / "job").as_posix()
    words = ["-m", "t2vz_core", "run", job, "--parts=1,9", "--of=1,9,17"]
    assert paint["name"] == "exec" and paint["parameters"]["args"] == words


@needs_node
def test_a_scene_is_captured_by_blender_first(tmp_path):
    (tmp_path / "shot.blend").touch()
    scene = ["--blend", tmp_path / "shot.blend", "--frames", "1-240"]
    assert farm(tmp_path / "job", tmp_path / "out", *scene).returncode == 0
    made = tasks(tmp_path / "out")
    assert made["capture"]["type"] == "blender" and made["anchors-1"]["needs"] == ["capture"]
    assert made["capture"]["commands"][0]["parameters"]["exe"] == "{blender}"
    assert len([name for name in made if name.startswith("paint-")]) == 30


@pytest.mark.slow
def test_negative_frames_are_refused_with_a_sentence(tmp_path):
    done = farm(plain_job(tmp_path / "job", first=-3), tmp_path / "out")
    assert done.returncode == 1 and "negative frames" in done.stderr


@needs_node
@pytest.mark.slow
def test_its_tasks_make_the_shot(tmp_path, model):  # noqa: F811
    job = small_job(tmp_path / "job", model, count=10)
    assert farm(job, tmp_path / "out").returncode == 0
    done = set()
    for task in tasks(tmp_path / "out").values():
        assert done >= set(task["needs"])
        for one in task["commands"]:
            words = [one["parameters"]["exe"], *one["parameters"]["args"]]
            ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
        done.add(task["name"])
    assert len(list((job / "frames").glob("*.png"))) == 10 and (job / "movie.mp4").exists()
