"""Ranges, sessions and processes of one job paint each frame once, and to the bit the same."""

import collections
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from t2vz_core.farm.parts import frames_of, starts
from t2vz_core.job_folder import claims as claims_room
from t2vz_core.job_folder.frames import Frames
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.share import Session
from t2vz_core.painting import Painting
from t2vz_core.runtime.token_cache import DEVICE, TokenCache
from t2vz_core.wire import events
from t2vz_core.wire.job import Coherence, Control, Motion, Sampling

from .small_jobs import Listener, job, networks

EVERY = 4
QUICK = Sampling(steps=2, guidance=1.0)
TIED = Coherence(fusion=0.4, anchor_every=EVERY)
LED = {"motion": Motion("map"), "controls": (Control("depth", "any"),)}
MODES = {
    "fused": {"coherence": TIED},
    "attended": {"coherence": replace(TIED, anchor_weight=0.5, attention="anchor+hidden")},
    "smoothed": {"coherence": replace(TIED, smoothing=0.6, smoothing_until=0.5)},
    "alone": {"coherence": replace(TIED, fusion=0.0)},
}
CHUNKS = {"alone": 1}  # without key frames a range begins in the midst of another's chunk


class Counter:
    """Counts the frames that a network is asked about at its last step, where it is asked about
    all: where the scene tells enough it is not."""

    def __init__(self, network):
        self._asked = collections.Counter()
        self._hook = network.register_forward_pre_hook(self._ask)

    def _ask(self, _network, inputs):
        self._asked[float(inputs[1])] += inputs[0].shape[0]

    @property
    def frames(self):
        return self._asked[min(self._asked)] if self._asked else 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._hook.remove()


def small(folder, count, mode="fused", cuts=(), **changes):
    """A job with key frames; its anchors are the first frame and the `cuts`."""
    folder.mkdir(exist_ok=True)
    spec = job(folder, count, **(LED | MODES[mode] | changes))
    anchors = {1, *cuts}
    frames = tuple(replace(frame, is_anchor=frame.number in anchors) for frame in spec.frames)
    return replace(spec, frames=frames)


def run(folder, spec, frames="", session=None, chunk=2, **asked):
    """One run in a folder, as a process of its own would make it."""
    held = Frames(folder, spec)
    wanted = held.numbers(None, None, frames)
    event = events.Run("job", str(folder), chunk=chunk, frames=frames, **asked)
    nets = networks("sd1", len(spec.controls))
    session = session or Session()
    told = Listener()
    tell = partial(held.missing, wanted)
    Painting(event, spec, Source(folder), held, nets, session, told, tell).carry_out()


def pictures(folder):
    return {path.name: cv2.imread(str(path)) for path in sorted((folder / "frames").glob("*.png"))}


