"""How long a run will take is learned from the last ones."""

import dataclasses

from blender_addon.job import timing
from t2vz_core.wire.job import Control, JobSpec, Sampling, Shot

SPEC = JobSpec(shot=Shot(512, 512), sampling=Sampling(steps=20))


def past_of(spec, frames, seconds):
    return timing.Past(spec.model.base, timing.work_of(spec, frames), seconds)


def test_a_model_that_has_not_run_yet_has_no_estimate():
    assert timing.estimate(SPEC, 16, []).seconds is None
    assert timing.estimate(SPEC, 16, [timing.Past("other", 1.0, 1.0)]).seconds is None


def test_twice_the_frames_or_steps_take_twice_the_time():
    past = [past_of(SPEC, 8, 40.0)]
    assert timing.estimate(SPEC, 16, past).seconds == 80.0
    slow = dataclasses.replace(SPEC, sampling=Sampling(steps=40))
    assert timing.estimate(slow, 8, past).seconds == 80.0


def test_a_controlnet_costs_and_kept_layers_save():
    steered = dataclasses.replace(SPEC, controls=(Control(),))
    quick = dataclasses.replace(SPEC, sampling=Sampling(steps=20, deep_every=3))
    assert timing.work_of(steered, 1) > timing.work_of(SPEC, 1) > timing.work_of(quick, 1)


def test_one_odd_run_does_not_spoil_the_estimate():
    past = [past_of(SPEC, 8, seconds) for seconds in (40.0, 41.0, 4000.0, 39.0, 40.0)]
    assert timing.estimate(SPEC, 8, past).seconds == 40.0


def test_long_is_ten_minutes_or_many_steps_where_nothing_is_known():
    assert not timing.estimate(SPEC, 16, [past_of(SPEC, 16, 60.0)]).is_long
    assert timing.estimate(SPEC, 250, [past_of(SPEC, 16, 60.0)]).is_long
    assert timing.estimate(SPEC, 250, []).is_long and not timing.estimate(SPEC, 16, []).is_long


def test_runs_are_remembered_and_the_oldest_forgotten(tmp_path):
    file = tmp_path / "runs.json"
    for number in range(timing.KEPT + 3):
        timing.remember(file, timing.Past("demo", 1.0, float(number)))
    kept = timing.read_past(file)
    assert len(kept) == timing.KEPT and kept[-1].painting_s == timing.KEPT + 2
    file.write_text("{nonsense")
    assert timing.read_past(file) == []
