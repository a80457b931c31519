"""What was made, and what was left unfinished, is found again."""

from datetime import datetime

from blender_addon.job import folders, history, left_over
from t2vz_core.wire.job import Control, Frame, JobSpec, Prompt, frame_file, write_job


def job_in(folder, prompt="a hill", frames=(1, 2), done=()):
    (folder / "frames").mkdir(parents=True)
    spec = JobSpec(
        prompt=Prompt(prompt), controls=(Control(),), frames=tuple(Frame(n) for n in frames)
    )
    write_job(folder, spec)
    for number in done:
        (folder / frame_file(number)).write_bytes(b"png")
    return folder


def test_takes_are_listed_the_newest_first_and_say_what_they_are(tmp_path):
    job_in(tmp_path / "20260101-one", done=(1, 2))
    job_in(tmp_path / "20260102-two", "", done=(1,))
    (tmp_path / "20260103-no-job").mkdir()
    two, one = history.takes(tmp_path, 10)
    assert (one.title, one.details, one.is_whole) == ("a hill", "depth, seed 0, 2 frames", True)
    assert (two.title, two.details) == ("20260102-two", "depth, seed 0, 1 of 2 frames")
    assert history.takes(tmp_path, 1) == [two] and history.takes(tmp_path / "gone", 9) == []


def test_a_job_that_cannot_be_read_is_passed_over(tmp_path):
    job_in(tmp_path / "a")
    (tmp_path / "a/job.json").write_text("{")
    assert history.takes(tmp_path, 9) == []


def test_only_jobs_that_lack_frames_are_taken_up_again(tmp_path):
    whole, half = job_in(tmp_path / "whole", done=(1, 2)), job_in(tmp_path / "half", done=(1,))
    jobs = [
        left_over.LeftOver(str(folder), "title", "a.blend", "Scene")
        for folder in (whole, half, tmp_path / "gone")
    ]
    file = tmp_path / "queue.json"
    left_over.write(file, jobs)
    assert left_over.read(file) == [jobs[1]]
    file.write_text("[{}, 3]")
    assert left_over.read(file) == []


def test_a_twin_has_the_passes_and_no_frames(tmp_path):
    folder = job_in(tmp_path / "a", done=(1, 2))
    (folder / "passes/depth").mkdir(parents=True)
    (folder / "passes/depth/0001.npy").write_bytes(b"array")
    (folder / folders.PANEL).write_text("{}")
    spec = history.take_of(folder).spec
    other = folders.twin(folder, spec, datetime(2026, 1, 1))
    assert (other / "passes/depth/0001.npy").read_bytes() == b"array"
    assert (other / folders.PANEL).exists() and not (other / "frames").exists()
    folders.adopt_frames(other, folder, [2, 9])
    assert [number for number, _ in folders.finished_frames(other, spec)] == [2]
