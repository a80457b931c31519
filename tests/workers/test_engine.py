"""The host against bad workers, each a file named for its fault."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from blender_addon.job import engine as host
from blender_addon.job.engine import Engine
from t2vz_core.wire.events import Cancelled, Failed, Finished, FrameDone

HERE = Path(__file__).parent


@pytest.fixture
def start(tmp_path):
    engines = []

    def make(fault, *arguments, **limits):
        engine = Engine(
            [sys.executable, HERE / f"{fault}.py", *arguments], tmp_path / "engine.log", **limits
        )
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.stop()


def until_end(engine, limit_s=20.0):
    """Every event of the job under way, polled as Blender would; and the seconds it took."""
    began, heard = time.monotonic(), []
    while engine.is_busy:
        assert time.monotonic() - began < limit_s, f"no end after {limit_s} s: {heard}"
        heard += engine.poll()
        time.sleep(0.02)
    return heard, time.monotonic() - began


def end_of(engine, folder):
    engine.run(folder)
    heard, seconds = until_end(engine)
    return heard[-1], seconds


def test_a_healthy_worker_serves_many_jobs_in_one_process(start, tmp_path):
    engine = start("healthy")
    first, second = end_of(engine, tmp_path)[0], end_of(engine, tmp_path)[0]
    assert isinstance(first, Finished) and isinstance(second, Finished)
    assert first.job != second.job
    assert (tmp_path / "engine.log").read_text() == ""


def test_a_second_job_waits_for_the_end_of_the_first(start, tmp_path):
    engine = start("ignores_cancel")
    engine.run(tmp_path)
    with pytest.raises(RuntimeError, match="still under way"):
        engine.run(tmp_path)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("killed_in_job", "was killed"),
        ("dies_in_job", "exit code 3"),
        ("dies_at_start", "is not the Python of an engine (No module named t2vz_core)"),
        ("prints_rubbish", "not of the protocol"),
    ],
)
def test_a_worker_that_goes_wrong_is_noticed_within_two_seconds(start, tmp_path, fault, sentence):
    engine = start(fault)
    end, seconds = end_of(engine, tmp_path)
    assert isinstance(end, Failed) and sentence in end.reason
    assert end.log == str(tmp_path / "engine.log")
    assert seconds < 2.0 + 1.0  # the process itself needs a moment to start
    assert not engine.is_running


@pytest.mark.parametrize("fault", ["hangs_at_start", "hangs_in_job"])
def test_a_worker_that_hangs_is_ended(start, tmp_path, fault):
    engine = start(fault, silence_s=1.0)
    end, seconds = end_of(engine, tmp_path)
    assert isinstance(end, Failed) and "does not answer" in end.reason
    assert 0.9 < seconds < 12.0
    assert not engine.is_running


def test_a_worker_that_asked_for_patience_may_be_silent_for_so_long(start, tmp_path):
    end, seconds = end_of(start("imports_for_long", silence_s=3.0), tmp_path)
    assert isinstance(end, Finished) and seconds > 4.0


def test_a_worker_that_outlasts_the_patience_it_asked_for_is_ended(start, tmp_path):
    end, seconds = end_of(start("hangs_while_loading", silence_s=3.0), tmp_path)
    assert isinstance(end, Failed) and "does not answer" in end.reason
    assert 4.0 < seconds < 20.0


def test_a_hang_is_noticed_within_fifteen_seconds():
    assert host.SILENCE_S <= 15.0


def test_the_next_job_starts_a_fresh_worker(start, tmp_path):
    engine = start("dies_in_job")
    for _ in range(2):
        assert isinstance(end_of(engine, tmp_path)[0], Failed)


def test_a_worker_that_ignores_cancel_is_ended(start, tmp_path):
    engine = start("ignores_cancel", patience_s=0.5)
    engine.run(tmp_path)
    engine.cancel()
    heard, seconds = until_end(engine)
    assert isinstance(heard[-1], Cancelled) and seconds < 3.0
    assert not engine.is_running


def test_nothing_follows_the_end_of_a_job(start, tmp_path):
    engine = start("ends_twice")
    for _ in range(2):
        engine.run(tmp_path)
        heard, _ = until_end(engine)
        assert [type(event) for event in heard] == [Finished]
        time.sleep(0.1)
        assert engine.poll() == []


def test_the_end_of_another_job_is_not_ours(start, tmp_path):
    assert end_of(start("speaks_of_another_job"), tmp_path)[0].frames == 2


def test_frames_are_told_as_they_come(start, tmp_path):
    engine = start("healthy")
    engine.run(tmp_path)
    heard, _ = until_end(engine)
    assert FrameDone(heard[0].job, 1, "frames/0001.png") in heard


def test_a_command_that_does_not_exist_is_an_error_at_once(tmp_path):
    engine = Engine([tmp_path / "no-python"], tmp_path / "engine.log")
    with pytest.raises(RuntimeError, match="is not the Python of an engine"):
        engine.run(tmp_path)
    assert not engine.is_busy


def test_the_log_of_a_failure_is_the_jobs_own_once_there_is_one(start, tmp_path):
    (tmp_path / "job").mkdir()
    engine = start("dies_in_job")
    assert end_of(engine, tmp_path / "job")[0].log == str(tmp_path / "engine.log")
    (tmp_path / "job" / "engine.log").touch()
    assert end_of(engine, tmp_path / "job")[0].log == str(tmp_path / "job" / "engine.log")


def test_the_worker_leaves_when_its_host_dies(tmp_path):
    left, worker = tmp_path / "left", HERE / "leaves_when_stdin_closes.py"
    code = """
import os, sys, time
from pathlib import Path
from blender_addon.job.engine import Engine
engine = Engine([sys.executable, *sys.argv[1:]], Path(sys.argv[2] + ".log"))
engine.run(Path("."))
time.sleep(0.5)
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", code, worker, left], cwd=HERE.parents[1], check=False)
    deadline = time.monotonic() + 20.0
    while not left.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left.exists()
