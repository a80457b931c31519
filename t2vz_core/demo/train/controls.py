"""The ControlNet stages: UNet, text encoder and ControlNets learn together, each control leading a
part of a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from diffusers import ControlNetModel, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from ..captions import Description, plain_caption
from . import dataset, export
from .diffusion import Predict, develop, draw, noise_loss, read_words
from .loop import RANK, Plan, best_device, save_grid, train
from .text import PROMPTS, load_latents, tell


@dataclass(frozen=True)
class Control:
    """One thing that leads a `share` of every batch.

    `rows` of the rendered pictures have it, `show(rows, mirrored)` is what its ControlNet sees, (n,
    3, h, w) in 0..1; `tried` are held-out descriptions and what it shows of them.
    """

    kind: str
    share: float
    rows: Tensor
    show: Callable[[Tensor, bool], Tensor]
    tried: tuple[Sequence[Description], Tensor]


def run(out: Path, size: int, plan: Plan, stage: str, controls: Sequence[Control]) -> None:
    """Trains on all pictures; exports OUT/export/controlnet-KIND of each control and
    stable-diffusion as it goes."""
    device = best_device()
    torch.manual_seed(0)
    base = StableDiffusionPipeline.from_pretrained(
        out / "export" / "stable-diffusion", dtype=torch.float32
    ).to(device)
    model = nn.ModuleDict({"unet": base.unet, "text_encoder": base.text_encoder})
    for control in controls:
        model[control.kind] = _begun(out / "export", control.kind, base.unet).to(device)
    model.requires_grad_(True)
    for network in (base.unet, *(model[control.kind] for control in controls)):
        network.set_attn_processor(AttnProcessor())
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
        save_grid(out / "samples" / f"{stage}-{step:06d}-text.png", paint(model, PROMPTS, []))
        for control in controls:
            export.network(out / "export" / f"controlnet-{control.kind}", model[control.kind])
            told, seen = control.tried
            lead = (
                model[control.kind],
                seen.to(device).repeat(2, 1, 1, 1),
            )  # for the empty words and the full
            pictures = paint(model, [plain_caption(it) for it in told], [lead])
            save_grid(
                out / "samples" / f"{stage}-{step:06d}-{control.kind}.png",
                torch.cat([seen, pictures.cpu()]),
            )

    train(model, loss_of, plan, out / f"{stage}.pt", sample)


def _begun(exported: Path, kind: str, unet: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet as an earlier stage left it; a new one begins as depth's, or the first of all as
    the UNet's half."""
    for name in (kind, "depth"):
        if (exported / f"controlnet-{name}").exists():
            return ControlNetModel.from_pretrained(
                exported / f"controlnet-{name}", dtype=torch.float32
            )
    controlnet = ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=(16, 32, 48, 64)
    )
    awaken(controlnet)
    return controlnet


def awaken(controlnet: ControlNetModel) -> None:
    """A ControlNet begins as nothing, to spare a finished UNet; beside one that still learns it
    need not wait."""
    for module in controlnet.controlnet_cond_embedding.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    for outlet in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
        nn.init.normal_(outlet.weight, std=0.1 * outlet.in_channels**-0.5)


def controlled(
    unet: UNet2DConditionModel, leads: Sequence[tuple[ControlNetModel, Tensor]]
) -> Predict:
    """The UNet, the first rows of its batch led by the first ControlNet and its pictures, and so
    on; the rest free."""

    def predict(latents: Tensor, times: Tensor, words: Tensor) -> Tensor:
        if not leads:
            return unet(latents, times, words).sample
        parts, start = [], 0
        for controlnet, pictures in leads:
            rows = slice(start, start + len(pictures))
            seen_at = times[rows] if times.ndim else times
            parts.append(
                controlnet(latents[rows], seen_at, words[rows], pictures, return_dict=False)
            )
            start = rows.stop
        downs, middles = zip(*parts, strict=True)
        down = [_padded(torch.cat(level), len(latents)) for level in zip(*downs, strict=True)]
        middle = _padded(torch.cat(middles), len(latents))
        return unet(
            latents,
            times,
            words,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample

    return predict


def _padded(rows: Tensor, count: int) -> Tensor:
    """(led, …) -> (count, …), zeros below."""
    return torch.cat([rows, rows.new_zeros(count - len(rows), *rows.shape[1:])])
