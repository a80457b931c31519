"""The text each frame is denoised with."""

from __future__ import annotations

import torch

from t2vz_core.method.guidance import NOTHING, PROMPT
from t2vz_core.method.prompts import Prompts
from t2vz_core.models.text_encoders import Embedding
from t2vz_core.wire.job import Frame, JobSpec, Prompt, PromptKey


class Words:
    """Networks whose embedding of a text is the number that it says, and −1 of no text."""

    def embed(self, texts: list[str], clip_skip: int, syntax: str) -> Embedding:
        return Embedding(torch.tensor([float(text or -1) for text in texts]).view(-1, 1, 1))


def tokens(prompt: Prompt, numbers: list[int], groups: tuple[str, ...] = (PROMPT,)) -> list[float]:
    frames = tuple(Frame(number) for number in range(1, 11))
    chosen = [Frame(number) for number in numbers]
    prompts = Prompts(JobSpec(prompt=prompt, frames=frames), Words())
    return prompts.condition(groups, chosen).tokens.flatten().tolist()


def test_one_prompt_is_embedded_once_for_all_frames_of_a_group() -> None:
    assert tokens(Prompt("3"), [1, 2, 3], (NOTHING, PROMPT)) == [-1, 3]


def test_between_two_keys_the_text_travels_in_a_straight_line() -> None:
    prompt = Prompt(keys=(PromptKey(3, "10"), PromptKey(7, "20")))
    assert tokens(prompt, [1, 3, 4, 5, 7, 9]) == [10, 10, 12.5, 15, 20, 20]


def test_the_prompt_itself_is_the_first_key_where_the_keys_begin_later() -> None:
    assert tokens(Prompt("0", keys=(PromptKey(5, "8"),)), [1, 3, 5, 6]) == [0, 4, 8, 8]


def test_the_negative_prompt_does_not_travel() -> None:
    prompt = Prompt(negative="7", keys=(PromptKey(1, "10"), PromptKey(3, "20")))
    assert tokens(prompt, [1, 2], (NOTHING, PROMPT)) == [7, 7, 10, 15]
