"""Frames that start from their pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from t2vz_core.fault import Fault
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.solvers import Solver
from t2vz_core.method.start import first_step, release_of, strength_map
from t2vz_core.wire.job import Coherence, Control, JobSpec, Motion, Repaint, Sampling, Start
from t2vz_core.wire.parse import WireError
from tests.core.small_jobs import SIDE, job, make, networks

from .test_regions import with_ids


def started(folder, strength=0.6, **parts):
    """A small job that starts from its pictures, object 7 in their left halves."""
    return replace(with_ids(folder, job(folder)), start=Start("picture", strength), **parts)


def images(folder, spec):
    source = Source(folder)
    return {frame.number: source.read(frame, "image") for frame in spec.frames}


@pytest.mark.slow
@pytest.mark.parametrize("motion", ["none", "map"])
def test_only_the_named_objects_are_painted_and_all_else_stays_byte_for_byte(tmp_path, motion):
    spec = started(tmp_path, 0.0, repaints=(Repaint((7,), 0.8),), motion=Motion(motion))
    for number, picture in make(tmp_path, spec, networks()).items():
        shown = images(tmp_path, spec)[number]
        assert (picture[:, SIDE // 2 :] == shown[:, SIDE // 2 :]).all()
        assert (picture[:, : SIDE // 2] != shown[:, : SIDE // 2]).mean() > 0.5


@pytest.mark.slow
def test_no_frame_depends_on_its_chunk_or_range(tmp_path):
    spec = started(
        tmp_path,
        repaints=(Repaint((9,), 0.2),),
        controls=(Control(),),
        motion=Motion("map"),
        coherence=Coherence(fusion=0.7, anchor_every=2),
    )
    nets = networks("sd1", 1)
    whole, alone = make(tmp_path, spec, nets, chunk=3), make(tmp_path, spec, nets, [3], chunk=1)
    assert np.abs(whole[3].astype(int) - alone[3]).max() <= 1


@pytest.mark.slow
def test_a_frame_may_have_strengths_of_its_own(tmp_path):
    spec = started(tmp_path, 0.0, repaints=(Repaint((7,), 0.8),))
    frames = (replace(spec.frames[0], start_strengths=(0.0, 0.0)), *spec.frames[1:])
    spec = replace(spec, frames=frames)
    shown, made = images(tmp_path, spec), make(tmp_path, spec, networks())
    assert (made[1] == shown[1]).all()
    assert (made[2] != shown[2]).any()


def test_the_first_repaint_that_names_an_object_has_it(tmp_path):
    spec = started(tmp_path, 0.3, repaints=(Repaint((7,), 0.5), Repaint((7, 9), 0.9)))
    strengths = strength_map(spec, Source(tmp_path), spec.frames[0])[0]
    assert strengths[[0, SIDE // 2, SIDE - 1]].tolist() == [0.5, 0.3, 0.9]


def test_the_job_begins_at_its_highest_strength(tmp_path):
    spec = started(tmp_path, 0.3, repaints=(Repaint((7,), 0.8),))
    solver = Solver(Sampling(steps=10), networks().scheduler_config)
    assert first_step(spec, solver) == 2
    assert first_step(replace(spec, start=Start()), solver) == 0
    assert [release_of(strength, 10) for strength in (0, 0.05, 0.1, 1)] == [10, 10, 9, 0]


def test_frames_without_pictures_get_a_sentence(tmp_path):
    spec = started(tmp_path)
    bare = [replace(one, passes=replace(one.passes, image=None)) for one in spec.frames]
    with pytest.raises(Fault, match="no image pass"):
        make(tmp_path, replace(spec, frames=tuple(bare)), networks())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"start": {"source": "picture", "strength": 0}}, r"^start\.strength: must be above 0"),
        ({"repaints": [{"ids": [1]}]}, r"^repaints\[0\]: needs start\.source"),
        (
            {"start": {"source": "picture"}, "repaints": [{}]},
            r"^repaints\[0\]\.ids: must name at least one object",
        ),
        (
            {"frames": [{"start_strengths": [1, 1]}]},
            r"^frames\[0\]\.start_strengths: must have the 1 of start and repaints, not 2",
        ),
    ],
)
def test_what_paints_nothing_gets_a_sentence(fields, sentence):
    with pytest.raises(WireError, match=sentence):
        JobSpec.from_json({"frames": [{}], **fields})


def test_a_job_of_other_days_starts_from_noise():
    assert JobSpec.from_json({"frames": [{}]}).start == Start()
