"""Whoever watches sees what all do, until every frame is there."""

from t2vz_core.farm import watch as watch_room
from t2vz_core.farm.watch import watch
from t2vz_core.job_folder.claims import Claims
from t2vz_core.wire.job import Frame, JobSpec, frame_file, write_job


def test_each_change_is_a_line_with_the_frames_in_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(watch_room, "LOOK_S", 0.01)
    write_job(tmp_path, JobSpec(frames=tuple(Frame(number) for number in (-1, 0, 1, 2))))
    (tmp_path / "frames").mkdir()
    lines = []
    with Claims(tmp_path) as claims:
        claims.take(["-001", "0000", "0002"])

        def say(line):
            lines.append(line.split(" ", 1)[1])
            if len(lines) == 1:
                for number in (-1, 0, 1):
                    (tmp_path / frame_file(number)).touch()
                claims.release("-001")
                claims.release("0000")
            else:
                (tmp_path / frame_file(2)).touch()
                claims.release("0002")

        watch(tmp_path, say)
    assert lines[0].startswith("0 of 4 frames, ") and lines[0].endswith(": -1-0,2")
    assert lines[1].startswith("3 of 4 frames, ") and lines[1].endswith(": 2")
    assert lines[2] == "4 of 4 frames"
