"""Stage 3: ControlNets for depth, pose and normals; UNet and text encoder go on learning beside
them.

Each control leads a part of every batch; the rest is led by words alone.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from diffusers import ControlNetModel, StableDiffusionPipeline
from torch import Tensor, nn

from ..captions import plain_caption
from . import dataset, depth, export, normal, pose
from .diffusion import develop, draw, noise_loss, read_words
from .lead import begun, controlled
from .loop import RANK, Plan, best_device, save_grid, train
from .text import PROMPTS, load_latents, tell

PLAN = Plan(steps=3000, batch=32, rate=1e-3, sample_every=250, averaging=0.998)
SHARES = {depth: 0.3, pose: 0.15, normal: 0.1}


def run(out: Path, size: int, plan: Plan = PLAN, begin: Path | None = None) -> None:
    """Trains on all pictures; exports OUT/export/controlnet-KIND of each control and stable-
    diffusion as it goes."""
    controls = [kind.control(out, size, share) for kind, share in SHARES.items()]
    device = best_device()
    torch.manual_seed(0)
    base = StableDiffusionPipeline.from_pretrained(
        out / "export" / "stable-diffusion", dtype=torch.float32
    ).to(device)
    model = nn.ModuleDict({"unet": base.unet, "text_encoder": base.text_encoder})
    for control in controls:
        model[control.kind] = begun(out / "export", begin, control.kind, base.unet).to(device)
    model.requires_grad_(True)
    latents, shown = load_latents(base.vae, out, size), dataset.descriptions(out / f"scenes-{size}")
    rng = Random(RANK)

    def loss_of(model: nn.ModuleDict, batch: int) -> Tensor:
        mirrored, leads, rows = bool(torch.randint(2, (1,))), [], []
        for control in controls:
            led = control.rows[torch.randint(len(control.rows), (int(control.share * batch),))]
            leads.append((model[control.kind], control.show(led, mirrored).to(device)))
            rows.append(led)
        rows = torch.cat([*rows, torch.randint(len(shown), (batch - sum(map(len, rows)),))])
        words = read_words(
            model["text_encoder"], base.tokenizer, [tell(shown[row], rng) for row in rows]
        )
        return noise_loss(
            controlled(model["unet"], leads), latents[int(mirrored), rows].to(device), words
        )

    def paint(
        model: nn.ModuleDict, texts: Sequence[str], leads: Sequence[tuple[ControlNetModel, Tensor]]
    ) -> Tensor:
        words, empty = (
            read_words(model["text_encoder"], base.tokenizer, t) for t in (texts, [""] * len(texts))
        )
        noise = torch.randn(
            len(texts), *latents.shape[2:], generator=torch.Generator().manual_seed(0)
        ).to(device)
        return develop(
            base.vae, draw(controlled(model["unet"], leads), noise, words, empty, steps=16)
        )

    def sample(model: nn.ModuleDict, step: int) -> None:
        parts = {"vae": base.vae, "text_encoder": model["text_encoder"], "unet": model["unet"]}
        export.pipeline(out / "export" / "stable-diffusion", base.tokenizer, **parts)
        save_grid(out / "samples" / f"controls-{step:06d}-text.png", paint(model, PROMPTS, []))
        for control in controls:
            export.network(out / "export" / f"controlnet-{control.kind}", model[control.kind])
            told, seen = control.tried
            lead = (
                model[control.kind],
                seen.to(device).repeat(2, 1, 1, 1),
            )  # for the empty words and the full
            pictures = paint(model, [plain_caption(it) for it in told], [lead])
            save_grid(
                out / "samples" / f"controls-{step:06d}-{control.kind}.png",
                torch.cat([seen, pictures.cpu()]),
            )

    train(model, loss_of, plan, out / "controls.pt", sample)