def are_equal(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def parts(spec):
    of = starts(spec)
    return [frames_of(spec, [part], of) for part in of]


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    """The frames of one run, by mode."""
    made = {}

    def whole(mode):
        if mode not in made:
            folder = tmp_path_factory.mktemp(mode)
            run(folder, small(folder, 14, mode, cuts=(11,)), chunk=CHUNKS.get(mode, 2))
            made[mode] = pictures(folder)
        return made[mode]

    return whole


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("keeps", [False, True])
def test_a_shot_in_parts_is_to_the_bit_that_of_one_run(tmp_path, wholes, mode, keeps):
    spec = small(tmp_path, 14, mode, cuts=(11,))
    run(tmp_path, spec, anchors_only=True)
    session = Session() if keeps else None
    for part in parts(spec)[::-1]:
        run(tmp_path, spec, part, session, CHUNKS.get(mode, 2))
    assert are_equal(pictures(tmp_path), wholes(mode))


@pytest.mark.slow
def test_a_job_taken_up_again_paints_what_is_missing_and_no_key_frame(tmp_path, wholes):
    spec = small(tmp_path, 14, cuts=(11,))
    run(tmp_path, spec)
    for number in (7, 8, 9):
        (tmp_path / "frames" / f"{number:04d}.png").unlink()
    with Counter(networks("sd1", 1).unet) as counter:
        run(tmp_path, replace(spec))
    groups = 2
    assert counter.frames == (1 + 2) * groups  # the anchor's tokens, and no key frame
    assert are_equal(pictures(tmp_path), wholes("fused"))


@pytest.mark.slow
def test_what_is_stored_is_painted_by_nobody(tmp_path):
    spec = small(tmp_path, 14, cuts=(11,))
    run(tmp_path, spec, anchors_only=True)
    kept = {path: path.read_bytes() for path in (tmp_path / "anchors").iterdir()}
    assert sorted({path.stem for path in kept}) == ["0001", "0005", "0009", "0011"]
    for path in (tmp_path / "frames").glob("*.png"):
        path.unlink()
    with Counter(networks("sd1", 1).unet) as counter:
        run(tmp_path, spec, "1,5,9,11")
    assert counter.frames == 0 and len(pictures(tmp_path)) == 4
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_session_walks_an_anchors_way_once(tmp_path):
    spec = small(tmp_path, 9, sampling=QUICK, motion=Motion("none"))
    run(tmp_path, spec, anchors_only=True)
    session = Session()
    with Counter(networks("sd1", 1).unet) as counter:
        for part in parts(spec):
            run(tmp_path, spec, part, session)
    assert counter.frames == 1 + 6  # the anchor's tokens, and what lies between the key frames


@pytest.mark.slow
@pytest.mark.parametrize(("count", "most"), [(240, 275), (720, 830)])
def test_chunks_of_eight_paint_no_key_frame_twice(tmp_path, monkeypatch, count, most):
    nets = networks("sd1", 1)  # which say nothing here: only how often they are asked is counted
    monkeypatch.setattr(nets.unet, "forward", lambda z, *_, **__: (torch.zeros_like(z),))
    monkeypatch.setattr(
        "t2vz_core.method.sampler.TokenCache", lambda steps: TokenCache(steps, DEVICE)
    )
    silence = [], torch.zeros(1)
    monkeypatch.setattr(nets.controlnets[0], "forward", lambda *_, **__: silence)
    tied = replace(TIED, anchor_every=8)
    spec = small(tmp_path, count, coherence=tied, sampling=QUICK, motion=Motion("none"))
    with Counter(nets.unet) as counter:
        run(tmp_path, spec, anchors_only=True)
        for part in parts(spec):
            run(tmp_path, spec, part)
    print(f"{count} frames in chunks of 8: {counter.frames} painted")
    assert len(list((tmp_path / "frames").glob("*.png"))) == count
    assert counter.frames <= most


def _work(folder, spec, begun):
    torch.set_num_threads(1)
    unet = networks("sd1", len(spec.controls)).unet
    file = os.open(begun, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def ask(_network, inputs):
        if float(inputs[1]) < 300:  # the last of two steps
            os.write(file, b"x" * inputs[0].shape[0])

    unet.register_forward_pre_hook(ask)
    run(folder, spec)


def _started(*arguments):
    process = multiprocessing.get_context("fork").Process(target=_work, args=arguments)
    process.start()
    return process


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that start at once are forked")
def test_four_processes_in_one_folder_paint_each_frame_once(tmp_path):
    spec = small(tmp_path, 41, sampling=QUICK, motion=Motion("none"))
    networks("sd1", 1)
    torch.set_num_threads(1)
    makers = [_started(tmp_path, spec, tmp_path / "begun") for _ in range(4)]
    for maker in makers:
        maker.join(200)
    assert [maker.exitcode for maker in makers] == [0] * 4
    assert len(pictures(tmp_path)) == 41 and not (tmp_path / "claims").exists()
    assert 41 <= (tmp_path / "begun").stat().st_size <= 40 + 4  # each walks the anchor's way


def _wait_for_frames(folder, count):
    until = time.monotonic() + 200
    while len(list((folder / "frames").glob("*.png"))) < count:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that start at once are forked")
def test_fifty_kills_lose_no_frame_and_change_none(tmp_path):
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    spec = small(whole, 121, sampling=QUICK)
    torch.set_num_threads(1)
    run(whole, spec)
    small(shared, 121)
    draw, kills = random.Random(5), 0
    makers = [_started(shared, spec, tmp_path / "begun") for _ in range(3)]
    while kills < 50:
        _wait_for_frames(shared, 2 * kills)
        time.sleep(draw.uniform(0.0, 0.3))
        which = draw.randrange(3)
        os.kill(makers[which].pid, signal.SIGKILL)
        makers[which].join()
        kills += makers[which].exitcode == -signal.SIGKILL
        makers[which] = _started(shared, spec, tmp_path / "begun")
    for maker in makers:
        maker.join(300)
    assert [maker.exitcode for maker in makers] == [0] * 3
    one, two = pictures(whole), pictures(shared)
    assert one.keys() == two.keys()
    apart = max(np.abs(one[name].astype(int) - two[name]).max() for name in one)
    print(f"{kills} kills, {len(two)} frames, at most {apart}/255 apart")
    assert apart <= 1  # chunks that a kill cut are of other sizes


def test_a_frame_that_a_dead_machine_claimed_is_waited_for_and_then_made(tmp_path, monkeypatch):
    spec = small(tmp_path, 3, sampling=QUICK, motion=Motion("none"))
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "0002.1").write_text(
        '{"token": "t", "machine": "gone", "host": "h", "pid": 1, "started": "0"}'
    )
    monkeypatch.setattr(claims_room, "STALE_S", 1.0)
    began = time.monotonic()
    run(tmp_path, spec)
    assert len(pictures(tmp_path)) == 3 and time.monotonic() - began > 1.0


def test_anchors_are_small(tmp_path):
    spec = small(tmp_path, 5)
    run(tmp_path, spec, anchors_only=True)
    sizes = [path.stat().st_size for path in Path(tmp_path / "anchors").iterdir()]
    assert max(sizes) < 64 * 64 * 4


@pytest.mark.slow
def test_a_shot_on_twos_in_parts_is_that_of_one_run(tmp_path):
    pictures_of = {}
    for name, ranges in (("whole", [""]), ("parts", ["4-5", "1-2", "3"])):
        spec = on_twos(tmp_path / name, 5)
        for frames in ranges:
            run(tmp_path / name, spec, frames)
        pictures_of[name] = pictures(tmp_path / name)
    assert len(pictures_of["parts"]) == 5 and are_equal(*pictures_of.values())


def on_twos(folder, count):
    """A shot of which every other frame is painted, and the others carried."""
    spec = small(folder, count, coherence=Coherence(paint_every=2, anchor_every=0), sampling=QUICK)
    frames = []
    for frame in spec.frames:
        path = f"passes/ids{frame.number}.npy"
        np.save(folder / path, np.ones((spec.shot.height_px, spec.shot.width_px), np.int32))
        frames.append(replace(frame, passes=replace(frame.passes, ids=path)))
    return replace(spec, frames=tuple(frames))
