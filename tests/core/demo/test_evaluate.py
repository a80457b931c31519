"""The judge is right about pictures that are sure: the renderer's own."""

from random import Random

import numpy as np
import pytest
import torch

from t2vz_core.demo import stage, world
from t2vz_core.demo.captions import SHAPES
from t2vz_core.demo.evaluate import edits, judge, leads
from t2vz_core.demo.evaluate.eye import SIDE, Eye, shapes_of
from t2vz_core.demo.evaluate.model import FULL, single_things


@pytest.fixture(scope="module")
def shown():
    return single_things(12, 5, FULL)


@pytest.fixture(scope="module")
def view(shown):
    return world.render(*stage.build(shown, Random(1))[:2], 64)


def test_the_judge_knows_colours_grounds_and_skies(shown, view):
    pictures = view.colour.movedim(-1, 1)
    colours = [
        judge.colour_of(p[:, m], it.sky)
        for p, m, it in zip(pictures, view.part > 0, shown, strict=True)
    ]
    assert (
        sum(colour == it.things[0].colour for colour, it in zip(colours, shown, strict=True)) >= 11
    )
    assert (
        sum(judge.ground_of(p, it.sky) == it.ground for p, it in zip(pictures, shown, strict=True))
        >= 10
    )
    assert sum(judge.sky_of(p) == it.sky for p, it in zip(pictures, shown, strict=True)) >= 11


def test_the_judge_finds_the_object(shown, view):
    pictures, masks = view.colour.movedim(-1, 1), view.part > world.GROUND
    assert leads.overlap(pictures, shown, masks) > 0.85
    assert leads.overlap(pictures.flip(2), shown, masks) < 0.6


def test_the_classifier_names_one_shape_for_each_picture():
    seen = shapes_of(Eye(), torch.rand(3, 3, 2 * SIDE, 2 * SIDE))
    assert len(seen) == 3
    assert set(seen) <= set(SHAPES)


def test_painted_limbs_are_measured_both_ways():
    people = single_things(3, 5, ("mannequin",))
    scene, camera, joints = stage.build(people, Random(1))
    view, places = world.render(scene, camera, 64), camera.project(joints, 64)[0].numpy()
    masks, truth = (view.part > world.GROUND).numpy(), view.colour.movedim(-1, 1)
    right = leads.distances(truth, people, places, masks)
    aside = leads.distances(truth.roll(16, 3), people, places, masks)
    nothing = leads.distances(torch.full_like(truth, 0.5), people, places, masks)
    for part in right:
        assert np.mean(right[part]) < 1.5
        assert np.mean(aside[part]) > 4
    assert np.mean(nothing["limb_to_paint"]) > 16


def test_an_edit_counts_when_it_comes_nearer_to_what_was_asked():
    source, target = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    target[..., :8] = 1
    for picture, share in ((target * 0.7, 1), (source, 0)):
        figures = edits.verdicts(["ground"], picture + 0.01, source, target)
        assert figures["changed"] == figures["changed_ground"] == share
        assert figures["background_psnr_db"] == pytest.approx(40, abs=0.1)
