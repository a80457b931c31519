"""One training loop for every stage: AdamW, warm-up and cooling down, averaged weights, checkpoints
that resume.

Under torchrun its processes, one for each device or CPU core, each go their own way and meet every
few steps at the mean of their weights (Lin et al. 2020, arXiv 1808.07217): little waiting, also
where other work makes one of them late.
"""

import copy
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
import torch.distributed
from torch import Tensor, nn


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train: steps of `batch` pictures, peak learning rate, steps between
    reports.

    The rate stays at its peak until the part `cooling` of the steps is left, then falls to nothing
    along a line, so that a stage may be told to go on longer: what it did before was no waste.
    """

    steps: int
    batch: int
    rate: float
    report_every: int = 50
    sample_every: int = 1000
    averaging: float = 0.999
    warmup: int = 100
    meet_every: int = 8
    cooling: float = 1.0


def best_device() -> str:
    """cuda, mps or cpu, whichever is there first."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


RANK, PROCESSES = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def join() -> None:
    """Meets torchrun's other processes, if there are any."""
    if PROCESSES > 1:
        torch.distributed.init_process_group()


def once(product: Path, make: Callable[[], object]) -> None:
    """Makes what is not there yet, in one process, while the others wait."""
    if RANK == 0 and not product.exists():
        make()
    if PROCESSES > 1:
        torch.distributed.barrier()


def shared_out(products: Iterable[Path], make: Callable[[Path], object]) -> None:
    """Makes what is not there yet of many files, each process its part, and waits for all."""
    for product in list(products)[RANK::PROCESSES]:
        if not product.exists():
            scratch = product.with_name(f"part-{product.name}")
            product.parent.mkdir(parents=True, exist_ok=True)
            make(scratch)
            scratch.rename(product)
    if PROCESSES > 1:
        torch.distributed.barrier()


def train(
    model: nn.Module,
    loss_of: Callable[[nn.Module, int], Tensor],
    plan: Plan,
    checkpoint: Path,
    sample: Callable[[nn.Module, int], None],
) -> nn.Module:
    """Trains `model` in place by `loss_of(model, batch)`, resuming from `checkpoint`; returns its
    averaged weights."""
    device = next(model.parameters()).device
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        learnt, lr=plan.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    average = copy.deepcopy(model).requires_grad_(False)
    done = _resume(checkpoint, model, average, optimizer)
    torch.manual_seed(done * PROCESSES + RANK)
    started, total = time.monotonic(), 0.0
    for step in range(done + 1, plan.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _pace(step, plan)
        with torch.autocast(device.type, torch.bfloat16):
            loss = loss_of(model, plan.batch)
        loss.backward()
        nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % plan.meet_every == 0 or step == plan.steps:
            _meet([weight.data for weight in learnt])
        _follow(average, model, min(plan.averaging, step / (step + 10)))
        total += loss.item()
        if step % plan.report_every == 0 and RANK == 0:
            seconds, started = time.monotonic() - started, time.monotonic()
            pace, mean = plan.report_every / seconds, total / plan.report_every
            print(f"step {step}/{plan.steps} loss {mean:.4f} {pace:.2f} steps/s", flush=True)
            total = 0.0
        if (step % plan.sample_every == 0 or step == plan.steps) and RANK == 0:
            _save(checkpoint, step, model, average, optimizer)
            with torch.random.fork_rng(), torch.no_grad():
                sample(average, step)
    return average


def _pace(step: int, plan: Plan) -> float:
    left = (plan.steps - step) / (plan.steps * plan.cooling)
    return min(1.0, step / plan.warmup, left)


def _save(
    checkpoint: Path,
    step: int,
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Whole or not at all: a session may end while it is written."""
    states = {"model": model.state_dict(), "average": average.state_dict()}
    scratch = checkpoint.with_suffix(".part")
    torch.save({"step": step, **states, "optimizer": optimizer.state_dict()}, scratch)
    scratch.rename(checkpoint)


def _resume(
    checkpoint: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    """The step to go on after: 0 where nothing was kept."""
    if not checkpoint.exists():
        return 0
    saved = torch.load(checkpoint, map_location=next(model.parameters()).device)
    model.load_state_dict(saved["model"])
    average.load_state_dict(saved["average"])
    optimizer.load_state_dict(saved["optimizer"])
    return saved["step"]


def _meet(weights: list[Tensor]) -> None:
    if PROCESSES > 1:
        together = torch.cat([weight.flatten() for weight in weights])
        torch.distributed.all_reduce(together)
        pieces = (together / PROCESSES).split([weight.numel() for weight in weights])
        torch._foreach_copy_(weights, [p.view_as(w) for p, w in zip(pieces, weights, strict=True)])


def _follow(average: nn.Module, model: nn.Module, inertia: float) -> None:
    old = [
        a for a, w in zip(average.parameters(), model.parameters(), strict=True) if w.requires_grad
    ]
    new = [w.detach() for w in model.parameters() if w.requires_grad]
    torch._foreach_lerp_(old, new, 1 - inertia)


def save_grid(path: Path, images: Tensor, columns: int = 8) -> None:
    """Writes pictures (n, 3, h, w) in 0..1, RGB, side by side."""
    rows = [torch.cat(list(row), dim=2) for row in images.split(columns) if len(row) == columns]
    grid = torch.cat(rows, dim=1).movedim(0, -1).clamp(0, 1).mul(255).round().byte().cpu().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), grid[..., ::-1])
