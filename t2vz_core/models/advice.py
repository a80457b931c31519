"""What a job asks of a model that it was not made for; the job goes on all the same."""

from __future__ import annotations

from collections.abc import Iterator

from ..wire.job import JobSpec
from ..wire.model_facts import ModelFacts

HIGHEST_GUIDANCE = 3.0  # of distilled models; above it their colours burn
MOST_STEPS = 2.5  # times what a distilled model was made for
FEWEST_PIXELS, MOST_PIXELS = 0.5, 2.0  # of the area that the model was trained on


def advice(spec: JobSpec, facts: ModelFacts) -> Iterator[str]:
    """Sentences for the artist."""
    asked, suits = spec.sampling, facts.suggested
    is_harsh = asked.guidance > max(HIGHEST_GUIDANCE, suits.guidance * 2)
    if facts.is_distilled and (is_harsh or asked.steps > MOST_STEPS * suits.steps):
        yield (
            f"By its name {spec.model.base}, or its LoRA, was made for {suits.steps} steps and "
            f"guidance {suits.guidance:g}: {asked.steps} steps and guidance "
            f"{asked.guidance:g} make "
            "its pictures harsh."
        )
    side_px = facts.native_side_px
    part = spec.shot.width_px * spec.shot.height_px / side_px**2
    if not FEWEST_PIXELS <= part <= MOST_PIXELS:
        fault = "blurs or breaks its pictures" if part < 1 else "repeats things in its pictures"
        yield (
            f"{spec.model.base} was trained on squares of {side_px} px: a size of "
            f"{spec.shot.width_px} × {spec.shot.height_px} px {fault}."
        )
