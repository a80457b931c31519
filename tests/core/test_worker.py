"""The real worker process, spoken to as a host does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from t2vz_core import __version__
from t2vz_core import worker as worker_room
from t2vz_core.fault import Cancelled, Fault
from t2vz_core.job_folder import frames as frames_room
from t2vz_core.wire import events
from t2vz_core.wire.job import Frame, JobSpec, write_job
from t2vz_core.wire.lines import Lines
from t2vz_core.worker import Watch, Worker

ROOT = Path(__file__).parents[2]
ENDS = (events.Finished, events.Failed, events.Cancelled)


@pytest.fixture
def process():
    worker = subprocess.Popen(
        [sys.executable, "-m", "t2vz_core", "worker"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    yield worker
    worker.kill()
    worker.wait()


def job(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    write_job(folder, JobSpec(frames=(Frame(1, True),), **changes))
    return folder


def test_the_worker_beats_greets_and_leaves_when_stdin_closes(process):
    heard = []
    for event in Lines(process.stdout, process.stdin).receive():
        heard.append(type(event))
        if events.Ready in heard and events.Beat in heard:
            break
    process.stdin.close()
    assert process.wait(5) == 0


def test_a_job_that_cannot_be_read_fails_with_a_sentence_and_the_next_is_served(process, tmp_path):
    lines = Lines(process.stdout, process.stdin)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        lines.send(events.Run(name, str(tmp_path / name)))
    ends = []
    for event in lines.receive():
        if isinstance(event, ENDS):
            ends.append(event)
        if len(ends) == 2:
            break
    assert [(type(end), end.job) for end in ends] == [
        (events.Failed, "one"),
        (events.Failed, "two"),
    ]
    assert all("holds no job.json" in end.reason for end in ends)


def test_a_folder_that_can_be_no_path_ends_its_job_with_a_sentence():
    heard = []
    Worker(heard.append).perform(events.Run("job", "a\0b"))
    assert [type(event) for event in heard] == [events.Failed]
    assert heard[0].reason == "folder: 'a\\x00b' is no path"


def performed(folder, monkeypatch, do):
    """The events of one job in which the making of frames is `do`."""
    heard = []
    worker = Worker(heard.append)
    monkeypatch.setattr(worker, "make", do)
    worker.perform(events.Run("job", str(folder)))
    return heard


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Fault("Lower the size."), "Lower the size."),
        (MemoryError(), "not enough memory"),
        (
            ImportError("No module named 'torch'"),
            "not whole (No module named 'torch'): set it up again",
        ),
        (OSError(28, "No space left on device", "0001.png"), "The disk is full (0001.png)"),
        (OSError(30, "Read-only file system", "0001.png"), "0001.png cannot be written"),
        (KeyError("mid_block"), "The engine failed (KeyError: 'mid_block')"),
    ],
)
def test_whatever_happens_a_job_ends_once_with_a_sentence(tmp_path, monkeypatch, error, sentence):
    def do(*_):
        raise error

    heard = performed(job(tmp_path), monkeypatch, do)
    assert [type(event) for event in heard] == [events.Failed]
    assert sentence in heard[0].reason and heard[0].log == str(tmp_path / "engine.log")


def test_an_unforeseen_error_leaves_its_traceback_in_the_log(tmp_path, monkeypatch):
    def do(*_):
        raise KeyError("mid_block")

    performed(job(tmp_path), monkeypatch, do)
    assert "KeyError: 'mid_block'" in (tmp_path / "engine.log").read_text()


def test_the_log_alone_tells_what_ran_where_and_what_was_said(tmp_path, monkeypatch):
    def do(*words):
        words[-1].note("The prompt is long.")
        raise Fault("Lower the size.")

    monkeypatch.setattr(
        sys, "stderr", os.fdopen(2, "w", buffering=1, closefd=False)
    )  # not pytest's own
    performed(job(tmp_path), monkeypatch, do)
    log = (tmp_path / "engine.log").read_text()
    assert __version__ in log and "torch" in log
    assert (
        log.index("The prompt is long.") < log.index("Lower the size.") and "Traceback" not in log
    )


def test_a_folder_that_is_not_there_is_named_by_its_job(tmp_path, monkeypatch):
    (end,) = performed(tmp_path / "gone", monkeypatch, lambda *_: pytest.fail("made"))
    assert end.reason.startswith(f"{tmp_path / 'gone'}: there is no such folder")


def test_what_native_code_prints_goes_to_the_log(tmp_path, monkeypatch):
    performed(job(tmp_path), monkeypatch, lambda *_: os.write(2, b"a driver complains\n"))
    assert "a driver complains" in (tmp_path / "engine.log").read_text()


def test_a_cancelled_job_stops_at_its_next_step(tmp_path):
    heard = []
    worker = Worker(heard.append)
    worker.cancel("job")
    worker.perform(events.Run("job", str(job(tmp_path))))
    assert isinstance(heard[-1], events.Cancelled)


def test_progress_tells_the_time_left(monkeypatch):
    now, heard = [100.0], []
    monkeypatch.setattr(worker_room.time, "monotonic", lambda: now[0])
    watch = Watch("job", heard.append, lambda: False)
    for done in range(3):
        watch.progress("denoising", done, 10)
        now[0] += 2.0
    assert [event.left_s for event in heard] == [None, 18.0, 16.0]


def test_progress_ends_a_cancelled_job():
    with pytest.raises(Cancelled):
        Watch("job", lambda event: None, lambda: True).progress("denoising", 1, 2)


def test_a_job_with_all_its_frames_loads_no_model(tmp_path, monkeypatch):
    folder = job(tmp_path)
    (folder / "frames").mkdir()
    (folder / "frames" / "made_from").write_text(
        frames_room.fingerprint(folder, JobSpec(frames=(Frame(1, True),)))
    )
    (folder / "frames" / "0001.png").write_bytes(b"whole")
    heard = performed(folder, monkeypatch, lambda *_: pytest.fail("made again"))
    assert [type(event) for event in heard] == [events.FrameDone, events.Finished]
