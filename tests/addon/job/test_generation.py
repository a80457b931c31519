"""A generation goes from captured frames to its end in small steps."""

import errno
from pathlib import Path

import numpy as np
import pytest

from blender_addon.job.folders import FrameArrays
from blender_addon.job.generation import CANCELLED, FAILED, FINISHED, Generation, caption, duration
from t2vz_core.wire import events
from t2vz_core.wire.job import JobSpec, Motion, read_job


class FakeEngine:
    """Answers every poll with the next of the lists of events it was given."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def run(self, folder):
        self.asked.append(("run", folder))

    def preview(self, folder):
        self.asked.append(("preview", folder))

    def cancel(self):
        self.asked.append(("cancel",))

    def poll(self):
        return self.answers.pop(0) if self.answers else []


class Scene:
    """Two frames, and whether the capture was closed before its end."""

    is_restored = False

    def behind(self, done):
        self.is_restored = False
        try:
            for number in (1, 2)[done:]:
                yield FrameArrays(number, depth=np.ones((8, 8), np.float32))
        finally:
            self.is_restored = True


def begun(tmp_path, engine, spec=None, **more):
    scene = Scene()
    return scene, Generation(tmp_path / "job", spec or JobSpec(), engine, **more).captures(
        scene.behind, 2
    )


def to_its_end(generation, limit=50):
    for _ in range(limit):
        if generation.end is not None:
            return generation
        generation.step()
    raise AssertionError("no end")


@pytest.fixture(autouse=True)
def folder(tmp_path):
    (tmp_path / "job").mkdir()


def test_a_job_is_captured_frame_by_frame_and_then_sent(tmp_path):
    engine = FakeEngine(
        [events.FrameDone("j", 1, "frames/0001.png")], [events.Finished("j", 2, 1.0)]
    )
    _, generation = begun(tmp_path, engine)
    generation.step()
    assert (generation.done, generation.total, generation.is_capturing) == (1, 2, True)
    assert not engine.asked
    to_its_end(generation)
    assert generation.end == FINISHED and generation.frames_done == 1
    assert engine.asked == [("run", tmp_path / "job")]
    assert [frame.number for frame in read_job(tmp_path / "job").frames] == [1, 2]


def test_from_cancel_to_its_end_it_says_that_it_is_cancelling(tmp_path):
    late = events.Progress("j", "painting frames", 3, 9, 8.0)
    engine = FakeEngine([late], [late], [events.Cancelled("j")])
    _, generation = begun(tmp_path, engine)
    for _ in range(5):
        generation.step()
    assert caption(generation) == "Painting frames: frame 1 of 2, 8 s left"
    generation.cancel()
    generation.step()
    assert caption(generation).startswith("Cancelling")
    assert to_its_end(generation).end == CANCELLED


def test_a_stage_in_one_piece_tells_only_the_time_left(tmp_path):
    generation = Generation(tmp_path, JobSpec(), None)
    generation.left_s = 2.0
    assert caption(generation) == "Starting the engine: 2 s left"


def test_without_an_engine_it_ends_with_the_job_folder(tmp_path):
    _, generation = begun(tmp_path, None)
    assert to_its_end(generation).end == FINISHED
    assert read_job(tmp_path / "job") == generation.spec


def test_a_preview_asks_for_conditions_only(tmp_path):
    engine = FakeEngine([events.Finished("j", 2, 1.0)])
    to_its_end(begun(tmp_path, engine, is_preview=True)[1])
    assert engine.asked == [("preview", tmp_path / "job")]


def test_what_the_engine_says_is_there_to_be_shown(tmp_path):
    said = [
        events.Note("j", "slow"),
        events.Note("j", "slow"),
        events.Note("j", "T is 961", events.LOG),
        events.Progress("j", "denoising", 12, 50, 80.4),
    ]
    _, generation = begun(tmp_path, FakeEngine(said))
    for _ in range(5):
        generation.step()
    assert generation.notes == ["slow"] and generation.details == ["T is 961"]
    assert caption(generation) == "Denoising: frame 13 of 50, 1 min 20 s left"


def test_a_cancelled_capture_puts_the_scene_back_and_leaves_nothing(tmp_path):
    engine = FakeEngine()
    scene, generation = begun(tmp_path, engine)
    generation.step()
    generation.cancel()
    assert generation.end == CANCELLED and scene.is_restored
    assert not (tmp_path / "job").exists() and not engine.asked


def test_cancel_while_generating_waits_for_the_engines_word(tmp_path):
    engine = FakeEngine([], [events.Cancelled("j")])
    _, generation = begun(tmp_path, engine)
    while not engine.asked:
        generation.step()
    generation.cancel()
    assert generation.end is None and engine.asked[-1] == ("cancel",)
    assert to_its_end(generation).end == CANCELLED
    assert (tmp_path / "job" / "job.json").exists()


def test_the_engines_failure_is_a_sentence_with_its_log(tmp_path):
    _, generation = begun(
        tmp_path, FakeEngine([events.Failed("j", "No such model.", "/x/engine.log")])
    )
    assert to_its_end(generation).end == FAILED
    assert (generation.error, generation.log) == ("No such model.", "/x/engine.log")


def test_a_setting_that_the_wire_refuses_is_a_sentence_and_nothing_is_sent(tmp_path):
    engine = FakeEngine()
    _, generation = begun(tmp_path, engine, JobSpec(motion=Motion(level_from=950)))
    assert to_its_end(generation).error.startswith("motion.level_from")
    assert not engine.asked


def test_a_disk_that_fills_up_ends_the_capture_with_a_sentence(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "0001.npy")

    monkeypatch.setattr(Path, "write_bytes", full)
    scene, generation = begun(tmp_path, FakeEngine())
    assert to_its_end(generation).end == FAILED
    assert "disk is full" in generation.error and scene.is_restored
    assert not (tmp_path / "job").exists()


def test_an_engine_that_cannot_be_started_is_a_sentence(tmp_path):
    class NoEngine(FakeEngine):
        def run(self, folder):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/no/python")

    _, generation = begun(tmp_path, NoEngine())
    assert to_its_end(generation).end == FAILED
    assert "/no/python" in generation.error


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.2, "8 s"), (80, "1 min 20 s"), (7500, "2 h 05 min")]
)
def test_times_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_a_pause_puts_the_scene_back_and_the_next_step_goes_on(tmp_path):
    scene, generation = begun(tmp_path, None)
    generation.step()
    generation.pause()
    assert scene.is_restored and generation.is_capturing
    generation.step()
    assert not scene.is_restored and generation.done == 2
    assert [frame.number for frame in to_its_end(generation).spec.frames] == [1, 2]
