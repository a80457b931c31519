"""What a job's arrays may be: anything else is one sentence with the file in it."""

import io
import struct

import numpy as np
import pytest

from t2vz_core.fault import Fault
from t2vz_core.job_folder.passes import Source
from t2vz_core.wire.job import Frame, Passes

SIZE = (4, 6)  # height, width
PATHS = Passes(depth="a.npy", disturbed="a.npy", pose="a.npy", map="a.npy", ids="a.npy")


def read(folder, name, array):
    np.save(folder / "a.npy", array)
    return Source(folder, SIZE).read(Frame(3, passes=PATHS), name)


def refused(folder, name, body):
    (folder / "a.npy").write_bytes(body)
    with pytest.raises(Fault) as fault:
        Source(folder, SIZE).read(Frame(3, passes=PATHS), name)
    return str(fault.value)


def with_header(text):
    """A .npy file of version 1 with this header and 96 bytes of numbers."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 96


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("depth", np.full(SIZE, np.inf, np.float32)),
        ("depth", np.ones(SIZE, np.float64)),
        ("pose", np.zeros((0, 18, 3), np.float32)),
        ("ids", np.full(SIZE, -7, np.int64)),
    ],
)
def test_a_pass_is_read_as_its_kind(tmp_path, name, array):
    assert np.array_equal(read(tmp_path, name, array), array)


@pytest.mark.parametrize("name", ["depth", "disturbed", "map", "ids"])
def test_a_pass_of_another_size_than_the_picture_is_refused_with_both(tmp_path, name):
    arrays = {"disturbed": np.zeros((8, 6), "u1"), "ids": np.zeros((8, 6), "i4")}
    array = arrays.get(name, np.zeros((8, 6, 2) if name == "map" else (8, 6), "f4"))
    with pytest.raises(Fault, match=r"a.npy has 6 × 8 px, the picture 6 × 4: capture"):
        read(tmp_path, name, array)


@pytest.mark.parametrize(
    ("name", "value"),
    [("depth", np.nan), ("depth", -np.inf), ("map", np.inf), ("map", np.nan), ("depth", 1e300)],
)
def test_values_that_are_no_numbers_are_refused_where_they_are_read(tmp_path, name, value):
    array = np.ones((*SIZE, 2) if name == "map" else SIZE, np.float64)
    array[1, 2] = value
    with pytest.raises(Fault, match=r"a.npy holds values that are no numbers or not finite"):
        read(tmp_path, name, array)


def test_a_header_that_claims_more_than_the_file_has_is_not_believed(tmp_path):
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4000000, 6000000), }\n"
    said = refused(tmp_path, "depth", with_header(text))
    assert "says that it holds (4000000, 6000000) float32, but has 96 bytes" in said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"a text",
        b"PK\x03\x04 archive",
        b"\x93NUMPY\x03\x00" + b"\0" * 20,
        with_header(b"{'descr': '<f4'"),
        with_header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }\n"),
    ],
)
def test_no_array_is_said_without_numpys_advice(tmp_path, body):
    said = refused(tmp_path, "depth", body)
    assert said.startswith(f"{tmp_path / 'a.npy'} ") and said.endswith("capture the shot again.")
    assert "pickle" not in said


def test_an_array_of_python_objects_is_no_reason_to_allow_pickles(tmp_path):
    body = io.BytesIO()
    np.save(body, np.array([{}, []], object), allow_pickle=True)
    said = refused(tmp_path, "depth", body.getvalue())
    assert "holds Python objects, which could run code" in said and "allow_pickle" not in said
