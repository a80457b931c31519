"""A worker carries the frames between painted ones, and takes painted ones that it finds."""

import dataclasses

import cv2
import pytest

from t2vz_core.wire import events
from t2vz_core.wire.job import Coherence, write_job
from t2vz_core.worker import Worker
from tests.core.method.test_regions import with_ids
from tests.core.random_networks import write_model
from tests.core.small_jobs import job


@pytest.mark.slow
def test_in_betweens_are_made_of_the_painted_frames_on_disk(tmp_path):
    """The first frame is replaced by a flat one: what is carried from it must be flat."""
    folder = tmp_path / "job"
    folder.mkdir()
    spec = with_ids(folder, job(folder, 3))
    model = dataclasses.replace(spec.model, base=str(write_model(tmp_path / "model")))
    coherence = Coherence(paint_every=2, anchor_every=0)
    write_job(folder, dataclasses.replace(spec, model=model, coherence=coherence))
    said = []
    worker = Worker(said.append)
    worker.perform(events.Run("one", str(folder), 1, 1))
    worker.perform(events.Run("three", str(folder), 3, 3))
    for name in ("0001", "0003"):
        picture = cv2.imread(str(folder / f"frames/{name}.png"))
        cv2.imwrite(str(folder / f"frames/{name}.png"), picture * 0 + 77)
    worker.perform(events.Run("two", str(folder), 2, 2))
    assert isinstance(said[-1], events.Finished), said[-1]
    assert (cv2.imread(str(folder / "frames/0002.png")) == 77).mean() > 0.9
