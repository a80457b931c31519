"""A log gets few lines, and never none for long."""

from t2vz_core.wire.pace import Pace


def lines(steps):
    """Of (seconds, stage, done, total) those that get a line."""
    pace = Pace()
    return [step for step in steps if pace.is_due(step[1], step[2], step[3], step[0])]


def test_a_line_comes_at_every_stage_and_tenth():
    steps = [(0.1 * n, "painting", n, 100) for n in range(101)]
    assert [step[2] for step in lines(steps)] == list(range(0, 101, 10))
    assert len(lines([(0, "loading", 0, 1), (0, "loading", 0, 1), (0, "painting", 0, 9)])) == 2


def test_nine_minutes_of_one_stage_are_not_one_line():
    steps = [(float(second), "loading the model", 0, 1) for second in range(9 * 60)]
    assert [step[0] for step in lines(steps)] == [30.0 * n for n in range(18)]
