"""A shot is cut into scenes and spans, and any part of it needs what comes before, no more."""

from t2vz_core.method.shots import scenes
from t2vz_core.wire.job import Frame

FRAMES = tuple(Frame(number, is_anchor=number == 21) for number in range(11, 31))


def _spans(numbers: list[int], every: int) -> list[tuple[int | None, list[int]]]:
    (scene,) = scenes(FRAMES, numbers, every)
    return [
        (span.further and span.further.number, [f.number for f in span.between])
        for span in scene.spans
    ]


def test_a_cut_starts_a_scene_with_an_anchor_of_its_own():
    first, second = scenes(FRAMES, range(11, 31))
    assert (first.anchor.number, second.anchor.number) == (11, 21)
    assert [f.number for f in second.frames] == list(range(22, 31)) and second.since[23] == 2


def test_a_part_of_a_scene_needs_its_anchor_only():
    (scene,) = scenes(FRAMES, [25, 26])
    assert scene.anchor.number == 21 and [f.number for f in scene.frames] == [25, 26]
    assert scene.wanted == {25, 26}


def test_further_anchors_are_made_before_the_frames_around_them():
    assert _spans(list(range(21, 31)), 4) == [(25, [22, 23, 24]), (29, [26, 27, 28]), (None, [30])]


def test_a_part_of_a_scene_needs_all_further_anchors_up_to_the_one_behind_it():
    assert _spans([26], 4) == [(25, []), (29, [26])]
    assert _spans([25], 4) == [(25, [])]


def test_the_anchor_alone_needs_nothing():
    assert _spans([21], 4) == []
