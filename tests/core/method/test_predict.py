"""What the networks are asked at a step."""

from __future__ import annotations

from pathlib import Path

import torch

from t2vz_core.job_folder.passes import Source
from t2vz_core.method.attention import AttentionTargets
from t2vz_core.method.predict import predictor
from t2vz_core.method.solvers import Solver
from t2vz_core.models.networks import load
from t2vz_core.runtime.token_cache import TokenCache
from t2vz_core.wire.job import Control, Model, Sampling
from tests.core.random_networks import write_controlnet, write_model
from tests.core.small_jobs import job


def test_two_controls_of_one_file_look_at_the_anchor_as_two_files_would(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    one = write_controlnet(tmp_path / "one")
    two = write_controlnet(tmp_path / "two")  # the same weights
    torch.manual_seed(0)
    anchor, frame = torch.randn(2, 1, 4, 8, 8)
    said = []
    for other in (one, two):
        controls = Control("depth", str(one)), Control("edges", str(other))
        networks = load(Model(str(model)), controls, "cpu")
        spec = job(tmp_path, 2, controls=controls, sampling=Sampling(steps=3, guidance=2.0))
        solver = Solver(spec.sampling, networks.scheduler_config)
        source, tokens = Source(tmp_path), TokenCache(3)
        with torch.inference_mode(), predictor(spec, source, networks, solver, 0) as predict:
            first, second = (predict.conditions([one]) for one in spec.frames)
            predict(anchor, 0, first, AttentionTargets(0, keeps=tokens))
            said.append(predict(frame, 0, second, AttentionTargets(0, (tokens,))))
    shared, apart = said
    assert torch.equal(shared, apart)
