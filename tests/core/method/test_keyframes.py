"""The nearer a further anchor by the map, the more it counts."""

import torch

from t2vz_core.geometry.latent_maps import identity_map
from t2vz_core.method.keyframes import are_attended, nearness
from t2vz_core.method.motion import Place
from t2vz_core.wire.job import Coherence, Frame, JobSpec, Motion


def _place(x: float) -> Place:
    return Place(Frame(1), 1, identity_map(6, 8) + torch.tensor([x, 0.0]), torch.ones(6, 8))


def test_the_nearest_by_the_map_counts_most_and_all_sum_to_one_with_the_anchor():
    near = nearness(_place(3), [_place(2), _place(4.5)])
    assert torch.allclose(near, torch.tensor([1.0, 1 / 1.5]) / (1 / 3 + 1 + 1 / 1.5))


def test_a_further_anchor_seen_from_its_own_place_counts_nearly_alone():
    assert nearness(_place(4), [_place(4), _place(8)])[0] > 0.9


def test_only_a_weight_makes_frames_attend_to_further_anchors():
    spec = JobSpec(coherence=Coherence(anchor_weight=0.5))
    assert are_attended(spec) and not are_attended(JobSpec(coherence=Coherence(anchor_weight=0.0)))
    assert not are_attended(JobSpec(coherence=Coherence(anchor_weight=0.5, attention="self")))
    assert not are_attended(
        JobSpec(coherence=Coherence(anchor_weight=0.5), motion=Motion(is_faithful=True))
    )
