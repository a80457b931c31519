"""The nearer a key frame by the map, the more it counts."""

from dataclasses import replace

import torch

from t2vz_core.geometry.latent_maps import identity_map
from t2vz_core.method.correspondence import Correspondence
from t2vz_core.method.keyframes import nearness
from t2vz_core.wire.job import Coherence, Frame, JobSpec, Motion
from t2vz_core.wire.rules import attends_to_keyframes


def _at(x: float) -> Correspondence:
    return Correspondence(
        Frame(1), 1, identity_map(6, 8) + torch.tensor([x, 0.0]), torch.ones(6, 8)
    )


def test_the_nearest_by_the_map_counts_most_and_all_sum_to_one_with_the_anchor():
    near = nearness(_at(3), [_at(2), _at(4.5)])
    assert torch.allclose(near, torch.tensor([1.0, 1 / 1.5]) / (1 / 3 + 1 + 1 / 1.5))


def test_a_key_frame_seen_from_its_own_place_counts_nearly_alone():
    assert nearness(_at(4), [_at(4), _at(8)])[0] > 0.9


def test_only_a_weight_makes_frames_attend_to_key_frames():
    tied = Coherence(anchor_weight=0.5)
    assert attends_to_keyframes(JobSpec(coherence=tied))
    assert not attends_to_keyframes(JobSpec(coherence=replace(tied, anchor_weight=0.0)))
    assert not attends_to_keyframes(JobSpec(coherence=replace(tied, attention="self")))
    assert not attends_to_keyframes(JobSpec(coherence=tied, motion=Motion(is_faithful=True)))
