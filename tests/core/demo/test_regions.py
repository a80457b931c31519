"""Words for each object, shown on the demo model; all 100 pairs:
tests/benchmarks/regions_pairs.py."""

import numpy as np
import pytest

from t2vz_core.models.networks import load
from t2vz_core.wire.job import Control, Model
from tests.benchmarks.regions_pairs import WAYS, measure


@pytest.mark.slow
def test_the_right_colour_comes_to_the_right_object_where_one_prompt_errs(tmp_path):
    networks = load(Model(), [Control("depth")])
    rows = [measure(networks, tmp_path / str(seed), seed, 1, True) for seed in range(7000, 7004)]
    one_prompt, own_words = (
        np.mean([it for row in rows for frame in row[way] for it in frame]) for way in WAYS
    )
    assert own_words == 1
    assert one_prompt < 0.8
