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
from diffusers import ControlNetModel, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from . import eye as eyes
from . import stage, world
from .captions import Description, imagine, plain_caption
from .eye import HEADS, SIDE, Eye, look
from .train.dataset import HELD_OUT, describe, photographs
from .train.depth import controlled
from .train.diffusion import develop, draw, read_words
from .train.instruct import edit, instruct
from .train.loop import save_grid
from .train.text import PROMPTS
from .train.vae import encode, psnr, reconstruct

BATCH = 25


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
    """Random descriptions of one thing, seen level."""
    rng, shown = Random(seed), []
    while len(shown) < count:
        description = imagine(rng)
        if len(description.things) == 1 and description.view == "level":
            shown.append(description)
    return shown


def measure_autoencoder(model: Model) -> dict[str, float]:
    """Mean PSNR in dB on held-out scenes."""
    truth = photographs(describe(HELD_OUT, 64), 1, model.size)[0] / 255
    return {
        "psnr_db": float(psnr(torch.cat([reconstruct(model.base.vae, part) for part in truth.split(16)]), truth).mean())
    }


def measure_eye(eye: Eye) -> dict[str, float]:
    """The judge itself, on renderings it was not taught with: the ceiling of the other figures."""
    pictures, masks, known = eyes.lessons(256, seed=HELD_OUT)
    said, where = look(eye, pictures)
    return _agreement(said, known) | {"mask_iou": float(_iou(where, masks).mean())}


def measure_text(model: Model, eye: Eye, count: int, guidance: float) -> dict[str, float]:
    """In how many of `count` pictures the eye sees the named colour, finish, shape, ground and sky."""
    shown = single_things(count, seed=HELD_OUT)
    pictures = model.paint([plain_caption(it) for it in shown], guidance)
    return _agreement(look(eye, pictures)[0], eyes.labels(shown))


def measure_depth(model: Model, eye: Eye, count: int, grid: Path) -> dict[str, float]:
    """Overlap of the object that the eye finds with the object whose depth was given."""
    controlnet = ControlNetModel.from_pretrained(model.folder / "controlnet-depth", dtype=torch.float32)
    shown, rng = single_things(count, seed=HELD_OUT + 1), Random(HELD_OUT)
    scene, camera, _ = stage.build(shown, rng)
    view, small = world.render(scene, camera, model.size), world.render(scene, camera, SIDE)
    near = view.depth.reciprocal()[:, None]
    images = (near / near.amax((1, 2, 3), keepdim=True)).repeat(1, 3, 1, 1)
    with torch.no_grad():
        pictures = model.paint([plain_caption(it) for it in shown], 7.5, (controlnet, images))
    save_grid(grid, torch.cat([images[:8], pictures[:8]]))
    said, where = look(eye, pictures)
    overlap = _iou(where, small.part > world.GROUND)
    return {"mask_iou": float(overlap.mean()), "mask_iou_median": float(overlap.median())} | _agreement(
        said, eyes.labels(shown)
    )


def measure_instruct(model: Model, eye: Eye, count: int) -> dict[str, float]:
    """How often the asked attribute is seen afterwards, and how well the rest of the picture is kept."""
    unet = UNet2DConditionModel.from_pretrained(model.folder / "instruct-pix2pix" / "unet", dtype=torch.float32)
    rng, before = Random(HELD_OUT), single_things(count, seed=HELD_OUT + 2)
    asked, after = zip(*(instruct(it, rng) for it in before), strict=True)
    sources = photographs(before, HELD_OUT, model.size)[0]
    edited = []
    for start in range(0, count, BATCH):
        rows = slice(start, start + BATCH)
        source = encode(model.base.vae, sources[rows])
        words, empty = model.words(list(asked[rows])), model.words([""] * len(source))
        edited.append(develop(model.base.vae, edit(unet, model.noise(len(source), start), source, words, empty)))
    pictures, truth = torch.cat(edited), sources / 255
    said, wanted, had = look(eye, pictures)[0], eyes.labels(list(after)), eyes.labels(before)
    changed = torch.stack([wanted[name] != had[name] for name in HEADS])
    right = torch.stack([said[name] == wanted[name] for name in HEADS])
    scene, camera, _ = stage.build(before, Random(HELD_OUT))
    background = adaptive_avg_pool2d(
        (world.render(scene, camera, model.size).part <= world.GROUND)[:, None].float(), model.size
    )
    of_object = changed[:3].any(0)
    error = ((pictures - truth).square() * background).sum((1, 2, 3)) / (3 * background.sum((1, 2, 3)))
    return {
        "asked_change_seen": float((right & changed).sum() / changed.sum()),
        "background_psnr_db_of_object_edits": float((-10 * error[of_object].log10()).mean()),
    }


def measure_speed(model: Model, frames: int = 16, steps: int = 20) -> dict[str, float]:
    """Seconds for a shot of `frames` pictures with guidance, this machine's cores, nothing shared between frames."""
    started = time.monotonic()
    predict = lambda *given: model.base.unet(*given).sample  # noqa: E731
    texts = ["a red ball on grass"] * frames
    latents = draw(predict, model.noise(frames, 0), model.words(texts), model.words([""] * frames), steps=steps)
    develop(model.base.vae, latents)
    return {"seconds": time.monotonic() - started, "threads": torch.get_num_threads()}


def _agreement(said: dict[str, Tensor], known: dict[str, Tensor]) -> dict[str, float]:
    return {name: float((said[name] == known[name]).float().mean()) for name in known}


def _iou(a: Tensor, b: Tensor) -> Tensor:
    return (a & b).sum((1, 2)) / (a | b).sum((1, 2)).clamp_min(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="t2vz_core.demo.evaluate", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds stable-diffusion, and the other networks beside it")
    parser.add_argument("--scratch", type=Path, required=True, help="where the judge is kept and grids are written")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    eye, model = eyes.opened(options.scratch / "eye.pt"), Model(options.folder, options.size)
    tasks = {
        "judge": partial(measure_eye, eye),
        "autoencoder": partial(measure_autoencoder, model),
        "text, guidance 7.5": partial(measure_text, model, eye, options.count, 7.5),
        "text, guidance 1": partial(measure_text, model, eye, options.count // 2, 1.0),
        "speed": partial(measure_speed, model),
    }
    if (options.folder / "controlnet-depth").exists():
        tasks["depth"] = partial(measure_depth, model, eye, options.count // 2, options.scratch / "depth.jpg")
    if (options.folder / "instruct-pix2pix").exists():
        tasks["instruct"] = partial(measure_instruct, model, eye, options.count // 2)
    draw_prompts(model, options.scratch / "text.jpg")
    figures = {}
    for name, task in tasks.items():
        figures[name] = {key: round(value, 3) for key, value in task().items()}
        print(json.dumps({name: figures[name]}), flush=True)
    (options.scratch / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
