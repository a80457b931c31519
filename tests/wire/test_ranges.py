"""Frame numbers in a line, there and back."""

import pytest

from t2vz_core.wire.parse import WireError
from t2vz_core.wire.ranges import in_a_line, numbers_in, with_negatives


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3", (3,)),
        ("1-4", (1, 2, 3, 4)),
        ("-2-1", (-2, -1, 0, 1)),
        ("-5--3", (-5, -4, -3)),
        ("1-9:4,2, 20-21", (1, 2, 5, 9, 20, 21)),
        ("4-4", (4,)),
    ],
)
def test_a_range_is_its_numbers(text, numbers):
    assert numbers_in(text) == numbers


@pytest.mark.parametrize("text", ["", "x", "1-", "9-1", "1-9:0", "1,,2", "1..9", "1" * 30])
def test_what_is_no_range_is_a_sentence(text):
    with pytest.raises(WireError, match=r"no range|ends before"):
        numbers_in(text)


def test_a_negative_range_is_no_option():
    words = ["--frames", "-5--1", "--chunk", "-1", "--frames=3", "--frames", "1-2", "--frames"]
    assert with_negatives(words, "--frames") == [
        "--frames=-5--1", "--chunk", "-1", "--frames=3", "--frames", "1-2", "--frames",
    ]  # fmt: skip


@pytest.mark.parametrize("numbers", [(1,), (-3, -2, 0, 5, 6, 7), (1, 9, 17)])
def test_numbers_come_back_from_their_line(numbers):
    assert numbers_in(in_a_line(numbers)) == numbers


def test_no_numbers_are_an_empty_line():
    assert in_a_line(()) == ""
