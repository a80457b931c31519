"""Whole jobs through the real worker process, on a tiny random model."""

import dataclasses
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from t2vz_core.wire import events
from t2vz_core.wire.job import (
    Control,
    Frame,
    JobSpec,
    Model,
    Motion,
    Passes,
    Prompt,
    Sampling,
    Shot,
    write_job,
)
from t2vz_core.wire.lines import Lines

from .random_networks import write_controlnet, write_model

ROOT = Path(__file__).parents[2]
SHOT = Shot(width_px=64, height_px=64)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models with spaces und Umläuten äöü")
    return write_model(folder / "sd"), write_controlnet(folder / "depth")


@pytest.fixture(scope="module")
def worker():
    """A real worker; the tests of this module share its warm model."""
    process = subprocess.Popen(
        [sys.executable, "-m", "t2vz_core", "worker"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    yield Lines(process.stdout, process.stdin)
    process.stdin.close()
    assert process.wait(5) == 0


def text_job(models, folder, steps=4, count=4, **changes):
    folder.mkdir()
    frames = tuple(Frame(i, i == 1, (2.0 * (i - 1), 0.0)) for i in range(1, count + 1))
    spec = JobSpec(
        prompt=Prompt("a red ball on grass"),
        model=Model(str(models[0])),
        shot=SHOT,
        sampling=Sampling(seed=3, steps=steps),
        motion=Motion("translation", level_from=600, level_to=900),
        frames=frames,
    )
    write_job(folder, dataclasses.replace(spec, **changes))
    return folder


def depth_job(models, folder):
    folder.mkdir()
    frames = []
    for i in range(1, 4):
        y, x = np.mgrid[:64, :64]
        depth = np.where((x - 20 - 4 * i) ** 2 + (y - 32) ** 2 < 150, 2.0, np.inf).astype(
            np.float32
        )
        np.save(folder / f"depth{i}.npy", depth)
        frames.append(Frame(i, i == 1, passes=Passes(depth=f"depth{i}.npy")))
    spec = JobSpec(
        prompt=Prompt("a red ball"),
        model=Model(str(models[0])),
        shot=SHOT,
        sampling=Sampling(steps=2),
        motion=Motion("none"),
        controls=(Control("depth", str(models[1])),),
        frames=tuple(frames),
    )
    write_job(folder, spec)
    return folder


def told(lines, event, on=lambda heard: None):
    """Every event of a job but the beats, up to its end."""
    lines.send(event)
    heard = []
    for one in lines.receive():
        if getattr(one, "job", None) == event.job:
            heard.append(one)
            on(one)
        if heard and isinstance(heard[-1], events.ENDS):
            return heard
    pytest.fail(f"the worker left: {heard}")


def pictures(folder):
    return {path.name: cv2.imread(str(path)) for path in sorted((folder / "frames").glob("*.png"))}


def kinds(heard):
    return [type(event).__name__ for event in heard]


def test_a_text_job_ends_with_all_its_frames_and_a_second_run_makes_none_anew(
    worker, models, tmp_path
):
    folder = text_job(models, tmp_path / "job")
    heard = told(worker, events.Run("first", str(folder)))
    assert isinstance(heard[-1], events.Finished), heard[-1]
    assert [event.number for event in heard if isinstance(event, events.FrameDone)] == [1, 2, 3, 4]
    assert all(picture.shape == (64, 64, 3) for picture in pictures(folder).values())
    again = told(worker, events.Run("again", str(folder)))
    assert kinds(again) == ["FrameDone"] * 4 + ["Finished"]


def test_frames_appear_on_disk_one_by_one(worker, models, tmp_path):
    folder, there = text_job(models, tmp_path / "job"), []

    def look(event):
        if isinstance(event, events.FrameDone):
            there.append(len(pictures(folder)))

    told(worker, events.Run("job", str(folder), chunk=1), look)
    assert there[0] < 4 and there == sorted(there)


def test_a_part_of_a_job_equals_the_same_part_of_the_whole_in_any_chunk(worker, models, tmp_path):
    whole, part = text_job(models, tmp_path / "whole"), text_job(models, tmp_path / "part")
    told(worker, events.Run("whole", str(whole), chunk=3))
    heard = told(worker, events.Run("part", str(part), first=3, last=4, chunk=1))
    assert [event.number for event in heard if isinstance(event, events.FrameDone)] == [3, 4]
    all_of_them, some = pictures(whole), pictures(part)
    assert list(some) == ["0003.png", "0004.png"]
    for name, picture in some.items():
        assert np.abs(picture.astype(int) - all_of_them[name]).max() <= 1


def test_a_depth_job_draws_its_conditions_and_its_frames(worker, models, tmp_path):
    folder = depth_job(models, tmp_path / "job")
    assert isinstance(told(worker, events.Preview("look", str(folder)))[-1], events.Finished)
    seen = cv2.imread(str(folder / "conditions" / "depth" / "0002.png"))
    assert seen[32, 28].tolist() == [255, 255, 255] and seen[0, 0].tolist() == [0, 0, 0]
    assert isinstance(told(worker, events.Run("job", str(folder)))[-1], events.Finished)
    assert list(pictures(folder)) == ["0001.png", "0002.png", "0003.png"]


def test_a_cancelled_job_stops_within_a_step_and_is_taken_up_again(worker, models, tmp_path):
    folder = text_job(models, tmp_path / "job", steps=40)
    sent = threading.Event()

    def cancel_once(event):
        if (
            isinstance(event, events.Progress)
            and event.stage != "loading the model"
            and not sent.is_set()
        ):
            sent.set()
            worker.send(events.Cancel("job"))

    heard = told(worker, events.Run("job", str(folder)), cancel_once)
    assert isinstance(heard[-1], events.Cancelled)
    steps = [
        event
        for event in heard
        if isinstance(event, events.Progress) and event.stage != "loading the model"
    ]
    assert len(steps) < 40
    assert isinstance(told(worker, events.Run("more", str(folder)))[-1], events.Finished)


@pytest.mark.parametrize(
    "text",
    ['a "red" ball', "a red\nball\ton grass", "a red ball 🎈", "ball " * 2000, "", "\\ % {} $HOME"],
)
def test_any_prompt_makes_frames(worker, models, tmp_path, text):
    folder = text_job(models, tmp_path / "job", steps=2, count=2, prompt=Prompt(text))
    assert isinstance(told(worker, events.Run("job", str(folder)))[-1], events.Finished)


def test_a_model_that_is_not_there_is_a_sentence_with_its_path(worker, models, tmp_path):
    folder = text_job(models, tmp_path / "job", model=Model(str(tmp_path / "none")))
    end = told(worker, events.Run("job", str(folder)))[-1]
    assert isinstance(end, events.Failed) and str(tmp_path / "none") in end.reason


@pytest.mark.slow
def test_a_damaged_pass_is_a_sentence_with_its_path(worker, models, tmp_path):
    folder = depth_job(models, tmp_path / "job")
    (folder / "depth2.npy").write_bytes(b"\x93NUMPY")
    end = told(worker, events.Run("job", str(folder)))[-1]
    assert isinstance(end, events.Failed) and "depth2.npy" in end.reason


@pytest.mark.slow
def test_run_on_the_command_line_makes_the_frames_and_tells_where(models, tmp_path):
    folder = text_job(models, tmp_path / "Jörgs job", count=2)
    done = subprocess.run(
        [sys.executable, "-m", "t2vz_core", "run", folder, "--frames", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(pictures(folder)) == ["0002.png"]
    assert "frames, " in done.stderr and str(folder) in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["run", "nowhere"], 1), (["dance"], 2), (["run", "x", "--frames", "9-1"], 2)],
)
def test_exit_codes_tell_failure_from_wrong_usage(arguments, code):
    done = subprocess.run(
        [sys.executable, "-m", "t2vz_core", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == code and done.stderr.strip()
