"""`python -m t2vz_core.demo.evaluate FOLDER --scratch DIR`: the figures of the model card, as JSON.

All prompts, scenes and seeds are ones no stage was trained on. A figure that is there already is
not measured again.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ..train.dataset import HELD_OUT, describe, photographs
from ..train.diffusion import develop, draw
from ..train.loop import save_grid
from ..train.text import PROMPTS
from ..train.vae import psnr, reconstruct
from . import edits, leads, shots, words
from .eye import open_eye
from .model import GUIDANCE, Model

Figures = dict[str, float]


def measure_autoencoder(model: Model) -> Figures:
    """Mean PSNR in dB on held-out scenes."""
    truth = photographs(describe(HELD_OUT, 64), 1, model.size)[0] / 255
    seen = torch.cat([reconstruct(model.base.vae, part) for part in truth.split(16)])
    return {"psnr_db": float(psnr(seen, truth).mean())}


def measure_speed(model: Model, frames: int = 16, steps: int = 20) -> Figures:
    """Seconds for a shot of `frames` pictures with guidance, this machine's cores, nothing shared
    between frames."""
    started = time.monotonic()
    predict = lambda *given: model.base.unet(*given).sample  # noqa: E731
    texts = ["a red ball on grass"] * frames
    latents = draw(
        predict, model.noise(frames, 0), model.words(texts), model.words([""] * frames), steps=steps
    )
    develop(model.base.vae, latents)
    return {"seconds": time.monotonic() - started, "threads": torch.get_num_threads()}


def tasks_of(options: argparse.Namespace) -> dict[str, Callable[[], Figures]]:
    """Each measure by its name, the quick ones first."""
    model, eye = Model(options.folder, options.size), open_eye(options.eye or options.folder)
    scratch, count, some = options.scratch, options.count, options.count // 2
    tasks = {
        "autoencoder": partial(measure_autoencoder, model),
        "renderings": partial(words.measure_renderings, eye, count, options.size),
        "speed": partial(measure_speed, model),
        "words": partial(words.measure_words, model, eye, count, GUIDANCE, scratch / "words.jpg"),
        "words, guidance 1": partial(
            words.measure_words, model, eye, some, 1.0, scratch / "words-1.jpg"
        ),
        "pairs": partial(words.measure_pairs, model, some, scratch / "pairs.jpg"),
        "depth": partial(leads.measure_depth, model, eye, some, scratch / "depth.jpg"),
        "pose": partial(leads.measure_pose, model, some, scratch / "pose.jpg"),
        "edits": partial(edits.measure_edits, model, some, GUIDANCE, scratch / "edits.jpg"),
    }
    if options.shots:
        tasks["depth from Blender"] = partial(
            shots.measure_shots, options.folder, eye, options.shots, scratch
        )
    return tasks


def main() -> None:
    parser = argparse.ArgumentParser(prog="t2vz_core.demo.evaluate", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="holds stable-diffusion, and the other networks beside it"
    )
    parser.add_argument(
        "--scratch", type=Path, required=True, help="where figures and grids are written"
    )
    parser.add_argument(
        "--eye", type=Path, help="the folder of the eye's weights, if not the networks'"
    )
    parser.add_argument(
        "--shots", type=Path, help="jobs captured in Blender by tests/benchmarks/demo_scenes.py"
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument(
        "--count", type=int, default=200, help="prompts asked; of all else half as many"
    )
    parser.add_argument("--only", nargs="*", help="measures by name")
    options = parser.parse_args()
    file = options.scratch / "figures.json"
    figures = json.loads(file.read_text("utf-8")) if file.exists() else {}
    for name, measure in tasks_of(options).items():
        if name not in figures and name in (options.only or (name,)):
            figures[name] = {key: round(value, 3) for key, value in measure().items()}
            print(json.dumps({name: figures[name]}), flush=True)
            options.scratch.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(figures, indent=2) + "\n")
    save_grid(options.scratch / "prompts.jpg", Model(options.folder, options.size).paint(PROMPTS))


if __name__ == "__main__":
    main()
