"""Every frame is in one part, and parts begin where key frames are."""

import dataclasses

import pytest

from t2vz_core.farm.parts import frames_of, starts, stepped
from t2vz_core.fault import Fault
from t2vz_core.wire.job import Coherence, Frame, JobSpec
from t2vz_core.wire.ranges import numbers_in

SHOT = JobSpec(frames=tuple(Frame(number, number in (1, 21)) for number in range(1, 41)))


def test_parts_begin_at_anchors_and_at_key_frames():
    assert starts(SHOT) == (1, 9, 17, 21, 29, 37)
    without = dataclasses.replace(SHOT, coherence=Coherence(anchor_every=0))
    assert starts(without) == starts(SHOT)


def test_a_shot_on_twos_counts_its_own_frames():
    twos = JobSpec(frames=tuple(Frame(number) for number in range(1, 41, 2)))
    assert starts(twos) == (1, 17, 33)


@pytest.mark.parametrize("of", ["1-37:8", "1,9,17,21,29,37", "10-30:5", "100", "-50-0:10"])
def test_every_frame_is_in_one_part_whatever_the_parts(of):
    parts = numbers_in(of)
    found = [
        number
        for part in parts
        if (line := frames_of(SHOT, [part], parts))
        for number in numbers_in(line)
    ]
    assert found == [frame.number for frame in SHOT.frames]


def test_a_part_that_is_none_is_a_sentence():
    with pytest.raises(Fault, match="8 begins no part; parts begin at 1,9"):
        frames_of(SHOT, [8], [1, 9])


def test_even_parts_are_short():
    assert stepped((1, 9, 17, 25)) == "1-25:8" and stepped((1, 9, 21)) == "1,9,21"
    assert stepped((5,)) == "5" and stepped((1, 9)) == "1,9"
