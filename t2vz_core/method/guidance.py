"""Which predictions a step asks the networks for, and with what weights they add up.

Classifier-free guidance, ε = ε_∅ + w(ε_c − ε_∅): Ho & Salimans, https://arxiv.org/abs/2207.12598.
Only within an interval of the steps: Kynkäänniemi et al., https://arxiv.org/abs/2404.07724. With a
source picture, ε = ε_∅ + w_T(ε_TI − ε_I) + w_I(ε_I − ε_∅): Brooks et al.,
https://arxiv.org/abs/2211.09800.
"""

from __future__ import annotations

from ..wire.job import Sampling

PROMPT, IMAGE, NOTHING = "prompt", "image", "nothing"


def group_weights(sampling: Sampling, step: int, steps: int, is_instruct: bool) -> dict[str, float]:
    """The weight of each guidance group at a step; they sum to 1, and no group of weight 0 is among
    them.

    Groups: `PROMPT` sees the prompt (and the source picture), `IMAGE` the negative prompt and the
    source picture, `NOTHING` the negative prompt alone.
    """
    is_on = sampling.guidance_from * steps <= step < sampling.guidance_to * steps
    w = sampling.guidance if is_on and sampling.guidance > 1 else 1.0
    if not is_instruct:
        weights = {NOTHING: 1 - w, PROMPT: w}
    else:
        w_image = sampling.image_guidance if is_on else 1.0
        weights = {PROMPT: w, IMAGE: w_image - w, NOTHING: 1 - w_image}
    return {group: weight for group, weight in weights.items() if weight}
