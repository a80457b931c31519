"""The warm engine between a farm's tasks: whom it serves, how it stops, and what a task tells."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from t2vz_core.farm import daemon
from t2vz_core.wire.job import Frame, JobSpec, Model, Motion, Prompt, Sampling, Shot, write_job

from ..random_networks import write_model

ROOT = Path(__file__).parents[3]


def command(*words):
    return [sys.executable, "-m", "t2vz_core", *map(str, words)]


def said(*words):
    return subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture
def at(tmp_path):
    file = tmp_path / "session" / "engine.json"
    file.parent.mkdir()
    yield file
    daemon.stop(file)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "sd")


def small_job(folder, model, steps=3, count=4):
    folder.mkdir()
    spec = JobSpec(
        prompt=Prompt("a red ball"),
        model=Model(str(model)),
        shot=Shot(64, 64),
        sampling=Sampling(steps=steps),
        motion=Motion("translation"),
        frames=tuple(Frame(i, i == 1, (2.0 * i, 0.0)) for i in range(1, count + 1)),
    )
    write_job(folder, spec)
    return folder


def wait_for(truth, seconds=60.0):
    until = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < until
        time.sleep(0.05)


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text()


@pytest.mark.slow
def test_one_engine_starts_and_stops_and_its_address_is_its_owners_alone(at):
    assert said("daemon", "start", "--at", at).returncode == 0
    first = json.loads(at.read_text())
    assert stat.S_IMODE(at.stat().st_mode) == 0o600
    assert said("daemon", "start", "--at", at).returncode == 0
    assert json.loads(at.read_text()) == first
    assert said("daemon", "stop", "--at", at).returncode == 0
    assert not at.exists()
    wait_for(lambda: is_gone(first["pid"]), 5)
    assert said("daemon", "stop", "--at", at).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("line", [b"\n", b"wrong\n", b"wrong leave\n", b"x" * 1000, b"\xff \xff\n"])
def test_who_does_not_know_the_token_is_not_heard(at, line):
    daemon.start(at)
    port = json.loads(at.read_text())["port"]
    with socket.create_connection(("127.0.0.1", port), 5) as stranger:
        stranger.sendall(line)
        with suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
    assert said("daemon", "start", "--at", at).returncode == 0
    assert json.loads(at.read_text())["port"] == port


def test_it_listens_on_the_loopback_alone(at):
    daemon.start(at)
    port = json.loads(at.read_text())["port"]
    assert f"0100007F:{port:04X}" in Path("/proc/net/tcp").read_text()


@pytest.mark.slow
def test_it_leaves_with_the_sessions_folder(at):
    daemon.start(at)
    pid = json.loads(at.read_text())["pid"]
    at.unlink()
    wait_for(lambda: is_gone(pid), 10)


def test_a_job_that_fails_is_told_in_the_farms_words_and_by_the_exit_code(at, tmp_path):
    done = said("daemon", "run", tmp_path, "--at", at)
    assert done.returncode == 1
    assert done.stdout.startswith("openjd_fail: ") and "job.json" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("words", [["run"], ["run", "job", "--parts", "x"]])
def test_wrong_usage_is_a_sentence(at, words):
    done = said("daemon", *words, "--at", at)
    assert done.returncode in (1, 2) and done.stderr.strip() and "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_engine_that_does_not_start_is_a_sentence(tmp_path):
    done = said("daemon", "start", "--at", tmp_path / "nowhere" / "engine.json")
    assert done.returncode == 1 and "nowhere" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_second_task_finds_the_model_loaded(at, tmp_path, model):
    job = small_job(tmp_path / "job", model, count=24)
    first = said("daemon", "run", job, "--at", at, "--parts=1", "--of=1-17:8")
    assert first.returncode == 0, first.stderr
    assert "openjd_status: loading the model" in first.stdout
    assert "openjd_progress: 100" in first.stdout and "frame 8: frames/0008.png" in first.stdout
    again = said("daemon", "run", job, "--at", at, "--parts=9", "--of=1-17:8")
    assert again.returncode == 0 and "loading the model" not in again.stdout
    names = sorted(path.stem for path in (job / "frames").glob("*.png"))
    assert names == [f"{number:04d}" for number in range(1, 17)]


@pytest.mark.slow
def test_a_task_that_is_told_to_stop_stops_within_a_step(at, tmp_path, model):
    job = small_job(tmp_path / "job", model, steps=900)
    task = subprocess.Popen(
        command("daemon", "run", job, "--at", at), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    while "painting" not in task.stdout.readline():
        pass
    task.send_signal(signal.SIGTERM)
    assert task.wait(10) == 130
    assert "cancelled" in task.stdout.read()
    assert said("daemon", "run", tmp_path, "--at", at).returncode == 1  # it serves on


@pytest.mark.slow
def test_an_engine_that_dies_at_work_fails_its_task_and_the_next_has_a_new_one(at, tmp_path, model):
    job = small_job(tmp_path / "job", model, steps=80)
    task = subprocess.Popen(
        command("daemon", "run", job, "--at", at),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "painting" not in task.stdout.readline():
        pass
    os.kill(json.loads(at.read_text())["pid"], signal.SIGKILL)
    assert task.wait(10) == 1 and "ended while it was at work" in task.stderr.read()
    again = said("daemon", "run", job, "--at", at)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_the_job_of_a_task_that_was_killed_does_not_go_on(at, tmp_path, model):
    job = small_job(tmp_path / "job", model, steps=900)
    task = subprocess.Popen(
        command("daemon", "run", job, "--at", at), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    while "painting" not in task.stdout.readline():
        pass
    task.kill()
    began = time.monotonic()
    assert said("daemon", "run", tmp_path, "--at", at).returncode == 1
    assert time.monotonic() - began < 10
