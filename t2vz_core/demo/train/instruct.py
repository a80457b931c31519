"""Stage 4: InstructPix2Pix, a UNet of eight input channels that changes what a sentence asks and
keeps the rest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import torch
from diffusers import (
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import Tensor, nn

from ..captions import COLOURS, FINISHES, GROUNDS, SHAPES, SKIES, Description
from . import dataset, export
from .diffusion import develop, noise_loss, read_words, schedule
from .grow import grown_unet, with_top
from .loop import Plan, best_device, once, save_grid, train
from .text import both_ways, load_latents
from .vae import encode

PLAN = Plan(steps=800, batch=32, rate=5e-4, sample_every=200, averaging=0.99)
PAIRS = 2  # shards of pictures that are changed, if there are as many
DROPPED = 0.075
HELD_OUT = dataset.HELD_OUT + 1
TRIED = 16
SKY_WORDS = {
    "blue": ("make it a sunny day", "make the sky blue"),
    "cloudy": ("make it cloudy", "make the sky cloudy"),
    "sunset": ("make it sunset", "turn it into a sunset"),
    "night": ("make it night", "turn it into night"),
}


def instruct(description: Description, rng: Random) -> tuple[str, Description]:
    """A sentence that asks for one change, and what the picture shows afterwards."""
    kind = rng.choices(("colour", "finish", "ground", "sky"), (4, 2, 3, 3))[0]
    thing = description.things[0]
    name = rng.choice(SHAPES[thing.shape])
    if kind == "ground":
        ground = _another(GROUNDS, description.ground, rng)
        asked = rng.choice(("turn the ground into {}", "put it on {}", "make the ground {}"))
        return asked.format(ground), replace(description, ground=ground)
    if kind == "sky":
        sky = _another(SKIES, description.sky, rng)
        return rng.choice(SKY_WORDS[sky]), replace(description, sky=sky)
    if kind == "finish":
        finish = _another(FINISHES, thing.finish, rng)
        changed, asked = (
            replace(thing, finish=finish),
            f"make the {name} {rng.choice(FINISHES[finish]) or 'plain'}",
        )
    else:
        colour = _another(COLOURS, thing.colour, rng)
        changed = replace(thing, colour=colour)
        asked = rng.choice(("make the {} {}", "turn the {} {}", "paint the {} {}")).format(
            name, colour
        )
    return asked, replace(description, things=(changed, *description.things[1:]))


def _another(table: dict, taken: str, rng: Random) -> str:
    return rng.choice([key for key in table if key != taken])


def instructions(before: Sequence[Description], seed: int) -> tuple[list[str], list[Description]]:
    """A sentence for each picture, and what it asks for."""
    rng = Random(seed)
    asked, after = zip(*(instruct(description, rng) for description in before), strict=True)
    return list(asked), list(after)


def run(out: Path, size: int, plan: Plan = PLAN, begin: Path | None = None) -> None:
    """Continues from the text-to-image networks and exports OUT/export/instruct-pix2pix as it
    goes."""
    device = best_device()
    torch.manual_seed(0)
    base = StableDiffusionPipeline.from_pretrained(
        out / "export" / "stable-diffusion", dtype=torch.float32
    ).to(device)
    model = _begun(base, begin / "instruct-pix2pix" if begin else None).to(device)
    model.requires_grad_(True)
    asked, sources, targets = _load_pairs(base.vae, out, size)
    before = dataset.describe(HELD_OUT, TRIED)
    tried, seen = instructions(before, HELD_OUT)[0], dataset.photographs(before, HELD_OUT, size)[0]
    seen_latents = encode(base.vae, seen).to(device)

    def loss_of(model: nn.ModuleDict, batch: int) -> Tensor:
        rows, mirrored = torch.randint(len(asked), (batch,)), torch.randint(2, (batch,))
        keep = (torch.rand(2, batch) > DROPPED).float()
        sentences = [asked[row] if kept else "" for row, kept in zip(rows, keep[0], strict=True)]
        words = read_words(model["text_encoder"], base.tokenizer, sentences)
        source = (sources[mirrored, rows] * keep[1, :, None, None, None]).to(device)

        def predict(latents: Tensor, times: Tensor, words: Tensor) -> Tensor:
            return model["unet"](torch.cat([latents, source], 1), times, words).sample

        return noise_loss(predict, targets[mirrored, rows].to(device), words)

    def sample(model: nn.ModuleDict, step: int) -> None:
        folder = out / "export" / "instruct-pix2pix"
        export.pipeline(
            folder, base.tokenizer, StableDiffusionInstructPix2PixPipeline, vae=base.vae, **model
        )
        words, empty = (
            read_words(model["text_encoder"], base.tokenizer, texts)
            for texts in (tried, [""] * TRIED)
        )
        noise = torch.randn(seen_latents.shape, generator=torch.Generator().manual_seed(0)).to(
            device
        )
        pictures = develop(base.vae, edit(model["unet"], noise, seen_latents, words, empty))
        save_grid(
            out / "samples" / f"instruct-{step:06d}.png", torch.cat([seen / 255, pictures.cpu()])
        )
        print(f"step {step}: {tried}", flush=True)

    train(model, loss_of, plan, out / "instruct.pt", sample)


def _begun(base: StableDiffusionPipeline, small: Path | None) -> nn.ModuleDict:
    """The text-to-image networks, or those of half the side that know what instructions are, with
    the top level that the former have learnt."""
    if not small or not small.exists():
        return nn.ModuleDict({"unet": widened(base.unet), "text_encoder": base.text_encoder})
    known = StableDiffusionInstructPix2PixPipeline.from_pretrained(small, dtype=torch.float32)
    unet = with_top(grown_unet(known.unet), base.unet)
    return nn.ModuleDict({"unet": unet, "text_encoder": known.text_encoder})


def widened(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """The same UNet with four more input channels, for the source, that count for nothing yet."""
    wide = UNet2DConditionModel.from_config(unet.config, in_channels=8)
    weights = unet.state_dict()
    narrow = weights["conv_in.weight"]
    weights["conv_in.weight"] = torch.cat([narrow, torch.zeros_like(narrow)], 1)
    wide.load_state_dict(weights)
    return wide


@torch.no_grad()
def edit(
    unet: nn.Module,
    noise: Tensor,
    source: Tensor,
    words: Tensor,
    empty: Tensor,
    text: float = 7.5,
    image: float = 1.5,
) -> Tensor:
    """Scaled latents by DDIM with guidance of both kinds (Brooks et al. 2023); `source` is
    unscaled."""
    scheduler = schedule()
    scheduler.set_timesteps(25, device=noise.device)
    latents, told = noise, torch.cat([words, empty, empty])
    shown = torch.cat([source, source, torch.zeros_like(source)])
    for time in scheduler.timesteps:
        given = torch.cat([torch.cat([latents] * 3), shown], 1)
        with torch.autocast(noise.device.type, torch.bfloat16):
            both, seen, neither = unet(given, time, told).sample.float().chunk(3)
        guided = neither + image * (seen - neither) + text * (both - seen)
        latents = scheduler.step(guided, time, latents).prev_sample
    return latents


def _load_pairs(vae: nn.Module, out: Path, size: int) -> tuple[list[str], Tensor, Tensor]:
    """Sentences, unscaled source and scaled target latents, both (2, n, 4, h, w): as they are, and
    mirrored.

    The sources are the first training pictures; what is asked of them is rendered once, with their
    cameras and poses.
    """
    cache = out / f"pairs-{size}.pt"

    def make() -> None:
        shards = [int(path.stem) for path in dataset.shard_paths(out / f"scenes-{size}")[:PAIRS]]
        pairs = [instructions(dataset.describe(shard), shard) for shard in shards]
        asked = [sentence for sentences, _ in pairs for sentence in sentences]
        after = [
            dataset.photographs(pairs[i][1], shard, size, best_device())[0]
            for i, shard in enumerate(shards)
        ]
        torch.save((asked, both_ways(vae, torch.cat(after))), cache)

    once(cache, make)
    asked, targets = torch.load(cache)
    sources = load_latents(vae, out, size)[:, : len(asked)]
    return asked, sources / vae.config.scaling_factor, targets
