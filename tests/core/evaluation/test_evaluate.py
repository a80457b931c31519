"""A job's finished frames are measured, charted and set beside the scene's own render."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from t2vz_core.evaluation.evaluate import evaluate
from t2vz_core.fault import Fault
from t2vz_core.geometry.pixel_maps import grid
from t2vz_core.wire.job import Frame, JobSpec, Passes, Shot, frame_file, read_job, write_job

SIDE = 64


def _picture(k: int) -> np.ndarray:
    place = grid(SIDE, SIDE)[..., 0] - 2 * k
    wave = np.sin(place / 3)[..., None] * np.cos(grid(SIDE, SIDE)[..., 1:] / 4)
    return (127 + 120 * wave * np.ones(3)).round().astype(np.uint8)


def _job(folder: Path, cut: int | None = None, *, render: bool = True) -> Path:
    """Five frames whose content moves 2 px to the right; the finished frames hold still."""
    frames = []
    for k in range(5):
        anchor = cut if cut is not None and k >= cut else 0
        place = grid(SIDE, SIDE) - np.float32([2 * (k - anchor), 0])
        arrays = {
            "image": _picture(k),
            "depth": np.full((SIDE, SIDE), 3, np.float32),
            "mask": np.full((SIDE, SIDE), 255 * (k % 2), np.uint8),
            "map": place,
            "visible": ((place[..., 0] >= 0) * 255).astype(np.uint8),
        }
        if not render:
            del arrays["image"]
        paths = {name: f"passes/{name}/{k + 1:04d}.npy" for name in arrays}
        for name, array in arrays.items():
            (folder / paths[name]).parent.mkdir(parents=True, exist_ok=True)
            np.save(folder / paths[name], array)
        frames.append(Frame(k + 1, is_anchor=k == cut, passes=Passes(**paths)))
        (folder / "frames").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / frame_file(k + 1)), _picture(0))
    write_job(folder, JobSpec(shot=Shot(width_px=SIDE, height_px=SIDE), frames=tuple(frames)))
    return folder


def test_the_render_moves_as_the_scene_does_and_frozen_frames_do_not(tmp_path):
    result = evaluate(_job(tmp_path))
    frames, render = result["mean"]["frames"], result["mean"]["render"]
    assert render["warp_long"] < 1e-3 < frames["warp_long"]
    assert render["motion_error_px"] < 0.5 and frames["motion_error_px"] > 1.5
    assert json.loads((tmp_path / "evaluation.json").read_text()) == json.loads(json.dumps(result))
    assert set(result["mean"]["frames"]) == set(result["meaning"])


def test_the_chart_is_a_picture(tmp_path):
    evaluate(_job(tmp_path))
    chart = cv2.imread(str(tmp_path / "evaluation.png"))
    assert chart.shape[0] > 480 and chart.std() > 10


def test_nothing_is_compared_across_a_cut(tmp_path):
    per_frame = evaluate(_job(tmp_path, cut=3))["per_frame"]
    assert per_frame["4"]["warp_short"] is None and per_frame["4"]["warp_long"] is None
    assert per_frame["5"]["warp_short"] is not None and per_frame["3"]["flicker"] is None


def test_a_job_without_renders_has_no_floor(tmp_path):
    assert set(evaluate(_job(tmp_path, render=False))["mean"]) == {"frames"}


def test_the_flow_of_the_job_is_taken_where_it_has_one(tmp_path):
    folder = _job(tmp_path)
    spec = read_job(folder)
    flow = np.full((SIDE, SIDE, 3), (-2, 0, 1), np.float32)
    flow[:, : SIDE // 2, 2] = 0
    np.save(folder / "flow.npy", flow)
    passes = dataclasses.replace(spec.frames[2].passes, flow_back="flow.npy")
    frames = (
        *spec.frames[:2],
        dataclasses.replace(spec.frames[2], passes=passes),
        *spec.frames[3:],
    )
    write_job(folder, dataclasses.replace(spec, frames=frames))
    per_frame = evaluate(folder)["per_frame"]
    assert per_frame["3"]["coverage_short"] == 0.5 < per_frame["4"]["coverage_short"]
    assert per_frame["3"]["motion_px"] == pytest.approx(2)


def test_a_missing_frame_is_named(tmp_path):
    folder = _job(tmp_path)
    (folder / frame_file(3)).unlink()
    with pytest.raises(
        Fault, match=r"0003\.png is missing or broken: run the job to its end first"
    ):
        evaluate(folder)


def test_a_job_without_maps_says_so(tmp_path):
    folder = _job(tmp_path)
    write_job(folder, JobSpec(shot=Shot(width_px=SIDE, height_px=SIDE), frames=(Frame(1),)))
    with pytest.raises(Fault, match="Frame 1 has no map pass"):
        evaluate(folder)
