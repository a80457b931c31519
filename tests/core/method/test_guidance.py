"""What a step asks for, and how the answers add up."""

import pytest

from t2vz_core.method.guidance import IMAGE, NOTHING, PROMPT, group_weights
from t2vz_core.wire.job import Sampling


def test_guidance_leads_from_nothing_to_the_prompt() -> None:
    assert group_weights(Sampling(guidance=7.5), 0, 10, False) == {NOTHING: -6.5, PROMPT: 7.5}


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0])
def test_without_guidance_only_the_prompt_is_asked(guidance: float) -> None:
    assert group_weights(Sampling(guidance=guidance), 0, 10, False) == {PROMPT: 1.0}


def test_guidance_holds_within_its_interval_only() -> None:
    sampling = Sampling(guidance_from=0.2, guidance_to=0.6)
    guided = [NOTHING in group_weights(sampling, i, 10, False) for i in range(10)]
    assert guided == [False, False, True, True, True, True, False, False, False, False]


def test_an_edit_is_guided_by_text_and_picture() -> None:
    weights = group_weights(Sampling(guidance=7.5, image_guidance=1.5), 0, 10, True)
    assert weights == {PROMPT: 7.5, IMAGE: -6.0, NOTHING: -0.5}


@pytest.mark.parametrize("image_guidance", [0.0, 0.5, 1.0, 1.5, 7.5])
def test_the_weights_of_an_edit_sum_to_one_however_weak_its_picture(image_guidance: float) -> None:
    weights = group_weights(Sampling(image_guidance=image_guidance), 0, 10, True)
    assert sum(weights.values()) == pytest.approx(1.0) and all(weights.values())
