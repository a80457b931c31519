"""The exported networks as the evaluation asks them, and the held-out things it asks for."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from diffusers import ControlNetModel, StableDiffusionPipeline
from torch import Tensor

from ..captions import Description, imagine
from ..train.diffusion import develop, draw, read_words
from ..train.lead import controlled

BATCH = 25
GUIDANCE = 7.5
FULL = ("ball", "cube", "cylinder", "cone")  # shapes that cover the middle of their picture


class Model:
    """An exported pipeline and the networks beside it, in float32."""

    def __init__(self, folder: Path, size: int):
        self.folder, self.size = folder, size
        self.base = StableDiffusionPipeline.from_pretrained(
            folder / "stable-diffusion", dtype=torch.float32
        )

    def controlnet(self, kind: str) -> ControlNetModel:
        return ControlNetModel.from_pretrained(
            self.folder / f"controlnet-{kind}", dtype=torch.float32
        )

    def words(self, texts: Sequence[str]) -> Tensor:
        with torch.no_grad():
            return read_words(self.base.text_encoder, self.base.tokenizer, texts)

    def noise(self, count: int, seed: int) -> Tensor:
        side = self.size // 8
        return torch.randn(count, 4, side, side, generator=torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def paint(
        self,
        prompts: Sequence[str],
        guidance: float = GUIDANCE,
        lead: tuple[ControlNetModel, Tensor] | None = None,
        steps: int = 25,
    ) -> Tensor:
        """One picture (3, h, w) in 0..1 for each prompt, led by a ControlNet and its conditions if
        there are any."""
        pictures = []
        for start in range(0, len(prompts), BATCH):
            texts = prompts[start : start + BATCH]
            leads = [(lead[0], lead[1][start : start + BATCH].repeat(2, 1, 1, 1))] if lead else []
            noise, empty = self.noise(len(texts), seed=1000 + start), self.words([""] * len(texts))
            predict = controlled(self.base.unet, leads)
            pictures.append(
                develop(
                    self.base.vae, draw(predict, noise, self.words(texts), empty, guidance, steps)
                )
            )
        return torch.cat(pictures)


def single_things(count: int, seed: int, shapes: Sequence[str]) -> list[Description]:
    """Random descriptions of one plain thing of these shapes, seen level."""
    rng, shown = Random(seed), []
    while len(shown) < count:
        description = imagine(rng)
        thing = description.things[0]
        is_alone = len(description.things) == 1 and description.view == "level"
        if is_alone and thing.finish == "plain" and thing.shape in shapes:
            shown.append(description)
    return shown


def pairs_of_things(count: int, seed: int) -> list[Description]:
    """Random descriptions of two plain solids of different colours, seen level."""
    rng, shown = Random(seed), []
    while len(shown) < count:
        description = imagine(rng)
        colours = {thing.colour for thing in description.things}
        is_plain = all(thing.finish == "plain" for thing in description.things)
        if len(colours) == 2 and is_plain and description.view == "level":
            shown.append(description)
    return shown
