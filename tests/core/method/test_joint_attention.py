"""Attention of transformers across frames, against a plain and slow transcription of the
formulas."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.transformers.transformer_z_image import RopeEmbedder, ZImageTransformerBlock

from t2vz_core.geometry.latent_maps import identity_map
from t2vz_core.method.attention import AttentionTargets
from t2vz_core.method.correspondence import Correspondence
from t2vz_core.method.joint_attention import joint_cross_frame
from t2vz_core.method.token_places import places_of
from t2vz_core.models.networks import Networks, load
from t2vz_core.runtime.token_cache import TokenCache
from t2vz_core.wire.job import Coherence, Frame, Model, Motion, Prompt, PromptKey, Sampling
from tests.core import random_transformers as tiny
from tests.core.small_jobs import job, make

H, W = 3, 4  # tokens
TEXT = 3
AXES, THETA = tiny.ZIMAGE["axes_dims"], 256.0
DIM, HEADS = tiny.DIM, tiny.ZIMAGE["n_heads"]


class Network(torch.nn.Module):
    """One block of a transformer, by its name there."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        block = ZImageTransformerBlock(0, DIM, HEADS, HEADS, 1e-5, True)
        self.layers = torch.nn.ModuleList([block])
        for name, weight in self.named_parameters():
            if "norm" in name:
                torch.nn.init.uniform_(weight, 0.5, 1.5)
        self.config = type("Config", (), {"axes_dims": AXES, "rope_theta": THETA})
        self.config.all_patch_size = (2,)


def places_in_text_and_picture() -> torch.Tensor:
    """(n + m, 3) where the tokens of picture and text are, as in Z-Image: time, y, x."""
    picture = [(TEXT + 1, y, x) for y in range(H) for x in range(W)]
    return torch.tensor(picture + [(1 + i, 0, 0) for i in range(TEXT)])


def moved_map(dx: float, dy: float, *, hides_left: int = 0) -> Correspondence:
    """A frame whose content went right by dx and down by dy cells, and which the anchor did not
    show in its first columns."""
    cells = identity_map(2 * H, 2 * W) - torch.tensor([dx, dy])
    inside = ((cells > 0) & (cells < torch.tensor([2 * W, 2 * H]))).all(-1)
    inside[:, :hides_left] = False
    return Correspondence(Frame(2), 1, cells, inside.float())


