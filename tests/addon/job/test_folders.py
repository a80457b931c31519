"""Arrays and settings become a job folder."""

import json
from datetime import datetime

import numpy as np
import pytest

from blender_addon.job import folders
from t2vz_core.wire.job import Control, Frame, JobSpec, Motion, Prompt, frame_file, read_job
from t2vz_core.wire.parse import WireError
from t2vz_core.wire.rendered import Rendered, read_rendered

NOON = datetime(2026, 11, 22, 12, 0, 0)


def test_two_jobs_of_one_second_get_folders_of_their_own(tmp_path):
    one, two = (
        folders.new_folder(tmp_path / "ä b", 'A red/ball: "rolls"\n…' * 99, NOON) for _ in range(2)
    )
    assert one.name == "20261122-120000-a-red-ball-rolls-a"
    assert two.name == one.name + "-2"


def test_a_prompt_without_latin_letters_still_names_a_folder(tmp_path):
    assert folders.new_folder(tmp_path, "🎈 !?", NOON).name == "20261122-120000"


def test_a_written_job_is_read_back_with_its_arrays(tmp_path):
    depth = np.full((8, 8), np.inf, np.float32)
    arrays = folders.FrameArrays(12, True, (np.float32(1.5), 2), depth=depth)
    frames = [folders.write_frame(tmp_path, arrays)]
    spec = folders.finish(tmp_path, JobSpec(prompt=Prompt("snow"), controls=(Control(),)), frames)
    assert read_job(tmp_path) == spec
    assert spec.frames[0].shift_px == (1.5, 2.0) and spec.frames[0].is_anchor
    assert spec.frames[0].passes.map is None
    np.testing.assert_array_equal(np.load(tmp_path / spec.frames[0].passes.depth), depth)


def test_a_frames_flow_to_the_next_is_saved_with_it_once_that_is_known(tmp_path):
    flow = np.ones((8, 8, 3), np.float32)
    first = folders.write_frame(tmp_path, folders.FrameArrays(1))
    second = folders.write_frame(
        tmp_path, folders.FrameArrays(2, flow_back=flow, flow_here=flow * 2)
    )
    first = folders.with_flow_ahead(tmp_path, first, flow * 2)
    assert (first.passes.flow_ahead, second.passes.flow_ahead) == (
        "passes/flow_ahead/0001.npy",
        None,
    )
    np.testing.assert_array_equal(np.load(tmp_path / first.passes.flow_ahead), flow * 2)
    np.testing.assert_array_equal(np.load(tmp_path / second.passes.flow_back), flow)


def test_a_setting_the_engine_would_refuse_is_refused_before_anything_is_sent(tmp_path):
    with pytest.raises(WireError, match=r"^motion\.level_from"):
        folders.finish(tmp_path, JobSpec(motion=Motion(level_from=950)), [Frame(1)])
    assert not (tmp_path / "job.json").exists()


def test_only_frames_on_disk_count_as_finished(tmp_path):
    spec = JobSpec(frames=(Frame(1), Frame(2), Frame(3)))
    (tmp_path / "frames").mkdir()
    for number in (3, 1):
        (tmp_path / frame_file(number)).write_bytes(b"png")
    (tmp_path / "frames" / "0002.png.part").write_bytes(b"half")
    assert [number for number, _ in folders.finished_frames(tmp_path, spec)] == [1, 3]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("ein röter Würfel", "ein-roter-wurfel"),
        ("Straße, ÆTHER; łódź", "strasse-aether-lodz"),
        ("赤い ガラス", "赤い-ガラス"),
        ("красный куб", "красныи-куб"),
        ("ﬁne ①", "fine-1"),
        ("../../etc", "etc"),
    ],
)
def test_a_folder_is_named_after_the_prompt_in_any_language(tmp_path, prompt, words):
    assert folders.new_folder(tmp_path, prompt, NOON).name == f"20261122-120000-{words}"


def test_a_name_stays_short_in_scripts_of_many_bytes(tmp_path):
    folder = folders.new_folder(tmp_path, "赤いガラスの玉が水面の上に" * 20, NOON)
    assert len(folder.name.encode()) <= 120 and folder.name.startswith("20261122-120000-赤い")


def test_provenance_holds_the_settings_and_no_frames(tmp_path):
    told = json.loads(
        folders.provenance("//t2vz/one", JobSpec(prompt=Prompt("“snow”"), frames=(Frame(1),)))
    )
    assert told["prompt"]["text"] == "“snow”" and told["folder"] == "//t2vz/one"
    assert "frames" not in told


def test_a_rendered_file_comes_into_the_job_with_what_it_does_not_say(tmp_path):
    render, job = tmp_path / "render.exr", tmp_path / "job"
    render.write_bytes(b"exr")
    said = Rendered(width_px=64, height_px=64, subject=("Cube",), previous="0006.exr")
    file = folders.RenderedFile(render, said, frozenset({"depth", "ids"}))
    frame = folders.write_frame(
        job, folders.FrameArrays(7, file=file, mask=np.zeros((2, 2), np.uint8))
    )
    assert frame.passes.depth == frame.passes.ids == "passes/rendered/0007.exr"
    assert frame.passes.mask == "passes/mask/0007.npy" and frame.passes.normal is None
    assert (job / frame.passes.depth).read_bytes() == b"exr"
    assert read_rendered(job / frame.passes.depth) == said
