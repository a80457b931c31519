"""A model that is asked for what it was not made for is said."""

import dataclasses
import json
from pathlib import Path

import pytest

from t2vz_core.demo import WEIGHTS
from t2vz_core.method.generate import noise_levels
from t2vz_core.method.solvers import Solver
from t2vz_core.models.advice import advice
from t2vz_core.wire.job import DEMO_SIDE_PX, JobSpec, Model, Sampling, Shot
from t2vz_core.wire.model_facts import ModelFacts, Suggestion

SPEC = JobSpec(model=Model("painted.safetensors"))
TURBO = ModelFacts("sdxl", 512, is_distilled=True, suggested=Suggestion(4, 1.0, "euler"))


@pytest.mark.parametrize(
    ("size", "side_px", "said"),
    [
        ((512, 512), 1024, "trained on squares of 1024 px: a size of 512 × 512 px blurs"),
        ((1024, 1024), 512, "trained on squares of 512 px: a size of 1024 × 1024 px repeats"),
        ((704, 384), 512, ""),
        ((1024, 576), 1024, ""),
    ],
)
def test_a_size_far_from_the_models_own_is_said(size, side_px, said):
    spec = dataclasses.replace(SPEC, shot=Shot(*size))
    sentences = list(advice(spec, ModelFacts("sdxl", side_px)))
    assert len(sentences) == bool(said) and said in "".join(sentences)


@pytest.mark.parametrize(
    ("steps", "guidance", "is_said"),
    [(50, 7.5, True), (4, 7.5, True), (4, 1.0, False), (8, 2.0, False)],
)
def test_ordinary_steps_and_guidance_are_said_to_harm_a_distilled_model(steps, guidance, is_said):
    spec = dataclasses.replace(SPEC, sampling=Sampling(steps=steps, guidance=guidance))
    said = "".join(advice(spec, TURBO))
    assert ("made for 4 steps and guidance 1" in said) == is_said


def test_the_notes_that_the_docs_show_are_the_engines_own():
    lines = (Path(__file__).parents[3] / "docs/wire.md").read_text(encoding="utf-8").splitlines()
    shown = [json.loads(line) for line in lines if line.startswith('{"event": "Note"')]
    spec = JobSpec(sampling=Sampling(steps=20))
    said = list(advice(spec, ModelFacts("sd1", DEMO_SIDE_PX)))
    scheduler = json.loads(
        (WEIGHTS / "stable-diffusion/scheduler/scheduler_config.json").read_text()
    )
    noise_levels(spec, Solver(spec.sampling, scheduler), said.append)
    assert [note["text"] for note in shown] == said


def test_an_ordinary_model_may_have_any_steps():
    spec = dataclasses.replace(SPEC, sampling=Sampling(steps=50, guidance=12.0))
    assert not list(advice(spec, ModelFacts()))