def slow(attn, frame, anchor, moved, shown, new) -> torch.Tensor:
    """softmax(q·k/√d)·v of a frame (n + m, c), one query and one key at a time, each key turned by
    its place; `moved` (n, 2) x y in tokens."""
    n, d = H * W, DIM // HEADS
    places = places_in_text_and_picture().double()
    sources = [(anchor[j], j, True) for j in range(n) if shown[j]]
    sources += [(frame[j], j, False) for j in range(n, len(frame))]
    sources += [(frame[j], j, False) for j in range(n) if new[j]]

    def turned(vector, place):
        out, at = vector.clone(), 0
        for axis, size in enumerate(AXES):
            for k in range(size // 2):
                angle = float(place[axis]) * THETA ** (-2 * k / size)
                one, two = vector[at + 2 * k], vector[at + 2 * k + 1]
                out[at + 2 * k] = one * math.cos(angle) - two * math.sin(angle)
                out[at + 2 * k + 1] = one * math.sin(angle) + two * math.cos(angle)
            at += size
        return out

    rows = []
    for i, token in enumerate(frame):
        heads = []
        for h in range(HEADS):
            part = slice(h * d, (h + 1) * d)
            query = turned(attn.norm_q(attn.to_q(token)[part]), places[i])
            scores, values = [], []
            for source, j, is_anchors in sources:
                place = places[j].clone()
                if is_anchors:
                    place[1] += moved[j][1]
                    place[2] += moved[j][0]
                key = turned(attn.norm_k(attn.to_k(source)[part]), place)
                scores.append(float(query @ key) / math.sqrt(d))
                values.append(attn.to_v(source)[part])
            weights = torch.softmax(torch.tensor(scores), 0)
            heads.append(sum(w * value for w, value in zip(weights, values)))
        rows.append(attn.to_out[0](torch.cat(heads)))
    return torch.stack(rows)


@pytest.mark.slow
@pytest.mark.parametrize("has_new", [False, True])
@pytest.mark.parametrize("slice_at", [0, 7])
def test_frames_look_at_the_anchor_where_it_is_now(has_new: bool, slice_at: int) -> None:
    network = Network()
    attn = network.layers[0].attention
    ids = places_in_text_and_picture()
    freqs = RopeEmbedder(THETA, AXES, (64, 64, 64))(ids)
    anchor, frames = torch.randn(1, H * W + TEXT, DIM), torch.randn(2, H * W + TEXT, DIM)
    surfaces = [moved_map(2.0, 0.0), moved_map(-3.5, 1.0, hides_left=4)]
    hidden = torch.stack([1 - one.visible for one in surfaces]) if has_new else None
    cache = TokenCache(1)
    with torch.inference_mode(), joint_cross_frame([network]) as state:
        state.slice = slice_at
        with cache.keeping(0):
            state.look(AttentionTargets(0, keeps=cache), 2 * H, 2 * W)
            alone = attn(anchor, freqs_cis=freqs[None])
        places = state.places(surfaces)
        state.look(AttentionTargets(0, (cache,), hidden, places=places), 2 * H, 2 * W)
        ours = attn(frames, freqs_cis=freqs[None].expand(2, -1, -1))
        none, every = [False] * (H * W), [True] * (H * W)
        still = torch.zeros(H * W, 2)
        truth = slow(attn, anchor[0], anchor[0], still, every, none)
        torch.testing.assert_close(alone[0], truth, rtol=1e-4, atol=1e-4)
        for k in range(2):
            new = none
            if hidden is not None:
                parts = hidden[k].view(H, 2, W, 2).mean((1, 3)).flatten()
                new = (parts > 0.5).tolist()
            truth = slow(attn, frames[k], anchor[0], places.moved[k], places.shown[k], new)
            torch.testing.assert_close(ours[k], truth, rtol=1e-4, atol=1e-4)
    assert not places.shown.all() and (hidden is None or hidden.max() == 1)


def test_the_map_turned_round_is_exact_for_shifts_and_nothing_moves_where_nothing_does() -> None:
    still = places_of([moved_map(0, 0)], 2)
    assert still.moved.abs().max() == 0 and still.shown.all()
    went = places_of([moved_map(2.6, -1.4)], 2)
    moved = went.moved[went.shown]
    torch.testing.assert_close(moved, torch.tensor([[1.3, -0.7]]).expand_as(moved))
    shown = went.shown[0].view(H, W)
    assert shown[1:, :-1].all() and not shown[:, -1].any()  # what left the picture is masked


def test_the_map_turned_round_follows_a_zoom() -> None:
    scale = 0.8  # the frame shows things larger, about the middle
    centre = torch.tensor([W, H], dtype=torch.float32)
    cells = (identity_map(2 * H, 2 * W) - centre) * scale + centre
    one = places_of([Correspondence(Frame(2), 1, cells, torch.ones(2 * H, 2 * W))], 2)
    tokens = identity_map(H, W).flatten(0, 1)
    truth = (tokens - centre / 2) / scale + centre / 2 - tokens
    shown = one.shown[0]
    assert float(shown.float().mean()) > 0.3
    assert (one.moved[0] - truth)[shown].abs().max() < 0.35  # tokens; the corners ask one-sidedly


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    folder = tiny.write_z_image(tmp_path_factory.mktemp("z") / "Z-Image-Turbo")
    return load(Model(str(folder)), (), "cpu")


def test_the_networks_are_as_they_were_at_the_end(networks: Networks) -> None:
    denoiser = networks.denoiser
    before = [type(layer.attention.processor) for layer in denoiser.layers]
    with pytest.raises(RuntimeError), joint_cross_frame([denoiser]):
        assert type(denoiser.layers[0].attention.processor) is not before[0]
        raise RuntimeError
    assert [type(layer.attention.processor) for layer in denoiser.layers] == before


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["anchor", "anchor+hidden"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_chunk_and_the_range_change_nothing(
    networks: Networks, tmp_path: Path, attention: str, guidance: float
) -> None:
    sampling = Sampling(seed=3, steps=4, guidance=guidance, scheduler="euler")
    spec = job(tmp_path, 4, sampling=sampling, motion=Motion("map"), coherence=Coherence(attention))
    whole = make(tmp_path, spec, networks, chunk=4)
    for chunk in (1, 3):
        other = make(tmp_path, spec, networks, chunk=chunk)
        assert all(np.abs(other[n].astype(int) - whole[n]).max() <= 1 for n in whole)
    part = make(tmp_path, spec, networks, [4])[4]
    assert np.abs(part.astype(int) - whole[4]).max() <= 1
    assert np.abs(whole[1].astype(int) - whole[4]).max() > 3


def test_a_frame_that_did_not_move_is_its_anchor_if_the_noise_is_the_same(
    networks: Networks, tmp_path: Path
) -> None:
    spec = job(tmp_path, 2, motion=Motion("none"), sampling=Sampling(seed=3, steps=4, guidance=3))
    made = make(tmp_path, spec, networks)
    assert np.abs(made[1].astype(int) - made[2]).max() <= 1


def test_texts_of_other_lengths_travel_into_each_other(networks: Networks, tmp_path: Path) -> None:
    keys = (PromptKey(1, "a ball"), PromptKey(3, "a blue cube that lies far away on the grass"))
    spec = job(tmp_path, 3, sampling=Sampling(seed=3, steps=2, guidance=3.0))
    spec = replace(spec, prompt=Prompt(negative="grey and dull", keys=keys))
    whole = make(tmp_path, spec, networks, chunk=2)
    alone = make(tmp_path, spec, networks, chunk=1)
    assert all(np.abs(whole[n].astype(int) - alone[n]).max() <= 1 for n in whole)
    other = replace(spec, prompt=replace(spec.prompt, keys=keys[:1]))
    still = make(tmp_path, other, networks)
    assert np.abs(whole[3].astype(int) - still[3]).max() > 1


def test_moved_keys_change_frames_that_moved(networks: Networks, tmp_path: Path) -> None:
    pictures = []
    for moves in (True, False):
        tied = Coherence(fusion=0.0, moves_keys=moves)
        spec = job(tmp_path, 4, coherence=tied, sampling=Sampling(seed=3, steps=4, guidance=1))
        pictures.append(make(tmp_path, spec, networks))
    moved, still = pictures
    assert np.array_equal(moved[1], still[1])
    assert np.abs(moved[4].astype(int) - still[4]).max() > 1
