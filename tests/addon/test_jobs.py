"""Arrays and settings become a job folder."""

import dataclasses
import json
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from blender_addon import jobs
from t2vz_core.wire.job import (
    DEMO_MODEL,
    DEMO_SIDE_PX,
    Control,
    Frame,
    JobSpec,
    Lora,
    Model,
    Motion,
    Prompt,
    Sampling,
    frame_file,
    read_job,
)
from t2vz_core.wire.parse import WireError
from t2vz_core.wire.rendered import Rendered, read_rendered

NOON = datetime(2026, 11, 22, 12, 0, 0)


def test_a_group_with_the_same_names_becomes_the_wires_part():
    group = SimpleNamespace(seed=7, steps=20, guidance=np.float32(0.6), scheduler="ddim")
    part = jobs.part_of(Sampling, group)
    assert part == dataclasses.replace(Sampling(), seed=7, steps=20, guidance=0.6)


def test_lists_and_vectors_become_tuples():
    lora = SimpleNamespace(path="a.safetensors", weight=0.5)
    group = SimpleNamespace(base="demo", loras=[lora])
    assert jobs.part_of(Model, group).loras == (Lora("a.safetensors", 0.5),)
    assert jobs.part_of(Motion, SimpleNamespace(strength=[3, -4.5])).strength == (3.0, -4.5)


@pytest.mark.parametrize(
    ("aspect", "side", "size"),
    [(1.0, 512, (512, 512)), (16 / 9, 512, (704, 384)), (16 / 9, 256, (352, 192)), (0.5, 512, (384, 768))],
)
def test_the_picture_has_the_asked_area_and_the_cameras_aspect(aspect, side, size):
    assert jobs.picture_size(aspect, side) == size


def test_a_models_own_size_is_read_from_its_folder(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/config.json").write_text('{"sample_size": 128}')
    assert jobs.native_side_px(str(tmp_path)) == 1024
    assert jobs.native_side_px("a-file.safetensors") == 512
    assert jobs.native_side_px(DEMO_MODEL) == DEMO_SIDE_PX


def test_a_range_that_ends_before_it_begins_is_a_sentence():
    assert jobs.frame_numbers(3, 9, 3) == [3, 6, 9]
    with pytest.raises(ValueError, match=r"ends \(1\) before it begins \(5\)"):
        jobs.frame_numbers(5, 1)


def test_two_jobs_of_one_second_get_folders_of_their_own(tmp_path):
    one, two = (jobs.new_folder(tmp_path / "ä b", 'A red/ball: "rolls"\n…' * 99, NOON) for _ in range(2))
    assert one.name == "20261122-120000-a-red-ball-rolls-a"
    assert two.name == one.name + "-2"


def test_a_prompt_without_latin_letters_still_names_a_folder(tmp_path):
    assert jobs.new_folder(tmp_path, "🎈 赤い", NOON).name == "20261122-120000"


def test_a_written_job_is_read_back_with_its_arrays(tmp_path):
    depth = np.full((8, 8), np.inf, np.float32)
    arrays = jobs.FrameArrays(12, True, (np.float32(1.5), 2), depth=depth)
    frames = [jobs.write_frame(tmp_path, arrays)]
    spec = jobs.finish(tmp_path, JobSpec(prompt=Prompt("snow"), controls=(Control(),)), frames)
    assert read_job(tmp_path) == spec
    assert spec.frames[0].shift_px == (1.5, 2.0) and spec.frames[0].is_anchor
    assert spec.frames[0].passes.map is None
    np.testing.assert_array_equal(np.load(tmp_path / spec.frames[0].passes.depth), depth)


def test_a_frames_flow_to_the_next_is_saved_with_it_once_that_is_known(tmp_path):
    flow = np.ones((8, 8, 3), np.float32)
    first = jobs.write_frame(tmp_path, jobs.FrameArrays(1))
    second = jobs.write_frame(tmp_path, jobs.FrameArrays(2, flow_back=flow, flow_here=flow * 2))
    first = jobs.with_flow_ahead(tmp_path, first, flow * 2)
    assert (first.passes.flow_ahead, second.passes.flow_ahead) == ("passes/flow_ahead/0001.npy", None)
    np.testing.assert_array_equal(np.load(tmp_path / first.passes.flow_ahead), flow * 2)
    np.testing.assert_array_equal(np.load(tmp_path / second.passes.flow_back), flow)


def test_a_setting_the_engine_would_refuse_is_refused_before_anything_is_sent(tmp_path):
    with pytest.raises(WireError, match=r"^motion\.level_from"):
        jobs.finish(tmp_path, JobSpec(motion=Motion(level_from=950)), [Frame(1)])
    assert not (tmp_path / "job.json").exists()


def test_only_frames_on_disk_count_as_finished(tmp_path):
    spec = JobSpec(frames=(Frame(1), Frame(2), Frame(3)))
    (tmp_path / "frames").mkdir()
    for number in (3, 1):
        (tmp_path / frame_file(number)).write_bytes(b"png")
    (tmp_path / "frames" / "0002.png.part").write_bytes(b"half")
    assert [number for number, _ in jobs.finished_frames(tmp_path, spec)] == [1, 3]


def test_provenance_holds_the_settings_and_no_frames(tmp_path):
    told = json.loads(jobs.provenance(tmp_path, JobSpec(prompt=Prompt("“snow”"), frames=(Frame(1),))))
    assert told["prompt"]["text"] == "“snow”" and told["folder"] == str(tmp_path)
    assert "frames" not in told


def test_a_rendered_file_comes_into_the_job_with_what_it_does_not_say(tmp_path):
    render, job = tmp_path / "render.exr", tmp_path / "job"
    render.write_bytes(b"exr")
    said = Rendered(width_px=64, height_px=64, subject=("Cube",), previous="0006.exr")
    file = jobs.RenderedFile(render, said, frozenset({"depth", "ids"}))
    frame = jobs.write_frame(job, jobs.FrameArrays(7, file=file, mask=np.zeros((2, 2), np.uint8)))
    assert frame.passes.depth == frame.passes.ids == "passes/rendered/0007.exr"
    assert frame.passes.mask == "passes/mask/0007.npy" and frame.passes.normal is None
    assert (job / frame.passes.depth).read_bytes() == b"exr"
    assert read_rendered(job / frame.passes.depth) == said
