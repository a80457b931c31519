"""Key frames carry what the first did not show, and leave every frame the same in any part of
the shot."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from t2vz_core.geometry.pixel_maps import Link, grid
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.correspondence import correspond
from t2vz_core.method.fusion import Gallery, Shown
from t2vz_core.wire.job import Coherence, Control, Motion

from ..small_jobs import SIDE, job, make, networks


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["anchor", "anchor+hidden"])
def test_a_part_of_the_shot_equals_the_same_part_of_the_whole(tmp_path, attention):
    coherence = Coherence(attention=attention, anchor_every=2, fusion=0.6)
    spec = job(tmp_path, 6, motion=Motion("map"), coherence=coherence)
    whole = make(tmp_path, spec, networks(), chunk=3)
    part = make(tmp_path, spec, networks(), [4, 5], chunk=1)
    assert list(whole) == [1, 2, 3, 4, 5, 6] and list(part) == [4, 5]
    for number, picture in part.items():
        assert np.abs(picture.astype(int) - whole[number]).max() <= 1


@pytest.mark.slow
def test_without_fusion_there_are_no_key_frames(tmp_path):
    spec = job(tmp_path, 4, motion=Motion("map"), coherence=Coherence(anchor_every=2, fusion=0.0))
    plain = replace(spec, coherence=Coherence(anchor_every=0, fusion=0.0))
    keyed, plain = (make(tmp_path, one, networks()) for one in (spec, plain))
    assert plain.keys() == keyed.keys() == {1, 2, 3, 4}
    assert all(np.array_equal(plain[n], keyed[n]) for n in plain)


def test_the_gallery_shows_the_anchor_first_and_the_nearest_key_frame_next(tmp_path):
    spec = job(tmp_path, 8, motion=Motion("map"))
    at = [
        correspond(spec, Source(tmp_path), frame, i, SIDE, SIDE)
        for i, frame in enumerate(spec.frames)
    ]
    gallery = Gallery()
    for i in (0, 2, 4, 6):
        gallery.hang(Shown(np.zeros((SIDE, SIDE, 3), np.uint8), torch.zeros(4, 8, 8), at[i]))
    shown = list(gallery.seen_from(at[5]))
    assert [one.pixels.since for one, _ in shown] in ([0, 4, 6], [0, 6, 4])
    links: dict[int, Link] = {one.pixels.since: to for one, to in shown}
    assert np.abs(links[6].map - (grid(SIDE, SIDE) + np.float32([3, 0])))[:, : SIDE - 3].max() < 0.3


@pytest.mark.slow
def test_fusion_follows_the_map_whatever_moves_the_noise(tmp_path):
    spec = job(tmp_path, 2, controls=(Control("depth"),))

    def apart(fusion: float) -> float:
        still, moved = (
            make(
                tmp_path,
                replace(spec, motion=Motion(mode), coherence=Coherence(fusion=fusion)),
                networks("sd1", 1),
            )
            for mode in ("none", "map")
        )
        return float(np.abs(still[2].astype(int) - moved[2]).mean())

    assert apart(1.0) < 0.75 * apart(0.0)  # new content stays the frame's own
