"""Of several processes one makes a frame, and none is lost when one of them is killed."""

import collections
import errno
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from t2vz_core.job_folder.claims import Claims

ROOT = Path(__file__).parents[3]
MAKER = Path(__file__).with_name("claiming.py")
COUNT = 400
OTHER = '{"token": "t", "machine": "m", "host": "h", "pid": 1, "started": "0"}'


def maker(job):
    return subprocess.Popen(
        [sys.executable, MAKER, job, str(COUNT)], env=os.environ | {"PYTHONPATH": str(ROOT)}
    )


def made(job):
    return sorted(int(path.stem) for path in job.glob("[0-9]*.png"))


def begun(job):
    return collections.Counter((job / "begun").read_text().split())


def test_a_name_is_taken_by_one_alone_and_is_free_once_given_back(tmp_path):
    with Claims(tmp_path) as one, Claims(tmp_path) as two:
        assert one.take(["1", "2"]) == ["1", "2"]
        assert two.take(["1", "2", "3"]) == ["3"] and two.free(["1", "4"]) == ["4"]
        assert one.take(["1"]) == ["1"]
        one.release("1")
        assert two.take(["1"]) == ["1"]


def test_what_was_not_given_back_is_so_at_the_end_and_nothing_stays(tmp_path):
    with Claims(tmp_path) as one:
        one.take(["1", "2"])
        assert set(one.owners()) == {"1", "2"}
    assert not list(tmp_path.iterdir())


def test_the_claim_of_a_dead_process_of_this_machine_is_taken_at_once(tmp_path):
    code = f"from t2vz_core.job_folder.claims import Claims; import os\n\
from pathlib import Path; Claims(Path({str(tmp_path)!r})).take(['1']); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    with Claims(tmp_path) as claims:
        assert claims.free(["1"]) == ["1"] and claims.take(["1"]) == ["1"]


def foreign(job, text=OTHER):
    """A claim of another machine."""
    path = job / "claims" / "1.1"
    path.parent.mkdir()
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", ["", "{", '{"token": "of another version"}'])
def test_a_claim_that_says_nothing_goes_stale_like_any_other(tmp_path, text):
    foreign(tmp_path, text=text)
    with Claims(tmp_path, stale_s=0.1) as claims:
        assert claims.take(["1"]) == []
        time.sleep(0.15)
        assert claims.take(["1"]) == ["1"]


@pytest.mark.parametrize("skew_s", [-1e6, 0.0, 1e6])
def test_another_machines_claim_lives_while_it_is_touched_whatever_its_clock_says(tmp_path, skew_s):
    path = foreign(tmp_path)
    with Claims(tmp_path, stale_s=0.2) as claims:
        for beat in range(8):
            os.utime(path, (time.time() + skew_s + beat, time.time() + skew_s + beat))
            assert claims.take(["1"]) == []
            time.sleep(0.05)
        time.sleep(0.25)
        assert claims.take(["1"]) == ["1"]


def test_a_claim_is_touched_while_its_owner_works(tmp_path):
    with Claims(tmp_path, beat_s=0.05) as one, Claims(tmp_path, stale_s=0.3) as two:
        one.take(["1"])
        before = (tmp_path / "claims" / "1.1").stat().st_mtime_ns
        for _ in range(8):
            time.sleep(0.05)
            assert two.take(["1"]) == []
        assert (tmp_path / "claims" / "1.1").stat().st_mtime_ns > before


def test_a_disk_without_links_does_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    with Claims(tmp_path) as one, Claims(tmp_path) as two:
        assert one.take(["1"]) == ["1"] and two.take(["1"]) == []


def test_a_link_whose_answer_was_lost_counts(tmp_path, monkeypatch):
    link = os.link

    def made_but_denied(part, path):
        link(part, path)
        raise FileExistsError(errno.EEXIST, "asked twice")

    monkeypatch.setattr(os, "link", made_but_denied)
    with Claims(tmp_path) as claims:
        assert claims.take(["1"]) == ["1"]


def test_a_full_disk_is_said_and_leaves_no_claim(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with Claims(tmp_path) as claims:
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            claims.take(["1"])
    assert not list(tmp_path.rglob("1.*"))


@pytest.mark.slow
@pytest.mark.slow
def test_eight_processes_make_every_frame_once(tmp_path):
    makers = [maker(tmp_path) for _ in range(8)]
    assert [process.wait(60) for process in makers] == [0] * 8
    assert made(tmp_path) == list(range(COUNT))
    assert set(begun(tmp_path).values()) == {1}
    assert not (tmp_path / "claims").exists()


@pytest.mark.slow
def test_sixty_kills_lose_no_frame_and_cost_no_more_than_what_was_in_hand(tmp_path):
    draw = random.Random(3)
    for shot in range(6):
        job = tmp_path / str(shot)
        job.mkdir()
        makers = [maker(job) for _ in range(3)]
        for _ in range(10):
            time.sleep(draw.uniform(0.0, 0.3))
            which = draw.randrange(3)
            makers[which].kill()
            assert makers[which].wait() != 0, "it was done before it could be killed"
            makers[which] = maker(job)
        assert [process.wait(60) for process in makers] == [0] * 3
        assert made(job) == list(range(COUNT))
        assert sum(begun(job).values()) <= COUNT + 10
