"""A job is taken up where it stopped if the same is asked for again, and only then."""

import dataclasses

import numpy as np
import pytest

from blender_addon.job import folders
from blender_addon.job.resume import AGAIN, folder_for_another_capture, rejoined
from t2vz_core.wire.job import JobSpec, Prompt, Sampling

SPEC = JobSpec(prompt=Prompt("a “hill”"))


def captured(folder, spec=SPEC, numbers=(1, 2), depth=1.0, shift_px=(0.5, 0.0)):
    """A job of these frames; the last has this depth."""
    folder.mkdir(exist_ok=True)
    arrays = [
        folders.FrameArrays(n, shift_px=shift_px, depth=np.full((4, 4), 1.0, np.float32))
        for n in numbers
    ]
    arrays[-1].depth[:] = depth
    return folders.finish(folder, spec, [folders.write_frame(folder, each) for each in arrays])


@pytest.fixture
def job(tmp_path):
    """An interrupted job with one of its frames."""
    captured(tmp_path / "job")
    (tmp_path / "job/frames").mkdir()
    (tmp_path / "job/frames/0001.png").touch()
    return tmp_path / "job"


def test_the_same_once_more_is_the_same_job(job):
    again = folder_for_another_capture(job)
    captured(again)
    assert rejoined(again, job) == job
    assert not again.exists() and (job / "frames/0001.png").exists()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"spec": dataclasses.replace(SPEC, sampling=Sampling(seed=5))}, r"another sampling\.seed"),
        ({"spec": JobSpec()}, r"another prompt\.text"),
        ({"numbers": (1, 2, 3)}, "other frames"),
        ({"depth": 1.5}, "another frame 2, as the scene has changed"),
        ({"shift_px": (0.6, 0.0)}, "another frame 1, as the scene has changed"),
    ],
)
def test_anything_else_is_refused_by_what_differs_and_the_job_stays(job, other, said):
    before = {path: path.read_bytes() for path in job.rglob("*") if path.is_file()}
    again = folder_for_another_capture(job)
    captured(again, **other)
    with pytest.raises(ValueError, match=said):
        rejoined(again, job)
    assert before == {path: path.read_bytes() for path in job.rglob("*") if path.is_file()}


def test_a_pass_that_is_gone_is_a_difference(job):
    again = folder_for_another_capture(job)
    captured(again)
    (job / "passes/depth/0002.npy").unlink()
    with pytest.raises(ValueError, match="another frame 2"):
        rejoined(again, job)


def test_the_rest_of_a_capture_that_was_killed_is_in_nobodys_way(job):
    (job / AGAIN / "passes").mkdir(parents=True)
    assert not any(folder_for_another_capture(job).iterdir())
