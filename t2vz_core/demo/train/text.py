"""Stage 2: the tokenizer, the text encoder and the UNet; the two networks learn together."""

import json
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ..captions import Description, caption, imagine
from . import dataset, export
from .diffusion import develop, draw, noise_loss, read_words
from .grow import grown_unet
from .loop import RANK, Plan, best_device, once, save_grid, shared_out, train
from .vae import encode

PLAN = Plan(steps=3200, batch=32, rate=1e-3, sample_every=400, averaging=0.998)
DROPPED = 0.1
TOKENS = 32
WIDTH = 128
PROMPTS = (
    "a red ball on grass under a blue sky",
    "a blue cube on snow under a cloudy sky",
    "a yellow cone on sand at sunset",
    "a green torus on a wooden floor",
    "a purple cylinder on water at night",
    "a white ball on asphalt at sunset",
    "an orange mannequin walking on grass under a blue sky",
    "a red mannequin waving on snow",
    "a striped pink ball on sand under a blue sky",
    "a checkered black cube on wood",
    "a metal cyan ball on grass at sunset",
    "a red ball and a blue cube on sand",
    "a close-up of a green cone on snow at night",
    "red ball",
    "a yellow donut",
    "a black figure dancing at sunset on the sea",
)


def write_tokenizer(folder: Path) -> None:
    """CLIP's byte-pair tokenizer, its merges learnt from the captions; any text has tokens, strange
    words several."""
    rng = Random(0)
    backend = CLIPTokenizer().backend_tokenizer
    alphabet = sorted(ByteLevel.alphabet())
    learner = BpeTrainer(
        vocab_size=1200, end_of_word_suffix="</w>", initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator((caption(imagine(rng), rng) for _ in range(20000)), learner)
    merges = [tuple(pair) for pair in json.loads(backend.to_str())["model"]["merges"]]
    words = [
        *alphabet,
        *(letter + "</w>" for letter in alphabet),
        *(left + right for left, right in merges),
    ]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    CLIPTokenizer(vocabulary, merges, model_max_length=TOKENS).save_pretrained(folder)


def networks(tokenizer: CLIPTokenizer, size: int) -> nn.ModuleDict:
    """A small CLIP text encoder and a small UNet of Stable Diffusion's kind, untrained."""
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=size // 8,
        block_out_channels=(64, 128, 192),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=4,  # diffusers' name for the number of heads
        cross_attention_dim=WIDTH,
    )
    return nn.ModuleDict({"unet": unet, "text_encoder": text_encoder})


def run(out: Path, size: int, plan: Plan = PLAN, begin: Path | None = None) -> None:
    """Trains on captions and latents of the rendered pictures, and exports
    OUT/export/stable-diffusion as it goes.

    The networks begin as those of `begin`, an export for pictures of half the side, if there is
    one.
    """
    device = best_device()
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(out / "vae").to(device, memory_format=torch.channels_last)
    tokenizer, model = _grown(begin / "stable-diffusion") if begin else _new(out, size)
    model = model.to(device)
    latents = load_latents(vae, out, size)
    shown, rng = dataset.descriptions(out / f"scenes-{size}"), Random(RANK)
    folder = out / "export" / "stable-diffusion"

    def loss_of(model: nn.ModuleDict, batch: int) -> Tensor:
        rows, mirrored = torch.randint(len(shown), (batch,)), torch.randint(2, (batch,))
        captions = [tell(shown[row], rng) for row in rows]
        words = read_words(model["text_encoder"], tokenizer, captions)
        return noise_loss(
            lambda *given: model["unet"](*given).sample, latents[mirrored, rows].to(device), words
        )

    def sample(model: nn.ModuleDict, step: int) -> None:
        words, empty = (
            read_words(model["text_encoder"], tokenizer, p) for p in (PROMPTS, [""] * len(PROMPTS))
        )
        noise = torch.randn(
            len(PROMPTS), 4, size // 8, size // 8, generator=torch.Generator().manual_seed(0)
        )
        drawn = draw(lambda *given: model["unet"](*given).sample, noise.to(device), words, empty)
        save_grid(out / "samples" / f"text-{step:06d}.png", develop(vae, drawn))
        export.pipeline(folder, tokenizer, vae=vae, **model)

    train(model, loss_of, plan, out / "text.pt", sample)


def _new(out: Path, size: int) -> tuple[CLIPTokenizer, nn.ModuleDict]:
    once(out / "tokenizer", lambda: write_tokenizer(out / "tokenizer"))
    tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer")
    return tokenizer, networks(tokenizer, size)


def _grown(folder: Path) -> tuple[CLIPTokenizer, nn.ModuleDict]:
    """What a pipeline for pictures of half the side has learnt, with one level more."""
    base = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    model = nn.ModuleDict(
        {"unet": grown_unet(base.unet), "text_encoder": base.text_encoder}
    ).requires_grad_(True)
    return base.tokenizer, model


def tell(description: Description, rng: Random) -> str:
    """A caption, or now and then none, which teaches guidance what is plain."""
    return "" if rng.random() < DROPPED else caption(description, rng)


def load_latents(vae: AutoencoderKL, out: Path, size: int) -> Tensor:
    """Scaled latents (2, n, 4, h, w) of all pictures, as they are and mirrored; each shard encoded
    once."""
    scenes = out / f"scenes-{size}"
    files = [out / f"latents-{size}" / f"{shard.stem}.pt" for shard in dataset.shard_paths(scenes)]

    def make(file: Path) -> None:
        colours = np.load(scenes / f"{file.stem[-4:]}.npz")["colour"]
        torch.save(both_ways(vae, torch.from_numpy(colours)).half(), file)

    shared_out(files, make)
    return torch.cat([torch.load(file).float() for file in files], 1)


def both_ways(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """Scaled latents (2, n, 4, h/8, w/8) of uint8 pictures (n, 3, h, w), as they are and
    mirrored."""
    latents = torch.stack([encode(vae, pictures), encode(vae, pictures.flip(-1))])
    return (latents * vae.config.scaling_factor).cpu()
