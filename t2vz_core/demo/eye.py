"""A small network, trained on the renderer's own pictures, that tells what a picture shows and where.

It judges the demo model: a picture is right when the eye sees in it what the caption asked for.
"""

from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    adaptive_avg_pool2d,
    binary_cross_entropy_with_logits,
    cross_entropy,
    interpolate,
)

from . import stage, world
from .captions import COLOURS, FINISHES, GROUNDS, SHAPES, SKIES, Description, imagine

SIDE = 64
HEADS = {"colour": COLOURS, "finish": FINISHES, "shape": SHAPES, "ground": GROUNDS, "sky": SKIES}


class Eye(nn.Module):
    """Pictures (n, 3, 64, 64) in 0..1 -> scores of each head, and the object's mask as logits (n, 64, 64)."""

    def __init__(self, widths: tuple[int, ...] = (24, 48, 96, 96)):
        super().__init__()
        pairs = list(zip((3, *widths), widths))
        self.down = nn.ModuleList(_stage(a, b, 1 if i == 0 else 2) for i, (a, b) in enumerate(pairs))
        self.up = nn.ModuleList(_stage(a + b, a, 1) for a, b in reversed(pairs[1:]))
        self.mask = nn.Conv2d(widths[0], 1, 1)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * widths[-1], len(names)) for name, names in HEADS.items()})

    def forward(self, pictures: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        levels = [pictures * 2 - 1]
        for stage_ in self.down:
            levels.append(stage_(levels[-1]))
        deep = levels.pop()
        summary = torch.cat([deep.mean((2, 3)), deep.amax((2, 3))], 1)
        for stage_ in self.up:
            skip = levels.pop()
            deep = stage_(torch.cat([interpolate(deep, size=skip.shape[-2:]), skip], 1))
        return {name: head(summary) for name, head in self.heads.items()}, self.mask(deep)[:, 0]


def _stage(a: int, b: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(a, b, 3, stride, 1),
        nn.BatchNorm2d(b),
        nn.ReLU(),
        nn.Conv2d(b, b, 3, 1, 1),
        nn.BatchNorm2d(b),
        nn.ReLU(),
    )


def labels(descriptions: list[Description]) -> dict[str, Tensor]:
    """Class numbers of each head; of two things, the first."""
    columns = {
        name: [
            list(names).index(getattr(it.things[0] if name in ("colour", "finish", "shape") else it, name))
            for it in descriptions
        ]
        for name, names in HEADS.items()
    }
    return {name: torch.tensor(column) for name, column in columns.items()}


def lessons(count: int, seed: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Pictures of single things (n, 3, 64, 64), their masks (n, 64, 64), and the labels."""
    rng = Random(seed)
    shown = []
    while len(shown) < count:
        description = imagine(rng)
        if len(description.things) == 1 and description.view != "above":
            shown.append(description)
    shown.sort(key=lambda it: it.things[0].shape == "mannequin")
    scene, camera, _ = stage.build(shown, rng)
    pictures, masks = [], []
    for start in range(0, count, 16):
        rows = slice(start, start + 16)
        shot = world.pick(scene, rows), world.pick(camera, rows)
        pictures.append(world.photograph(*shot, SIDE)[0])
        masks.append(world.render(*shot, SIDE).part > world.GROUND)
    return torch.cat(pictures), torch.cat(masks), labels(shown)


def learn(steps: int = 900, count: int = 3072, batch: int = 32) -> Eye:
    """An eye trained from nothing, in minutes."""
    torch.manual_seed(0)
    pictures, masks, known = lessons(count, seed=1)
    eye = Eye()
    optimizer = torch.optim.AdamW(eye.parameters(), lr=2e-3)
    course = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(count, (batch,))
        seen, where = _blurred(pictures[rows]), masks[rows]
        if torch.rand(()) < 0.5:
            seen, where = seen.flip(-1), where.flip(-1)
        scores, mask = eye(seen)
        loss = sum(cross_entropy(scores[name], known[name][rows]) for name in HEADS)
        loss = loss + 2 * binary_cross_entropy_with_logits(mask, where.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        course.step()
    return eye.eval()


def _blurred(pictures: Tensor) -> Tensor:
    """At times a little soft and noisy, as a small autoencoder's pictures are."""
    if torch.rand(()) < 0.5:
        pictures = interpolate(adaptive_avg_pool2d(pictures, 40), size=SIDE, mode="bilinear")
    return (pictures + 0.03 * torch.rand(()) * torch.randn_like(pictures)).clamp(0, 1)


@torch.no_grad()
def look(eye: Eye, pictures: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Class numbers of each head, and masks (n, 64, 64) bool, of pictures (n, 3, h, w) in 0..1."""
    scores, mask = eye(adaptive_avg_pool2d(pictures.float(), SIDE))
    return {name: score.argmax(1) for name, score in scores.items()}, mask > 0


def opened(path: Path) -> Eye:
    """The eye kept at `path`, taught first if it is not there."""
    if not path.exists():
        torch.save(learn().state_dict(), path)
    eye = Eye()
    eye.load_state_dict(torch.load(path))
    return eye.eval()
