"""Events travel as lines over any byte stream."""

import io
import json
import re
from pathlib import Path

import pytest

from t2vz_core.wire import events
from t2vz_core.wire.job import JobSpec
from t2vz_core.wire.lines import Lines, parse_line
from t2vz_core.wire.parse import WireError

EXAMPLES = [
    events.Run("job-1", "/tmp/übung with spaces", 1, 16, 4),
    events.Preview("job-1", "/tmp/job"),
    events.Cancel("job-1"),
    events.Ready("0.1.0", 42),
    events.Beat(),
    events.Beat(120.0),
    events.Progress("job-1", "denoising", 3, 50, 12.5),
    events.Note("job-1", "a note\nin two lines"),
    events.Note("job-1", "a figure for the log", events.LOG),
    events.FrameDone("job-1", 7, "frames/0007.png"),
    events.Finished("job-1", 16, 33.0),
    events.Failed("job-1", "The disk is full.", "/tmp/job/engine.log"),
    events.Cancelled("job-1"),
]


def test_there_is_an_example_of_every_event():
    assert {type(event) for event in EXAMPLES} == set(events.HOST + events.WORKER)


def test_every_event_arrives_as_it_was_sent():
    stream = io.BytesIO()
    for event in EXAMPLES:
        Lines(io.BytesIO(), stream).send(event)
    stream.seek(0)
    assert list(Lines(stream, io.BytesIO()).receive()) == EXAMPLES


def test_a_note_without_a_rank_is_the_artists_and_is_written_as_it_always_was():
    line = b'{"event": "Note", "job": "a", "text": "b"}'
    assert parse_line(line) == events.Note("a", "b", events.ARTIST)
    assert events.event_to_json(parse_line(line)) == json.loads(line)


@pytest.mark.parametrize(
    "line",
    [
        b"Downloading 12%\n",
        b"[]\n",
        b"{}\n",
        b'{"event": "Dance"}\n',
        b'{"event": "Cancel"}\n',
        b"\xff\xfe\n",
        b"\n",
    ],
)
def test_a_line_that_is_no_event_is_refused(line):
    with pytest.raises(WireError):
        parse_line(line)


def test_an_endless_line_does_not_fill_the_memory():
    with pytest.raises(WireError):
        list(Lines(io.BytesIO(b"x" * (3 << 20)), io.BytesIO()).receive())


def test_the_examples_of_the_document_are_real():
    text = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\{\"event\".*\}$", text, re.M)
    jobs = re.findall(r"```json\n(\{\s*\"version\".*?)```", text, re.S)
    assert {type(parse_line(line.encode())) for line in lines} == set(events.HOST + events.WORKER)
    assert jobs
    for job in jobs:
        JobSpec.from_json(json.loads(job))
