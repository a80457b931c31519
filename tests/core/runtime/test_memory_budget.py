"""Work that is made smaller until it fits."""

from __future__ import annotations

import pytest
import torch

from t2vz_core.fault import Fault
from t2vz_core.runtime.memory_budget import MemoryBudget, is_out_of_memory
from t2vz_core.runtime.token_cache import DEVICE, ONE_STEP, TokenCache


def room(chunk: int, reliefs: list, notes: list[str]) -> MemoryBudget:
    return MemoryBudget(torch.device("cpu"), chunk, 64 * 64, notes.append, reliefs)


def test_a_chunk_that_does_not_fit_is_halved_and_nothing_is_lost() -> None:
    notes: list[str] = []

    def work(items: list[int]) -> list[int]:
        if len(items) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [10 * item for item in items]

    made = list(room(8, [], notes).chunked([1, 2, 3, 4, 5], work))
    assert made == [([1, 2], [10, 20]), ([3, 4], [30, 40]), ([5], [50])]
    assert notes == [
        "Memory ran out: going on with 4 frames at a time.",
        "Memory ran out: going on with 2 frames at a time.",
    ]


def test_where_memory_cannot_be_measured_larger_pictures_make_smaller_chunks() -> None:
    def largest(side_px: int) -> int:
        room = MemoryBudget(torch.device("cpu"), 0, (side_px // 8) ** 2, print, [])
        return max(len(items) for items, _ in room.chunked(range(40), len))

    assert [largest(side_px) for side_px in (128, 512, 2048)] == [8, 4, 1]


@pytest.mark.slow
def test_when_one_frame_is_too_much_comforts_are_given_up_in_turn() -> None:
    given: list[str] = []
    reliefs = [
        ("nothing to give", lambda: False),
        ("slower", lambda: given.append("slower")),
        ("slowest", lambda: given.append("slowest")),
    ]

    def work() -> str:
        if given != ["slower", "slowest"]:
            raise MemoryError
        return "made"

    notes: list[str] = []
    assert room(1, reliefs, notes).attempt(work) == "made"
    assert notes == ["Memory ran out: slower.", "Memory ran out: slowest."]


def test_when_nothing_helps_a_sentence_says_what_to_lower() -> None:
    def work() -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(Fault, match="lower the picture size"):
        room(1, [], []).attempt(work)


def test_other_errors_are_not_taken_for_want_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("shapes do not match"))

    def work(items: list[int]) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(room(4, [], []).chunked([1, 2], work))


def tokens(megabytes: int) -> torch.Tensor:
    return torch.empty(megabytes << 20, dtype=torch.uint8)


def test_what_fits_is_kept_for_every_step() -> None:
    memory = TokenCache(steps=3)
    for step in range(3):
        with memory.keeping(step):
            memory.put(step, "layer", tokens(1))
    assert memory.store == DEVICE and all(memory.has(step) for step in range(3))


def test_what_does_not_fit_is_kept_for_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("t2vz_core.runtime.token_cache.free_bytes", lambda device: 4 << 20)
    memory = TokenCache(steps=3)
    for step in range(3):
        with memory.keeping(step):
            memory.put(step, "layer", tokens(1))
    assert memory.store == ONE_STEP and [memory.has(step) for step in range(3)] == [
        False,
        False,
        True,
    ]


def test_of_a_step_that_failed_nothing_is_kept() -> None:
    memory = TokenCache(steps=3)
    with pytest.raises(RuntimeError), memory.keeping(0):
        memory.put(0, "layer", tokens(1))
        raise RuntimeError("out of memory")
    assert not memory.has(0)


def test_memory_given_up_in_mid_job_holds_one_step_from_then_on() -> None:
    memory = TokenCache(steps=3)
    with memory.keeping(0):
        memory.put(0, "layer", tokens(1))
    assert memory.shrink() and not memory.has(0)
    assert not memory.shrink()
