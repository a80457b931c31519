"""Stage 5: a LoRA that draws everything as a flat cartoon with black outlines."""

from pathlib import Path
from random import Random

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

from .. import stage, world
from . import dataset
from .diffusion import develop, draw, noise_loss, read_words
from .grow import grown_lora
from .loop import RANK, Plan, best_device, once, save_grid, train
from .text import PROMPTS, tell
from .vae import encode

PLAN = Plan(
    steps=200, batch=16, rate=4e-3, report_every=20, sample_every=100, averaging=0.97, warmup=20
)
SHARD = 200
FILE = "cartoon.safetensors"
STRONGER = 1.5
COUNT = 512
SHADES = 4
RANK_OF_CHANGE = 8
CHANGED = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2", "proj_in", "proj_out"]


def cartoon(view: world.View) -> Tensor:
    """A view at twice the size as a smooth-edged flat drawing (b, 3, h/2, w/2): few shades, black
    outlines."""
    colour = view.colour.movedim(-1, 1)
    flat = (avg_pool2d(colour, 5, 1, 2) * SHADES).round() / SHADES
    part = view.part[:, None].float()
    inked = (max_pool2d(part, 5, 1, 2) != -max_pool2d(-part, 5, 1, 2)) & (
        max_pool2d(part, 5, 1, 2) > world.GROUND
    )
    return avg_pool2d(flat * ~inked, 2)


def drawings(size: int, device: str) -> Tensor:
    """uint8 cartoons (COUNT, 3, size, size) of the shard's descriptions."""
    scene, camera, _ = stage.build(dataset.describe(SHARD, COUNT), Random(SHARD))
    scene, camera = world.place_on(scene, device), world.place_on(camera, device)
    rows = [slice(start, start + 8) for start in range(0, COUNT, 8)]
    views = (
        world.render(world.pick(scene, row), world.pick(camera, row), 2 * size) for row in rows
    )
    return torch.cat([(cartoon(view) * 255).round().byte().cpu() for view in views])


def run(out: Path, size: int, plan: Plan = PLAN, begin: Path | None = None) -> None:
    """Trains low-rank changes of the UNet and writes OUT/export/style/cartoon.safetensors.

    Those of `begin`, an export for half the side, hold on the grown UNet as they are: only moved.
    """
    if begin and (begin / "style" / FILE).exists():
        return _move(begin / "style" / FILE, out / "export" / "style" / FILE)
    device = best_device()
    torch.manual_seed(0)
    base = StableDiffusionPipeline.from_pretrained(
        out / "export" / "stable-diffusion", dtype=torch.float32
    ).to(device)
    base.unet.requires_grad_(False)
    base.unet.add_adapter(
        LoraConfig(r=RANK_OF_CHANGE, lora_alpha=RANK_OF_CHANGE, target_modules=CHANGED)
    )
    once(out / "cartoons.pt", lambda: torch.save(drawings(size, device), out / "cartoons.pt"))
    latents = encode(base.vae, torch.load(out / "cartoons.pt")) * base.vae.config.scaling_factor
    shown, rng = dataset.describe(SHARD, COUNT), Random(RANK)

    def words_of(texts: list[str]) -> Tensor:
        with torch.no_grad():
            return read_words(base.text_encoder, base.tokenizer, texts)

    def loss_of(model: nn.Module, batch: int) -> Tensor:
        rows = torch.randint(COUNT, (batch,))
        words = words_of([tell(shown[row], rng) for row in rows])
        return noise_loss(lambda *given: model(*given).sample, latents[rows], words)

    def sample(model: nn.Module, step: int) -> None:
        noise = torch.randn(
            16, 4, size // 8, size // 8, generator=torch.Generator().manual_seed(0)
        ).to(device)
        drawn = draw(
            lambda *given: model(*given).sample, noise, words_of(list(PROMPTS)), words_of([""] * 16)
        )
        save_grid(out / "samples" / f"style-{step:06d}.png", develop(base.vae, drawn))
        lora = convert_state_dict_to_diffusers(get_peft_model_state_dict(model))
        StableDiffusionPipeline.save_lora_weights(
            out / "export" / "style",
            {name: weight.half() for name, weight in lora.items()},
            weight_name=FILE,
        )

    train(base.unet, loss_of, plan, out / "style.pt", sample)


def _move(small: Path, grown: Path) -> None:
    """The LoRA for the grown UNet, stronger: it does not change the new level."""
    grown.parent.mkdir(parents=True, exist_ok=True)
    moved = grown_lora(load_file(small))
    save_file({k: w * STRONGER if "lora_B" in k else w for k, w in moved.items()}, grown)
