"""In-betweens are carried along the map from both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from t2vz_core.geometry.pixel_maps import Link, grid
from t2vz_core.job_folder.passes import Source
from t2vz_core.method import inbetweens
from t2vz_core.method.inbetweens import Side, animate, blended, neighbours, painted
from t2vz_core.wire.job import Coherence, Control, Frame, JobSpec
from tests.core.small_jobs import SIDE, Listener, job, networks

from .test_regions import with_ids

EVERYWHERE = np.ones((SIDE, SIDE), bool)


def flat(value):
    return np.full((SIDE, SIDE, 3), value, np.uint8)


def spec_of(folder, every, count=5, **parts):
    """A small job whose content pans by 3 px a frame, painted on so many frames."""
    spec = with_ids(folder, job(folder, count))
    for frame in spec.frames:
        np.save(folder / frame.passes.ids, np.ones((SIDE, SIDE), np.int32))
    return replace(spec, coherence=Coherence(paint_every=every, anchor_every=0), **parts)


def made(folder, spec, numbers=None, chunk=2, finished=lambda _: None):
    wanted = numbers or [frame.number for frame in spec.frames]
    nets = networks("sd1", len(spec.controls))
    return dict(animate(spec, Source(folder), nets, wanted, Listener(), chunk, finished))


def test_each_shot_is_painted_on_its_first_every_nth_and_last_frame():
    frames = tuple(Frame(n, n in (1, 8)) for n in range(1, 12))
    spec = JobSpec(coherence=Coherence(paint_every=3), frames=frames)
    assert painted(spec) == [1, 4, 7, 8, 11]
    assert neighbours([1, 4, 7], 5) == (4, 7)


def test_where_both_sides_show_a_point_the_nearer_counts_more():
    still = Link(grid(SIDE, SIDE), EVERYWHERE)
    picture, known = blended([Side(flat(100), still, 0.75), Side(flat(200), still, 0.25)])
    assert known.all()
    assert (picture == 125).all()


def test_what_one_side_hides_comes_from_the_other_and_what_both_hide_from_around():
    left, right = (grid(SIDE, SIDE)[..., 0] < x for x in (24, 40))
    sides = [
        Side(flat(100), Link(grid(SIDE, SIDE), left), 0.5),
        Side(flat(200), Link(grid(SIDE, SIDE), ~right), 0.5),
    ]
    picture, known = blended(sides)
    assert (picture[left] == 100).all() and (picture[~right] == 200).all()
    assert (known == (left | ~right)).all()
    assert (picture[~known] >= 100).all() and (picture[~known] <= 200).all()


def test_a_pan_is_carried_by_whole_pixels():
    draw = np.random.default_rng(0)
    wide = draw.integers(0, 256, (SIDE, SIDE + 6, 3), np.uint8)
    pan = [np.ascontiguousarray(wide[:, 6 - 3 * k : 6 - 3 * k + SIDE]) for k in range(3)]
    here = grid(SIDE, SIDE)
    before, after = here - np.float32([3, 0]), here + np.float32([3, 0])
    sides = [
        Side(pan[0], Link(before, before[..., 0] > 0), 0.5),
        Side(pan[2], Link(after, after[..., 0] < SIDE), 0.5),
    ]
    picture, known = blended(sides)
    assert known.all()
    assert (picture == pan[1]).all()


@pytest.mark.slow
def test_painted_frames_are_those_of_a_job_that_paints_all(tmp_path):
    spec = spec_of(tmp_path, 2)
    every, twos = made(tmp_path, spec_of_all(spec)), made(tmp_path, spec)
    assert sorted(twos) == [1, 2, 3, 4, 5]
    for number in (1, 3, 5):
        assert np.abs(every[number].astype(int) - twos[number]).max() <= 1


def spec_of_all(spec):
    return replace(spec, coherence=replace(spec.coherence, paint_every=1))


@pytest.mark.slow
def test_no_in_between_depends_on_the_range_or_on_what_is_finished(tmp_path):
    spec = spec_of(tmp_path, 4)
    whole = made(tmp_path, spec)
    alone = made(tmp_path, spec, [3], chunk=1)
    assert list(alone) == [3]
    assert np.abs(whole[3].astype(int) - alone[3]).max() <= 2
    resumed = made(tmp_path, spec, [3], finished=whole.get)
    assert (resumed[3] == whole[3]).all()


@pytest.mark.slow
@pytest.mark.parametrize("controls", [(), (Control(),)])
def test_a_hole_is_painted_and_all_else_in_the_in_between_stays(tmp_path, controls, monkeypatch):
    spec = spec_of(tmp_path, 2, count=3, controls=controls)
    known = np.ones((SIDE, SIDE), bool)
    known[16:48, 16:48] = False
    passes = tmp_path / "passes/ids/0002.npy"
    np.save(passes, np.where(known, 1, 2).astype(np.int32))  # an object that only this frame shows
    picture = made(tmp_path, spec)[2]
    monkeypatch.setattr(inbetweens, "HOLES", 1.0)
    filled = made(tmp_path, spec)[2]
    assert (picture[known] == filled[known]).all()
    assert (picture[~known] != filled[~known]).mean() > 0.5
