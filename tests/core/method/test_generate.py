"""The whole method on small networks: any length, one result; and every fault of the published
codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from t2vz_core.fault import Cancelled, Fault
from t2vz_core.job_folder.passes import Source
from t2vz_core.method.generate import generate, noise_levels
from t2vz_core.method.solvers import Solver
from t2vz_core.models.networks import Networks
from t2vz_core.runtime.token_cache import HOST, ONE_STEP, TokenCache
from t2vz_core.wire.job import (
    Coherence,
    Control,
    Frame,
    JobSpec,
    Motion,
    Prompt,
    PromptKey,
    Sampling,
)

from ..small_jobs import Listener, job, make, networks

STEPS = Sampling(steps=3, seed=3)


@pytest.fixture
def latents(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The latents of the frames that were handed over, in order."""
    seen: list[torch.Tensor] = []
    painted: dict[int, tuple[np.ndarray, torch.Tensor]] = {}

    def listening(networks: Networks, x: torch.Tensor) -> np.ndarray:
        made = next(networks.decode(x[None]))
        painted[id(made)] = made, x[None].clone()
        return made

    def handed_over(_spec: JobSpec, _source: Source, _frame: Frame, made: np.ndarray) -> np.ndarray:
        seen.append(painted[id(made)][1])
        return made

    monkeypatch.setattr("t2vz_core.method.shot.picture", listening)
    monkeypatch.setattr("t2vz_core.method.generate.kept", handed_over)
    return seen


def spec_of(kind: str, folder: Path) -> tuple[JobSpec, Networks]:
    """A job of five frames that uses a part of the method, and its networks."""
    spec = job(folder, 5, sampling=STEPS)
    exact = Coherence(attention="anchor+hidden", smoothing=0.6, fusion=0.0)
    long = Coherence(smoothing=0.6, smoothing_until=0.7, fusion=0.0)
    further = Coherence(attention="anchor+hidden", anchor_every=2, anchor_weight=0.8, fusion=0.4)
    return {
        "text": (spec, networks("sd1")),
        "unguided": (replace(spec, sampling=replace(STEPS, guidance=1.0)), networks("sd1")),
        "depth": (replace(spec, controls=(Control("depth"),)), networks("sd1", 1)),
        "guess": (replace(spec, controls=(Control("depth", is_guess=True),)), networks("sd1", 1)),
        "instruct": (
            replace(spec, sampling=replace(STEPS, image_guidance=0.8)),
            networks("instruct"),
        ),
        "exact": (replace(spec, motion=Motion("map"), coherence=exact), networks("sd1")),
        "smoothing": (replace(spec, motion=Motion("map"), coherence=long), networks("sd1")),
        "further": (replace(spec, motion=Motion("map"), coherence=further), networks("sd1")),
        "few steps": (replace(spec, sampling=replace(STEPS, scheduler="lcm")), networks("sd1")),
        "solver": (
            replace(spec, sampling=replace(STEPS, scheduler="dpm++2m", steps=5)),
            networks("sd1"),
        ),
        "xl": (replace(spec, sampling=replace(STEPS, scheduler="euler")), networks("sdxl")),
        "travel": (
            replace(spec, prompt=Prompt(keys=(PromptKey(1, "red"), PromptKey(4, "blue")))),
            networks("sd1"),
        ),
    }[kind]


