"""A packed job is the same job anywhere, and nothing hostile gets out of a zip."""

import json
import stat
import zipfile

import numpy as np
import pytest

from t2vz_core.farm import pack as packing
from t2vz_core.farm.pack import pack, unpack
from t2vz_core.fault import Fault
from t2vz_core.job_folder.frames import Frames, fingerprint
from t2vz_core.wire.job import Frame, JobSpec, Passes, Shot, read_job, write_job

SPEC = JobSpec(
    shot=Shot(64, 64),
    frames=(
        Frame(1, True, passes=Passes(depth="passes/depth/0001.npy")),
        Frame(2, passes=Passes(depth="passes/depth/0002.npy")),
    ),
)


@pytest.fixture
def job(tmp_path):
    folder = tmp_path / "shot 7 ä"
    (folder / "passes" / "depth").mkdir(parents=True)
    for frame in SPEC.frames:
        np.save(folder / frame.passes.depth, np.full((64, 64), frame.number, np.float32))
    write_job(folder, SPEC)
    Frames(folder, SPEC).write(1, np.zeros((64, 64, 3), np.uint8))
    (folder / "engine.log").write_text("where /home/someone keeps things")
    return folder


def zipped(path, files=(), job=SPEC):
    """A zip with the job and other files, each a name or a ZipInfo and its bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("job.json", json.dumps(job.to_json()))
        for name, body in files:
            out.writestr(name, body)
    return path


def test_a_packed_job_unpacks_to_the_same_job(job, tmp_path):
    pack(job, tmp_path / "job.zip", has_frames=False)
    there = tmp_path / "elsewhere" / "job"
    there.parent.mkdir()
    unpack(tmp_path / "job.zip", there)
    assert read_job(there) == SPEC and fingerprint(there, SPEC) == fingerprint(job, SPEC)
    assert not (there / "frames").exists() and not (there / "engine.log").exists()


def test_its_frames_travel_where_that_is_asked_for_and_are_not_made_again(job, tmp_path):
    pack(job, tmp_path / "job.zip", has_frames=True)
    unpack(tmp_path / "job.zip", tmp_path / "there")
    assert Frames(tmp_path / "there", SPEC).missing([1, 2]) == [2]


def test_nothing_is_overwritten(job, tmp_path):
    pack(job, tmp_path / "job.zip", has_frames=False)
    with pytest.raises(Fault, match="is there already"):
        pack(job, tmp_path / "job.zip", has_frames=False)
    with pytest.raises(Fault, match="is there already"):
        unpack(tmp_path / "job.zip", job)
    assert (job / "engine.log").exists()


def test_a_missing_pass_is_a_sentence_and_leaves_no_zip(job, tmp_path):
    (job / "passes/depth/0002.npy").unlink()
    with pytest.raises(Fault, match=r"0002\.npy is missing"):
        pack(job, tmp_path / "job.zip", has_frames=False)
    assert [path.name for path in tmp_path.iterdir()] == [job.name]


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


HOSTILE = {
    "a way up": ([("../evil", b"x")], "no job folder has"),
    "a way up within": ([("passes/../../evil", b"x")], "no job folder has"),
    "an absolute name": ([("/tmp/evil", b"x")], "no job folder has"),
    "a drive": ([("C:/evil", b"x")], "no job folder has"),
    "a Windows path": ([("..\\evil", b"x")], "no job folder has"),
    "a device": ([("passes/nul.npy", b"x")], "no job folder has"),
    "a stream": ([("job.json:evil", b"x")], "no job folder has"),
    "a link": ([(link("passes/depth/0001.npy"), b"/etc/passwd")], "no plain file"),
    "a program": ([("sitecustomize.py", b"x")], "does not name"),
    "a bomb": ([("passes/depth/0001.npy", bytes(1 << 24))], "more than any file"),
    "a name twice": ([("passes/depth/0001.npy", b"x")] * 2, "twice"),
    "another case": ([("JOB.JSON", b"{}")], "twice"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_zip_is_refused_before_anything_is_written(what, tmp_path):
    files, words = HOSTILE[what]
    file = zipped(tmp_path / "job.zip", files)
    with pytest.raises(Fault, match=words):
        unpack(file, tmp_path / "there")
    assert [path.name for path in tmp_path.iterdir()] == ["job.zip"]


def test_files_that_share_their_bytes_are_refused(tmp_path):
    file = zipped(tmp_path / "job.zip", [("passes/depth/0001.npy", b"x" * 99)])
    with zipfile.ZipFile(file, "a") as out:
        twin = zipfile.ZipInfo("passes/depth/0002.npy")
        one = out.getinfo("passes/depth/0001.npy")
        for name in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
            setattr(twin, name, getattr(one, name))
        out.filelist.append(twin)
        out.writestr("models.json", "{}")  # has the list of files written again
    with pytest.raises(Fault, match="share bytes"):
        unpack(file, tmp_path / "there")


def test_a_disk_without_room_is_a_sentence_before_anything_is_written(job, tmp_path, monkeypatch):
    pack(job, tmp_path / "job.zip", has_frames=False)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Fault, match="make room"):
        unpack(tmp_path / "job.zip", tmp_path / "there")


@pytest.mark.parametrize("where", [30, 300, -60])
def test_a_damaged_zip_is_a_sentence(where, job, tmp_path):
    file = tmp_path / "job.zip"
    pack(job, file, has_frames=False)
    body = bytearray(file.read_bytes())
    body[where : where + 20] = b"\xff" * 20
    file.write_bytes(body)
    with pytest.raises(Fault, match=r"job\.zip"):
        unpack(file, tmp_path / "there")
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", '{"frames": 3}', '{"version": 9}', "\0"])
def test_a_zip_of_no_job_is_a_sentence(text, tmp_path):
    with zipfile.ZipFile(tmp_path / "job.zip", "w") as out:
        out.writestr("job.json", text)
    with pytest.raises(Fault, match=r"job\.json"):
        unpack(tmp_path / "job.zip", tmp_path / "there")


def test_what_is_no_zip_or_not_there_is_a_sentence(tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(Fault, match="no zip"):
        unpack(tmp_path / "text.zip", tmp_path / "there")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(Fault, match="no packed job"):
        unpack(tmp_path / "empty.zip", tmp_path / "there")
