"""Conditions as control videos."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from t2vz_core.__main__ import VIDEOS
from t2vz_core.conditions.controlnet import conditions
from t2vz_core.conditions.video import TARGETS, whole, write_videos
from t2vz_core.fault import Fault
from t2vz_core.job_folder.passes import Source
from t2vz_core.wire.job import Control, Shot, write_job
from tests.core.small_jobs import job

ROOT = Path(__file__).parents[3]


def frames_of(path):
    video = cv2.VideoCapture(str(path))
    count, fps = (video.get(what) for what in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
    pictures = []
    while (read := video.read())[0]:
        pictures.append(read[1][..., ::-1])
    assert len(pictures) == count
    return pictures, fps


@pytest.mark.parametrize(
    ("name", "count", "expected"), [("wan", 4, 5), ("wan", 5, 5), ("ltx", 4, 9), ("ltx", 10, 17)]
)
def test_the_last_frame_is_held_until_the_count_fits(name, count, expected):
    frames = [np.full((1, 1), i) for i in range(count)]
    held = whole(frames, TARGETS[name].every)
    assert len(held) == expected
    assert all(frame == count - 1 for frame in held[count:])


def test_each_control_of_each_shot_is_a_video_with_its_exact_pictures_beside_it(tmp_path):
    spec = job(tmp_path, 6, controls=(Control("depth"), Control("edges")))
    frames = tuple(replace(frame, is_anchor=frame.number in (1, 5)) for frame in spec.frames)
    spec = replace(spec, frames=frames)
    said = list(write_videos(tmp_path, spec, "wan", 12))
    assert len(said) == 6  # two shots with depth, edges and masks
    place = tmp_path / "conditions/video/0001/depth"
    pictures, fps = frames_of(place / "src_video.mp4")
    assert (len(pictures), fps) == (5, 12)
    for i, frame in enumerate(spec.frames[:4], 1):
        exact = conditions(spec, Source(tmp_path), frame)[0]
        assert (cv2.imread(str(place / f"{i:05d}.png"))[..., ::-1] == exact).all()
        assert np.abs(pictures[i - 1].astype(int).mean() - exact.mean()) < 6
    mask, _ = frames_of(tmp_path / "conditions/video/0005/mask/src_mask.mp4")
    assert len(mask) == 5


@pytest.mark.slow
def test_the_command_line_writes_them(tmp_path):
    write_job(tmp_path, job(tmp_path, 2, controls=(Control("depth"),)))
    command = [sys.executable, "-m", "t2vz_core", "conditions", str(tmp_path), "--video", "ltx"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 frames, the last one held 7 more" in done.stdout
    assert tuple(TARGETS) == VIDEOS


def test_a_size_that_the_model_does_not_take_gets_a_sentence(tmp_path):
    spec = replace(job(tmp_path, 1, controls=(Control("depth"),)), shot=Shot(72, 64))
    with pytest.raises(Fault, match="72 × 64 px, wan takes multiples of 16"):
        list(write_videos(tmp_path, spec, "wan"))


def test_a_job_without_controls_gets_a_sentence(tmp_path):
    with pytest.raises(Fault, match="no controls"):
        list(write_videos(tmp_path, job(tmp_path, 1), "wan"))
