"""Stage 6: the evaluation's classifier of shapes, trained on renderings alone."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, cross_entropy, pad

from ..captions import SHAPES
from ..evaluate.eye import FILE, SIDE, Eye, shapes_of
from . import dataset
from .loop import Plan, best_device, train

PLAN = Plan(steps=800, batch=48, rate=2e-3, sample_every=200, averaging=0.99)
MOST_SHIFT = 6
NOISE = 0.04


def run(out: Path, size: int, plan: Plan = PLAN, begin: Path | None = None) -> None:
    """Trains on the pictures of one thing and writes OUT/export/eye.safetensors."""
    device = best_device()
    torch.manual_seed(0)
    shown = dataset.descriptions(out / f"scenes-{size}")
    alone = torch.tensor([row for row, it in enumerate(shown) if len(it.things) == 1])
    pictures = _small(dataset.read(out / f"scenes-{size}", "colour")[alone])
    shapes = torch.tensor([list(SHAPES).index(shown[row].things[0].shape) for row in alone])
    unseen = [it for it in dataset.describe(dataset.HELD_OUT + 2, 128) if len(it.things) == 1]
    tried = dataset.photographs(unseen, dataset.HELD_OUT + 2, size)[0].to(device) / 255

    def loss_of(model: nn.Module, batch: int) -> Tensor:
        rows = torch.randint(len(alone), (batch,))
        return cross_entropy(
            model(_disturbed(pictures[rows]).to(device)).float(), shapes[rows].to(device)
        )

    def sample(model: nn.Module, step: int) -> None:
        right = [
            seen == it.things[0].shape
            for seen, it in zip(shapes_of(model, tried), unseen, strict=True)
        ]
        print(
            f"step {step} right in {sum(right) / len(right):.1%} of {len(right)} held-out pictures",
            flush=True,
        )
        (out / "export").mkdir(exist_ok=True)
        save_file(model.state_dict(), out / "export" / FILE)

    train(Eye().to(device), loss_of, plan, out / "eye.pt", sample)


def _small(pictures: Tensor) -> Tensor:
    """uint8 (n, 3, SIDE, SIDE)."""
    return torch.cat(
        [adaptive_avg_pool2d(part.float(), SIDE).round().byte() for part in pictures.split(512)]
    )


def _disturbed(pictures: Tensor) -> Tensor:
    """In 0..1; mirrored, shifted, blurred and noisy, so that it is the shape that counts and not
    the sharpness."""
    pictures = pictures.float() / 255
    if torch.rand(()) < 0.5:
        pictures = pictures.flip(-1)
    if torch.rand(()) < 0.5:
        pictures = avg_pool2d(pad(pictures, (1,) * 4, mode="replicate"), 3, 1)
    x, y = torch.randint(2 * MOST_SHIFT + 1, (2,)).tolist()
    pictures = pad(pictures, (MOST_SHIFT,) * 4, mode="replicate")[..., y : y + SIDE, x : x + SIDE]
    light = 1 + 0.15 * torch.randn(len(pictures), 3, 1, 1)
    return pictures * light + NOISE * torch.randn_like(pictures)
