"""Finished frames are whole, kept, and never mixed with those of another spec."""

import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from t2vz_core.fault import Fault
from t2vz_core.job_folder.claims import Claims
from t2vz_core.job_folder.frames import Frames, claim_name, fingerprint
from t2vz_core.wire.job import Frame, JobSpec, Passes, Sampling

SPEC = JobSpec(frames=(Frame(3), Frame(4, passes=Passes(depth="depth.npy")), Frame(7)))
PICTURE = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "depth.npy").write_bytes(b"near")
    return tmp_path


def test_a_frame_is_written_whole_with_its_colours_in_order(folder):
    frames = Frames(folder, SPEC)
    frames.write(3, PICTURE)
    assert np.array_equal(cv2.imread(str(folder / "frames" / "0003.png"))[..., ::-1], PICTURE)
    assert sorted(path.name for path in (folder / "frames").iterdir()) == ["0003.png", "made_from"]


def test_two_machines_may_write_the_same_frame_at_once(folder, monkeypatch):
    frames, replace = Frames(folder, SPEC), os.replace

    def while_another_does(part, path):
        monkeypatch.setattr(os, "replace", replace)
        frames.write(1, np.full((8, 8, 3), 7, np.uint8))
        replace(part, path)

    monkeypatch.setattr(os, "replace", while_another_does)
    frames.write(1, np.zeros((8, 8, 3), np.uint8))
    assert not cv2.imread(str(folder / frames.path(1))).any()
    assert not list((folder / "frames").glob("*.part"))


def test_frames_already_there_are_not_missing(folder):
    Frames(folder, SPEC).write(4, PICTURE)
    again = Frames(folder, SPEC)
    assert again.missing(again.numbers(None, None)) == [3, 7]


def test_a_half_written_frame_counts_as_missing(folder):
    frames = Frames(folder, SPEC)
    (folder / "frames" / ".0003.png.part").write_bytes(b"half")
    assert frames.missing([3]) == [3]


def test_a_range_is_cut_to_the_frames_there_are(folder):
    frames = Frames(folder, SPEC)
    assert frames.numbers(4, 100) == [4, 7]
    with pytest.raises(Fault, match="no frame within 5-6; it has 3-7"):
        frames.numbers(5, 6)


def test_a_job_that_failed_before_its_first_frame_may_be_mended(folder):
    Frames(folder, SPEC)
    mended = dataclasses.replace(SPEC, sampling=Sampling(seed=1))
    Frames(folder, mended).write(3, PICTURE)
    with pytest.raises(Fault, match="earlier version of this job"):
        Frames(folder, SPEC)


@pytest.mark.parametrize("change", ["spec", "pass"])
def test_frames_of_another_spec_are_refused_and_kept(folder, change):
    Frames(folder, SPEC).write(3, PICTURE)
    spec = dataclasses.replace(SPEC, sampling=Sampling(seed=1)) if change == "spec" else SPEC
    if change == "pass":
        (folder / "depth.npy").write_bytes(b"far")
    with pytest.raises(Fault, match="earlier version of this job"):
        Frames(folder, spec)
    assert (folder / "frames" / "0003.png").exists()


def test_a_missing_pass_is_a_sentence(folder):
    (folder / "depth.npy").unlink()
    with pytest.raises(Fault, match=r"depth\.npy of frame 4 is missing"):
        Frames(folder, SPEC)


def test_passes_that_have_not_changed_are_not_read_again(folder, monkeypatch):
    Frames(folder, SPEC).write(3, PICTURE)
    read, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or read_bytes(path))
    again = Frames(folder, SPEC)
    assert again.missing([3]) == [] and "depth.npy" not in read
    assert again.made_from == fingerprint(folder, SPEC) and "depth.npy" in read


def test_a_pass_of_the_same_size_written_anew_is_noticed(folder):
    Frames(folder, SPEC).write(3, PICTURE)
    (folder / "depth.npy").write_bytes(b"farr")
    os.utime(folder / "depth.npy", (1e9, 1e9))  # older than it was
    with pytest.raises(Fault, match="earlier version of this job"):
        Frames(folder, SPEC)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"seen": 3}'])
def test_a_memory_that_is_not_whole_is_no_harm(folder, body):
    Frames(folder, SPEC).write(3, PICTURE)
    (folder / "passes.json").write_bytes(body)
    assert Frames(folder, SPEC).missing([3]) == []


def test_a_rename_whose_answer_the_network_lost_counts_as_done(folder, monkeypatch):
    replace = os.replace

    def done_but_denied(part, path):
        replace(part, path)
        raise FileNotFoundError(2, "asked twice")

    frames = Frames(folder, SPEC)
    monkeypatch.setattr(os, "replace", done_but_denied)
    frames.write(3, PICTURE)
    assert frames.missing([3]) == []


def test_a_frame_that_others_make_or_that_is_there_is_not_taken(folder):
    frames = Frames(folder, SPEC)
    frames.write(3, PICTURE)
    with Claims(folder) as mine, Claims(folder) as others:
        others.take([claim_name(4)])
        assert frames.take([3, 4, 7], mine) == [7]
        assert set(mine.owners()) == {claim_name(4), claim_name(7)}
