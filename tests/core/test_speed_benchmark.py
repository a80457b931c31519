"""The benchmark of docs/speed.md on tiny networks: every section comes to its end and says what it
should."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import speed, speed_floor, speed_models
from tests.benchmarks.speed_sides import Case, taken_alone


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    return speed_models.write("tiny", tmp_path / "tiny")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "tiny-xl"])
def test_what_runs_on_a_card_has_both_sides_and_a_floor(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "taken_alone", lambda *_: {"peak_mib": 1.0})
    case = Case(speed_models.write(name, tmp_path / name), 64, 3, 4, (501, 751), "float32")
    row = speed.on_card(case, 1, "cpu")
    assert row["ours"] > 0 and row["diffusers"] > 0 and row["frames"] == 3
    assert row["floor"] == pytest.approx(row["tera"] / row["tera_per_s"])


@pytest.mark.slow
def test_a_side_that_does_not_fit_on_the_card_has_no_figure(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setitem(speed.SIDES, "diffusers", too_much)
    monkeypatch.setattr(speed, "taken_alone", lambda *_: {"peak_mib": 1.0})
    row = speed.on_card(Case(tiny, 64, 2, 2, (1, 501), "float32"), 1, "cpu")
    assert row["diffusers"] is None and row["diffusers_peak_mib"] is None and row["ours"] > 0


@pytest.mark.slow
def test_the_floor_counts_what_a_video_of_the_paper_takes(tiny: str) -> None:
    networks = Case(tiny, 64, 8).load("cpu")
    step, picture = speed_floor.operations(networks, 64)
    counted = speed_floor.floor(Case(tiny, 64, 8, 50), "cpu")["tera"] * 1e12
    assert counted == pytest.approx(2 * (50 + 48 * 7) * step + 8 * picture)


@pytest.mark.slow
def test_time_and_peak_are_taken_in_a_process_of_its_own(tiny: str) -> None:
    taken = taken_alone("ours", Case(tiny, 256, 2, 2, (1, 501)), "cpu")
    assert taken["seconds"] > 0 and taken["peak_mib"] > 1


@pytest.mark.slow
def test_every_row_is_on_disk_as_soon_as_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def memory(_: object) -> Iterator[speed.Row]:
        yield pytest.fail("the machine went down")

    monkeypatch.setattr(speed, "memory", memory)
    with pytest.raises(pytest.fail.Exception):
        speed.main([str(tmp_path / "out"), "--model", "tiny", "--rounds", "1", "--narrow"])
    kept = json.loads((tmp_path / "out/speed.json").read_text())
    assert [row["frames"] for row in kept["compared"]] == [8, 32]
    assert all(row["ratio"] > 0 for row in kept["compared"])
    assert "| tiny | 64 | 8 |" in (tmp_path / "out/speed.md").read_text()