KINDS = (
    *("text", "unguided", "depth", "guess", "instruct", "exact"),
    *("smoothing", "further", "few steps", "solver", "xl", "travel"),
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_depends_neither_on_its_chunk_nor_on_the_range(
    kind: str, tmp_path: Path, latents: list[torch.Tensor]
) -> None:
    spec, nets = spec_of(kind, tmp_path)
    make(tmp_path, spec, nets, chunk=3)
    whole = torch.cat(latents)
    latents.clear()
    make(tmp_path, spec, nets, numbers=[3, 5], chunk=1)
    part = torch.cat(latents)
    assert part.shape[0] == 2
    rounding = 1e-5 * whole.abs().max()  # a few steps on random networks take latents to 60
    assert (part - whole[[2, 4]]).abs().max() <= max(1e-4, rounding)
    assert (whole[1:] - whole[:1]).abs().amax(
        dim=(1, 2, 3)
    ).min() > 1e-2  # frames differ from their anchor


@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_frames_of_the_anchor_s_noise_without_motion_are_the_anchor(
    guidance: float, tmp_path: Path, latents: list[torch.Tensor]
) -> None:
    spec = job(tmp_path, 3, sampling=replace(STEPS, guidance=guidance), motion=Motion("none"))
    make(tmp_path, spec, networks("sd1"))
    assert (torch.cat(latents) - latents[0]).abs().max() < 1e-4


def test_frames_that_attend_to_themselves_only_ignore_the_anchor(
    tmp_path: Path, latents: list[torch.Tensor]
) -> None:
    spec = job(tmp_path, 3, sampling=STEPS)
    make(tmp_path, spec, networks("sd1"))
    make(
        tmp_path, replace(spec, coherence=Coherence(attention="self", fusion=0.0)), networks("sd1")
    )
    assert torch.equal(latents[0], latents[3])
    assert (latents[1] - latents[4]).abs().max() > 1e-2


def test_after_a_cut_frames_follow_the_new_anchor(tmp_path: Path) -> None:
    spec = job(tmp_path, 4, sampling=STEPS)
    frames = tuple(
        replace(f, is_anchor=f.number in (1, 3), shift_px=(3.0 * (f.number == 4), 0))
        for f in spec.frames
    )
    both = make(tmp_path, replace(spec, frames=frames), networks("sd1"))
    second = make(tmp_path, replace(spec, frames=frames[2:]), networks("sd1"))
    assert all(np.array_equal(both[number], second[number]) for number in (3, 4))


def test_the_first_frame_is_there_before_the_others_are_begun(tmp_path: Path) -> None:
    watch = Listener()
    coming = generate(
        job(tmp_path, 3, sampling=STEPS), Source(tmp_path), networks("sd1"), [1, 2, 3], watch, 1
    )
    assert next(coming)[0] == 1
    _, done, total = watch.progress_seen[-1]
    assert done == 3 < total
    assert [number for number, _ in coming] == [2, 3]
    assert watch.progress_seen[-1][1] == total


@pytest.mark.slow
@pytest.mark.parametrize("store", [HOST, ONE_STEP])
def test_where_the_anchor_s_keys_are_kept_changes_nothing(
    store: str, tmp_path: Path, latents: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = job(tmp_path, 3, sampling=STEPS)
    make(tmp_path, spec, networks("sd1"))
    monkeypatch.setattr(
        "t2vz_core.method.sampler.TokenCache", lambda steps: TokenCache(steps, store)
    )
    make(tmp_path, spec, networks("sd1"))
    assert (torch.cat(latents[:3]) - torch.cat(latents[3:])).abs().max() <= 1e-5


@pytest.mark.slow
def test_a_key_frame_s_tokens_are_made_again_where_there_is_no_room_for_them(
    tmp_path: Path, latents: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    tied = Coherence(anchor_every=2, anchor_weight=0.5, fusion=0.0)
    spec = job(tmp_path, 4, sampling=STEPS, motion=Motion("map"), coherence=tied)
    make(tmp_path, spec, networks("sd1"))
    monkeypatch.setattr(
        "t2vz_core.method.sampler.TokenCache", lambda steps: TokenCache(steps, ONE_STEP)
    )
    make(tmp_path, spec, networks("sd1"))
    make(tmp_path, replace(spec, coherence=replace(tied, anchor_weight=0.0)), networks("sd1"))
    kept, again, without = (torch.cat(latents[i : i + 4]) for i in (0, 4, 8))
    assert (kept - again).abs().max() <= 1e-5
    assert (
        kept[2] - without[2]
    ).abs().max() <= 1e-4  # the key frame itself attends to the first alone
    assert (kept - without).abs().amax((1, 2, 3))[[1, 3]].min() > 1e-3


@pytest.mark.slow
def test_when_memory_runs_out_chunks_are_halved_and_the_frames_stay_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = job(tmp_path, 5, sampling=STEPS)
    expected = make(tmp_path, spec, networks("sd1"), chunk=1)
    unet = networks("sd1").unet
    forward = unet.forward

    def small(sample: torch.Tensor, *rest: Any, **more: Any) -> Any:
        if len(sample) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(sample, *rest, **more)

    monkeypatch.setattr(unet, "forward", small)
    watch = Listener()
    made = dict(generate(spec, Source(tmp_path), networks("sd1"), [1, 2, 3, 4, 5], watch, 4))
    assert any("1 frame at a time" in note for note in watch.notes)
    assert all(np.abs(made[n].astype(int) - expected[n]).max() <= 1 for n in expected)


@pytest.mark.slow
@pytest.mark.parametrize("comforts", [2, 5])
def test_what_is_given_up_when_one_frame_does_not_fit_leaves_the_frames_as_they_are(
    comforts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, nets, given = job(tmp_path, 3, sampling=STEPS), networks("sd1"), []
    expected = make(tmp_path, spec, nets)
    unet, forward, watch = nets.unet, nets.unet.forward, Listener()
    monkeypatch.setattr(Networks, "offload", lambda _: given.append("offload"))
    monkeypatch.setattr(Networks, "lend", lambda _: given.append("lend"))
    monkeypatch.setattr(nets.vae, "enable_tiling", lambda: given.append("tiles"))

    def small(*args: Any, **more: Any) -> Any:
        if sum("Memory ran out" in note for note in watch.notes) < comforts:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, **more)

    monkeypatch.setattr(unet, "forward", small)
    made = dict(generate(spec, Source(tmp_path), nets, [1, 2, 3], watch, 2))
    assert given == ["offload", "tiles", "lend"][: comforts - 2]
    assert all(np.abs(made[n].astype(int) - expected[n]).max() <= 1 for n in expected)


@pytest.mark.slow
def test_a_job_that_does_not_fit_at_all_ends_with_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    nets = networks("sd1")
    monkeypatch.setattr(nets.unet, "forward", never)
    monkeypatch.setattr(nets.vae, "enable_tiling", lambda: None)
    watch = Listener()
    with pytest.raises(Fault, match="lower the picture size"):
        list(generate(job(tmp_path, 2, sampling=STEPS), Source(tmp_path), nets, [1, 2], watch))
    assert [note.partition(": ")[2] for note in watch.notes if "Memory" in note] == [
        "the anchor is denoised again beside the other frames.",
        "attention is looked up in slices.",
        "pictures are decoded in tiles.",
    ]


class Stopping(Listener):
    """Cancels at the third report."""

    def progress(self, stage: str, done: int, total: int) -> None:
        super().progress(stage, done, total)
        if len(self.progress_seen) == 3:
            raise Cancelled


def test_a_job_stops_within_one_step_and_leaves_the_networks_as_they_were(tmp_path: Path) -> None:
    nets = networks("sd1", 1)
    before = [dict(network.attn_processors) for network in (nets.unet, *nets.controlnets)]
    spec, watch = job(tmp_path, 3, sampling=STEPS, controls=(Control("depth"),)), Stopping()
    with pytest.raises(Cancelled):
        list(generate(spec, Source(tmp_path), nets, [1, 2, 3], watch))
    assert len(watch.progress_seen) == 3
    after = [network.attn_processors for network in (nets.unet, *nets.controlnets)]
    assert all(a[name] is b[name] for a, b in zip(after, before) for name in b)


def test_a_job_left_early_leaves_the_networks_as_they_were(tmp_path: Path) -> None:
    nets = networks("sd1")
    before = dict(nets.unet.attn_processors)
    coming = generate(
        job(tmp_path, 3, sampling=STEPS), Source(tmp_path), nets, [1, 2, 3], Listener()
    )
    next(coming)
    coming.close()
    assert all(nets.unet.attn_processors[name] is before[name] for name in before)


def test_attention_slicing_set_by_others_does_not_remove_the_anchor(tmp_path: Path) -> None:
    spec, nets = job(tmp_path, 3, sampling=STEPS), networks("sd1")
    expected = make(tmp_path, spec, nets)
    before = dict(nets.unet.attn_processors)
    nets.unet.set_attention_slice("max")
    try:
        made = make(tmp_path, spec, nets)
    finally:
        nets.unet.set_attn_processor(before)
    assert all(np.array_equal(made[number], expected[number]) for number in expected)


@pytest.mark.slow
def test_twenty_five_steps_take_the_nearest_noise_levels_and_say_so(tmp_path: Path) -> None:
    watch = Listener()
    spec = job(tmp_path, 2, sampling=replace(STEPS, steps=25))
    next(generate(spec, Source(tmp_path), networks("sd1"), [1], watch))
    assert watch.notes == [
        "With 25 steps the noise levels nearest to T = 941 and T′ = 881 are 961 and 881; "
        "these are used."
    ]


def test_networks_that_lose_themselves_are_reported_and_not_painted_black(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet = networks("sd1").unet
    forward = unet.forward
    monkeypatch.setattr(
        unet, "forward", lambda *args, **more: (forward(*args, **more)[0] * float("nan"),)
    )
    with pytest.raises(Fault, match=r"not a number.*frame 1: lower the guidance"):
        make(tmp_path, job(tmp_path, 2, sampling=STEPS), networks("sd1"))


def test_smoothing_without_masks_is_a_sentence(tmp_path: Path) -> None:
    spec = job(tmp_path, 2, sampling=STEPS, coherence=Coherence(smoothing=0.6, fusion=0.0))
    frames = tuple(replace(f, passes=replace(f.passes, mask=None)) for f in spec.frames)
    with pytest.raises(Fault, match="Frame 1 has no mask"):
        make(tmp_path, replace(spec, frames=frames), networks("sd1"))


@pytest.mark.parametrize("steps, levels", [(1, (0, 1)), (2, (0, 1)), (50, (2, 5))])
def test_any_number_of_steps_has_two_levels_between_which_frames_part(
    steps: int, levels: tuple[int, int]
) -> None:
    spec = JobSpec(sampling=Sampling(steps=steps), motion=Motion("translation"))
    config = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
    }
    assert noise_levels(spec, Solver(spec.sampling, config), [].append) == levels
