"""A pass is described once."""

import dataclasses
from pathlib import Path

import pytest

from t2vz_core.wire.passes import PASSES, Pass, Passes, table

ROOT = Path(__file__).parents[2]


def test_every_pass_of_a_frame_is_described_and_no_other():
    assert [field.name for field in dataclasses.fields(Passes)] == list(PASSES)


def test_the_docs_show_the_table_as_it_is():
    assert table() in (ROOT / "docs/wire.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "shape, fits",
    [((5, 7, 3), True), ((5, 7), False), ((5, 7, 4), False), ((5, 7, 3, 1), False)],
)
def test_named_axes_have_any_length_and_numbers_their_own(shape, fits):
    assert Pass(("H", "W", 3), "uint8", "").fits(shape) == fits
