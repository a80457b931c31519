"""Settings that go together."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from t2vz_core.wire.job import Frame, JobSpec, Sampling
from t2vz_core.wire.presets import PRESETS, PUBLISHED, follow, preset_of


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_that_was_followed_is_recognised_and_is_a_good_job(name):
    sampling = SimpleNamespace(**asdict(Sampling(seed=7)))
    follow(sampling, name)
    assert preset_of(sampling) == name and sampling.seed == 7
    spec = JobSpec(sampling=Sampling(**vars(sampling)), frames=(Frame(),))
    assert JobSpec.from_json(spec.to_json()).sampling == spec.sampling
    sampling.guidance_to = float(np.float32(sampling.guidance_to))  # as Blender keeps it
    assert preset_of(sampling) == name


def test_the_default_is_as_published_and_any_change_is_the_artist_s_own():
    assert preset_of(Sampling()) == PUBLISHED
    assert preset_of(Sampling(guidance=5.0)) == PUBLISHED  # taste, no part of a preset
    for change in ({"steps": 51}, {"scheduler": "unipc"}, {"deep_every": 3}, {"guidance_to": 0.99}):
        assert preset_of(replace(Sampling(), **change)) is None
