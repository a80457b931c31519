"""“A family of your own” in docs/models.md, followed to the letter."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from t2vz_core import models
from t2vz_core.models.families import FAMILIES, Family
from t2vz_core.models.networks import load
from t2vz_core.wire.job import Model, Prompt, Sampling
from tests.core import random_transformers as tiny
from tests.core.small_jobs import job, make

PAGE = Path(__file__).parents[3] / "docs/models.md"


@pytest.fixture
def family(tmp_path, monkeypatch):
    """The file and the row that the page shows; returns the row's name."""
    section = PAGE.read_text(encoding="utf-8").split("## A family of your own")[1]
    code, row = re.findall(r"```python\n# .*?\n(.*?)```", section, re.DOTALL)[:2]
    (tmp_path / "storyboard.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    rows = eval(f"{{{row}}}", {"FAMILIES": FAMILIES, "Family": Family})
    for name, value in rows.items():
        monkeypatch.setitem(FAMILIES, name, value)
    assert len([line for line in code.splitlines() if line]) <= 10
    return next(iter(rows))


def test_a_family_is_one_file_and_a_row(family, tmp_path):
    folder = tiny.write_z_image(tmp_path / "model")
    ordinary = load(Model(str(folder)), (), "cpu")
    config = folder / "transformer/config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "_class_name": "StoryboardTransformer"})
    )
    networks = load(Model(str(folder)), (), "cpu")
    assert networks.family == family and networks.kind.title == "Storyboard"
    assert type(networks.denoiser).__name__ == "StoryboardTransformer"
    sampling = Sampling(steps=3, guidance=1.0)
    asked = job(tmp_path / "job", 2, sampling=sampling, prompt=Prompt("a ball"))
    same = job(tmp_path / "job", 2, sampling=sampling, prompt=Prompt("Draw: a ball"))
    ours, truth = make(tmp_path / "job", asked, networks), make(tmp_path / "job", same, ordinary)
    assert all(np.array_equal(ours[number], truth[number]) for number in (1, 2))
