"""A job is cut into shots and spans, and any part of it needs what comes before, no more."""

from t2vz_core.method.shots import shots
from t2vz_core.wire.job import Frame

FRAMES = tuple(Frame(number, is_anchor=number == 21) for number in range(11, 31))


def _spans(numbers: list[int], every: int) -> list[tuple[int | None, list[int]]]:
    (shot,) = shots(FRAMES, numbers, every)
    return [
        (span.keyframe and span.keyframe.number, [f.number for f in span.between])
        for span in shot.spans
    ]


def test_a_cut_starts_a_shot_with_an_anchor_of_its_own():
    first, second = shots(FRAMES, range(11, 31))
    assert (first.anchor.number, second.anchor.number) == (11, 21)
    assert [f.number for f in second.frames] == list(range(22, 31)) and second.since[23] == 2


def test_a_part_of_a_shot_needs_its_anchor_only():
    (shot,) = shots(FRAMES, [25, 26])
    assert shot.anchor.number == 21 and [f.number for f in shot.frames] == [25, 26]
    assert shot.wanted == {25, 26}


def test_key_frames_are_made_before_the_frames_around_them():
    assert _spans(list(range(21, 31)), 4) == [(25, [22, 23, 24]), (29, [26, 27, 28]), (None, [30])]


def test_a_part_of_a_shot_needs_all_key_frames_up_to_the_one_behind_it():
    assert _spans([26], 4) == [(25, []), (29, [26])]
    assert _spans([25], 4) == [(25, [])]


def test_the_anchor_alone_needs_nothing():
    assert _spans([21], 4) == []
