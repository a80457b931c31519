"""Anchors come back as they were stored, are made by one process, and belong to one job."""

import numpy as np
import pytest
import torch

from t2vz_core import __version__
from t2vz_core.fault import Fault
from t2vz_core.job_folder import anchors as anchors_room
from t2vz_core.job_folder.anchors import Anchors, Painted
from t2vz_core.job_folder.claims import Claims

PAINTED = Painted(
    torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)),
    np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8),
)


@pytest.fixture
def claims(tmp_path):
    with Claims(tmp_path) as claims:
        yield claims


def never():
    raise AssertionError("it was there, or was for this process to make")


def same(one, two):
    return torch.equal(one.x_0, two.x_0) and np.array_equal(one.picture, two.picture)


def test_an_anchor_comes_back_to_the_bit_and_is_made_once(tmp_path, claims):
    anchors, made = Anchors(tmp_path, "job", claims), []
    for number in (-3, 1, 12345):
        assert anchors.read(number) is None
        assert same(anchors.made(number, lambda: made.append(1) or PAINTED, never), PAINTED)
        assert same(Anchors(tmp_path, "job", claims).made(number, never, never), PAINTED)
    assert len(made) == 3 and not list((tmp_path / "claims").iterdir())


def test_what_another_process_makes_is_waited_for(tmp_path, claims):
    with Claims(tmp_path) as others:
        others.take(["0001"])
        waits = []

        def wait():
            waits.append(1)
            if len(waits) == 3:
                Anchors(tmp_path, "job", others).write(1, PAINTED)

        assert same(Anchors(tmp_path, "job", claims).made(1, never, wait), PAINTED)
        assert len(waits) == 3


def test_an_anchor_of_the_job_as_it_was_before_is_made_anew(tmp_path, claims):
    Anchors(tmp_path, "before", claims).write(1, PAINTED)
    assert Anchors(tmp_path, "job", claims).read(1) is None


def test_an_anchor_of_another_version_is_a_sentence_with_both(tmp_path, claims, monkeypatch):
    monkeypatch.setattr(anchors_room, "__version__", "9.9.9")
    Anchors(tmp_path, "job", claims).write(1, PAINTED)
    monkeypatch.undo()
    with pytest.raises(Fault, match=rf"engine 9\.9\.9, this is {__version__}: have one version"):
        Anchors(tmp_path, "job", claims).read(1)


@pytest.mark.parametrize("name", ["0001.safetensors", "0001.png"])
@pytest.mark.parametrize("body", [b"", b"\x08" * 40])
def test_a_damaged_anchor_is_a_sentence(tmp_path, claims, name, body):
    Anchors(tmp_path, "job", claims).write(1, PAINTED)
    (tmp_path / "anchors" / name).write_bytes(body)
    with pytest.raises(Fault, match=r"0001\.safetensors is damaged .* delete it"):
        Anchors(tmp_path, "job", claims).read(1)
