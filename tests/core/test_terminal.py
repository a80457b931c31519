"""What `python -m t2vz_core run` shows: a bar where someone looks on, few lines where a log is
written."""

import os
from pathlib import Path

import pytest

from t2vz_core.__main__ import Terminal, main
from t2vz_core.wire import events


def shown(monkeypatch, end: int, reader: int, steps: int) -> str:
    """What comes out of `reader` when a job of so many steps is shown at `end`."""
    monkeypatch.setattr(os, "dup", lambda _: end)
    terminal = Terminal(Path("film"))
    for done in range(steps + 1):
        terminal.show(
            events.Progress("job", "painting frames", done, steps, left_s=float(steps - done))
        )
    terminal.show(events.Finished("job", frames=4, seconds=2.0))
    said = b""
    while b"film" not in said:  # a terminal hands over what it has so far
        said += os.read(reader, 1 << 16)
    return said.decode()


def test_a_log_gets_a_line_at_every_tenth_and_no_control_characters(monkeypatch):
    reader, end = os.pipe()
    lines = shown(monkeypatch, end, reader, 100).splitlines()
    assert len(lines) == 12 and lines[5] == "painting frames 50/100, 50 s left"
    assert lines[-1] == "4 frames, 2.0 s: film" and all(line.isprintable() for line in lines)


def test_a_terminal_gets_one_bar_that_is_drawn_over(monkeypatch):
    reader, end = os.openpty()
    text = shown(monkeypatch, end, reader, 10)
    assert text.count("\r\033[K") == 12 and text.count("\n") == 1


@pytest.mark.parametrize("frames", ["-5--1", "-5", "1,3,5"])
def test_frames_may_be_negative_and_listed(tmp_path, frames):
    """The job is not there: that is said, and not that the words are wrong."""
    assert main(["run", str(tmp_path / "film"), "--frames", frames]) == 1


@pytest.mark.parametrize(
    "words", [["--chunk", "-3"], ["--chunk", "x"], ["--frames", "9-1"], ["--frames", "x"]]
)
def test_wrong_usage_is_2(words):
    with pytest.raises(SystemExit) as left:
        main(["run", "film", *words])
    assert left.value.code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["run", "film", "--parts", "x"],
        ["farm", "film", "--engine", "openjd", "--out", "o", "--frames", "9-1"],
        ["farm", "film", "--engine", "openjd", "--out", "o", "--hours", "-4"],
        ["finish", "film", "--fps", "nan"],
        ["finish", "film", "--fps", "1e400"],
    ],
)
def test_wrong_usage_is_2_in_every_command_before_the_job_is_looked_at(words):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
