"""Which passes a job reads, whatever side asks."""

import pytest

from t2vz_core.wire.job import Coherence, Control, JobSpec, Motion
from t2vz_core.wire.rules import keyframe_every, passes_needed

PLAIN = Coherence(fusion=0.0)


@pytest.mark.parametrize(
    "spec, is_instruct, needed",
    [
        (JobSpec(coherence=PLAIN), False, set()),
        (JobSpec(motion=Motion("none")), False, set()),
        (JobSpec(motion=Motion("strength")), False, set()),
        (JobSpec(motion=Motion("none")), True, {"image", "map", "visible", "ids", "disturbed"}),
        (JobSpec(coherence=PLAIN), True, {"image"}),
        (JobSpec(coherence=PLAIN, motion=Motion("map")), False, {"map", "visible"}),
        (
            JobSpec(coherence=PLAIN, controls=(Control("outline"),)),
            False,
            {"depth", "normal", "ids"},
        ),
        (JobSpec(coherence=Coherence(fusion=0.0, smoothing=0.6)), False, {"mask"}),
        (
            JobSpec(coherence=Coherence(), controls=(Control("depth"),)),
            False,
            {"depth", "ids", "disturbed", "map", "visible"},
        ),
    ],
)
def test_a_job_needs_what_its_settings_read(spec, is_instruct, needed):
    assert passes_needed(spec, is_instruct) == needed


def test_there_are_key_frames_only_where_somebody_looks_at_them():
    assert keyframe_every(JobSpec(coherence=PLAIN), False) == 0
    assert keyframe_every(JobSpec(coherence=Coherence(anchor_every=8)), False) == 8
    attended = Coherence(fusion=0.0, anchor_weight=0.5, anchor_every=4)
    assert keyframe_every(JobSpec(coherence=attended), False) == 4
