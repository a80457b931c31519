"""`python -m t2vz_core.demo.evaluate FOLDER --scratch DIR`: the figures of the model card, as JSON.

All prompts, scenes and seeds are ones no stage was trained on.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from random import Random

import torch
from diffusers import ControlNetModel, StableDiffusionPipeline
from torch import Tensor

from . import judge, stage, world
from .captions import Description, imagine, plain_caption
from .train.dataset import HELD_OUT, describe, photographs
from .train.depth import controlled
from .train.diffusion import develop, draw, read_words
from .train.loop import save_grid
from .train.text import PROMPTS
from .train.vae import psnr, reconstruct

BATCH = 25
FULL = ("ball", "cube", "cylinder", "cone")  # shapes that cover the middle of their picture


class Model:
    """An exported pipeline, in float32, with what is measured of it."""

    def __init__(self, folder: Path, size: int):
        self.folder, self.size = folder, size
        self.base = StableDiffusionPipeline.from_pretrained(folder / "stable-diffusion", dtype=torch.float32)

    def words(self, texts: list[str]) -> Tensor:
        with torch.no_grad():
            return read_words(self.base.text_encoder, self.base.tokenizer, texts)

    def noise(self, count: int, seed: int) -> Tensor:
        side = self.size // 8
        return torch.randn(count, 4, side, side, generator=torch.Generator().manual_seed(seed))

    def paint(
        self, prompts: list[str], guidance: float, control: tuple[ControlNetModel, Tensor] | None = None
    ) -> Tensor:
        """One picture (3, h, w) in 0..1 for each prompt."""
        pictures = []
        for start in range(0, len(prompts), BATCH):
            texts = prompts[start : start + BATCH]
            predict = lambda *given: self.base.unet(*given).sample  # noqa: E731
            if control:
                shown = control[1][start : start + BATCH]
                predict = controlled(self.base.unet, control[0], shown.repeat(2, 1, 1, 1))
            noise, empty = self.noise(len(texts), seed=1000 + start), self.words([""] * len(texts))
            pictures.append(develop(self.base.vae, draw(predict, noise, self.words(texts), empty, guidance)))
        return torch.cat(pictures)


def draw_prompts(model: Model, path: Path) -> None:
    """A grid of what the training samples' prompts give, on another seed."""
    save_grid(path, model.paint(list(PROMPTS), 7.5))


def single_things(count: int, seed: int) -> list[Description]:
    """Random descriptions of one plain, solid thing, seen level."""
    rng, shown = Random(seed), []
    while len(shown) < count:
        description = imagine(rng)
        thing = description.things[0]
        if (
            len(description.things) == 1
            and description.view == "level"
            and thing.finish == "plain"
            and thing.shape in FULL
        ):
            shown.append(description)
    return shown


def measure_autoencoder(model: Model) -> dict[str, float]:
    """Mean PSNR in dB on held-out scenes."""
    truth = photographs(describe(HELD_OUT, 64), 1, model.size)[0] / 255
    return {
        "psnr_db": float(psnr(torch.cat([reconstruct(model.base.vae, part) for part in truth.split(16)]), truth).mean())
    }


def measure_text(model: Model, count: int, guidance: float) -> dict[str, float]:
    """In how many of `count` pictures the object, the ground and the sky have the named one's mean colour."""
    shown = single_things(count, seed=HELD_OUT)
    return agreement(model.paint([plain_caption(it) for it in shown], guidance), shown)


def measure_depth(model: Model, count: int, grid: Path) -> dict[str, float]:
    """The same where depth leads, and how the object's pixels overlap those whose depth was given."""
    controlnet = ControlNetModel.from_pretrained(model.folder / "controlnet-depth", dtype=torch.float32)
    shown = single_things(count, seed=HELD_OUT + 1)
    view = world.render(*stage.build(shown, Random(HELD_OUT))[:2], model.size)
    near = view.depth.reciprocal()[:, None]
    images = (near / near.amax((1, 2, 3), keepdim=True)).repeat(1, 3, 1, 1)
    with torch.no_grad():
        pictures = model.paint([plain_caption(it) for it in shown], 7.5, (controlnet, images))
    save_grid(grid, torch.cat([images[:8], pictures[:8]]))
    masks = view.part > world.GROUND
    rendered = overlap(view.colour.movedim(-1, 1), shown, masks)
    return {"mask_iou": overlap(pictures, shown, masks), "mask_iou_of_renderings": rendered} | agreement(
        pictures, shown, masks
    )


def measure_renderings(count: int, size: int) -> dict[str, float]:
    """The judge's verdict on the renderer's own pictures: what a perfect model would get."""
    shown = single_things(count, seed=HELD_OUT)
    return agreement(photographs(shown, HELD_OUT, size)[0] / 255, shown)


def agreement(pictures: Tensor, shown: list[Description], masks: Tensor | None = None) -> dict[str, float]:
    """Shares of pictures whose colour (in the mask, else in the middle), ground and sky are the described ones."""
    regions = [judge.middle_of(it) for it in pictures]
    if masks is not None:
        regions = [picture[:, mask] for picture, mask in zip(pictures, masks, strict=True)]
    pairs = list(zip(pictures, regions, shown, strict=True))
    right = {
        "colour": [judge.colour_of(region, it.sky) == it.things[0].colour for _, region, it in pairs],
        "ground": [judge.ground_of(picture, it.sky) == it.ground for picture, _, it in pairs],
        "sky": [judge.sky_of(picture) == it.sky for picture, _, it in pairs],
    }
    return {name: sum(verdicts) / len(verdicts) for name, verdicts in right.items()}


def overlap(pictures: Tensor, shown: list[Description], masks: Tensor) -> float:
    """Mean intersection over union of the objects found and the true masks (n, h, w)."""
    found = torch.stack([judge.object_in(picture, it) for picture, it in zip(pictures, shown, strict=True)])
    return float(((found & masks).sum((1, 2)) / (found | masks).sum((1, 2)).clamp_min(1)).mean())


def measure_speed(model: Model, frames: int = 16, steps: int = 20) -> dict[str, float]:
    """Seconds for a shot of `frames` pictures with guidance, this machine's cores, nothing shared between frames."""
    started = time.monotonic()
    predict = lambda *given: model.base.unet(*given).sample  # noqa: E731
    texts = ["a red ball on grass"] * frames
    latents = draw(predict, model.noise(frames, 0), model.words(texts), model.words([""] * frames), steps=steps)
    develop(model.base.vae, latents)
    return {"seconds": time.monotonic() - started, "threads": torch.get_num_threads()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="t2vz_core.demo.evaluate", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds stable-diffusion, and the other networks beside it")
    parser.add_argument("--scratch", type=Path, required=True, help="where figures and grids are written")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    model = Model(options.folder, options.size)
    tasks = {
        "renderings": partial(measure_renderings, options.count, options.size),
        "autoencoder": partial(measure_autoencoder, model),
        "text, guidance 7.5": partial(measure_text, model, options.count, 7.5),
        "depth": partial(measure_depth, model, options.count // 2, options.scratch / "depth.jpg"),
        "text, guidance 1": partial(measure_text, model, options.count // 2, 1.0),
        "speed": partial(measure_speed, model),
    }
    draw_prompts(model, options.scratch / "text.jpg")
    figures = {}
    for name, task in tasks.items():
        figures[name] = {key: round(value, 3) for key, value in task().items()}
        print(json.dumps({name: figures[name]}), flush=True)
    (options.scratch / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
