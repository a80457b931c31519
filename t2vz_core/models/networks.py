"""Checkpoints to networks: what is loaded, on which device, in which number format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

from ..runtime.devices import OWN_MEMORY, chosen_device, chosen_dtype, vae_dtype
from ..runtime.memory_budget import free_bytes, is_out_of_memory, tidy
from ..runtime.offload import lend
from ..wire.job import Control, Model, Reference
from ..wire.model_facts import ModelFacts, facts_of, facts_together
from ..wire.prompt_syntax import PLAIN
from .checkpoints import Checkpoint, open_controlnet_folder, open_folder
from .families import FAMILIES, Family, Query
from .family_file import rules_of
from .inventory import models_found
from .ip_adapter import Eye, adapt, open_eye
from .locate import find
from .loras import merge
from .single_file import open_controlnet_file, open_file
from .text_encoders import Embedding, Text, TextEncoder
from .textual_inversion import teach
from .union_controlnet import union_file
from .weights import ModelError

__all__ = ["ModelError", "Networks", "load", "models_found"]

INSTRUCT_CHANNELS = 8
CPU = torch.device("cpu")
BEGINS_AT_NOISE = (
    "{}: by its name it was made for a few steps, so the first begins at pure noise; the spacing "
    "“leading” takes it as a style."
)
SHARE = 0.5  # of the memory that is free beside the denoiser; the rest is for the work


@dataclass
class Networks:
    """A model ready to work.

    Attributes:
        family: a row of FAMILIES.
        denoiser: the U-Net or transformer that takes the noise away.
        controlnets: in the order of the job's controls; two of one file are one network.
        notes: for the artist.
    """

    family: str
    denoiser: Any
    vae: Any
    controlnets: tuple[Any, ...]
    text: TextEncoder
    scheduler_config: dict[str, Any]
    device: torch.device
    dtype: torch.dtype
    notes: tuple[str, ...] = ()
    facts: ModelFacts = field(default_factory=ModelFacts)
    eyes: tuple[Eye, ...] = ()
    is_offloading: bool = False
    is_lending: bool = False

    @property
    def kind(self) -> Family:
        """What sets the family apart."""
        return FAMILIES[self.family]

    @property
    def unet(self) -> Any:
        """The denoiser, where it is Stable Diffusion's."""
        return self.denoiser

    @property
    def is_instruct(self) -> bool:
        """Whether the denoiser edits a source frame (InstructPix2Pix): 4 more input channels."""
        return self.denoiser.config.in_channels == INSTRUCT_CHANNELS

    @property
    def latent_scale(self) -> float:
        """Latents are the VAE's codes times this."""
        return self.vae.config.scaling_factor

    @property
    def cell_px(self) -> int:
        """Pixels that one latent cell is wide."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    def latent_shape(self, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Channels, rows and columns of a picture's latent.

        Raises:
            ModelError: the model makes no pictures of this size.
        """
        for name, side in (("height", height_px), ("width", width_px)):
            if side % self.kind.multiple_px:
                below = side // self.kind.multiple_px * self.kind.multiple_px
                raise ModelError(
                    f"{self.kind.title} makes pictures whose sides are multiples of "
                    f"{self.kind.multiple_px} pixels: choose the {name} {below} or "
                    f"{below + self.kind.multiple_px} in place of {side}."
                )
        rows, columns = height_px // self.cell_px, width_px // self.cell_px
        return self.vae.config.latent_channels, rows, columns

    def control_input(self, network: Module, pictures: np.ndarray) -> Tensor:
        """What a ControlNet takes, a row a picture, of pictures (f, H, W, 3) uint8."""
        return rules_of(self.kind).control_input(self, network, pictures)

    def predict(self, query: Query) -> Tensor:
        """The denoiser's word (groups·f, c, h, w): ε, v or x_0, as the scheduler's configuration
        says."""
        return rules_of(self.kind).predict(self, query)

    @torch.no_grad()
    def embed(self, texts: Sequence[str], clip_skip: int = 0, syntax: str = PLAIN) -> Embedding:
        """Texts as the denoiser reads them, on the device.

        Raises:
            ModelError: the text encoder has not that many layers to skip.
        """
        with self.at_work(*self.text.encoders):
            return self.text.embed(texts, clip_skip, syntax)

    def size_ids(self, height_px: int, width_px: int) -> Tensor:
        """SDXL's size conditioning (6,): original size, crop at the top-left, target size; each y,
        x."""
        return torch.tensor(
            [height_px, width_px, 0, 0, height_px, width_px], dtype=self.dtype, device=self.device
        )

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> Tensor:
        """Images (n, H, W, 3) uint8 to latents (n, c, h, w), the mode of each; one image at a
        time.

        InstructPix2Pix is conditioned on the codes themselves: divide by `latent_scale`.
        """
        with self.at_work(self.vae):
            return torch.cat([self._encoded(image) for image in images])

    def _encoded(self, image: np.ndarray) -> Tensor:
        planes = torch.from_numpy(image).to(self.device).permute(2, 0, 1)[None]  # -> (1, 3, H, W)
        codes = self.vae.encode(planes.to(self.vae.dtype) / 127.5 - 1).latent_dist.mode()
        return rules_of(self.kind).to_latents(self.vae, codes).to(self.dtype)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Iterator[np.ndarray]:
        """Latents (n, c, h, w) to images (H, W, 3) uint8, one at a time.

        Raises:
            ModelError: an image is not a number, in float32 too.
        """
        with self.at_work(self.vae):
            for latent in latents:
                yield self._decoded(latent[None])

    def _decoded(self, latent: Tensor) -> np.ndarray:
        codes = rules_of(self.kind).to_codes(self.vae, latent.to(self.vae.dtype))
        image = self.vae.decode(codes).sample[0]
        if not image.isfinite().all():
            if self.vae.dtype == torch.float32 or not latent.isfinite().all():
                raise ModelError(f"The picture is not a number: {self.why_lost()}")
            self.vae.float()  # for good: it would overflow again on the next frame
            return self._decoded(latent)
        levels = (image.permute(1, 2, 0).float() / 2 + 0.5).clamp(0, 1) * 255
        return levels.round().to(torch.uint8).cpu().numpy()

    def why_lost(self) -> str:
        """What is to blame where numbers are lost, and what to do that is not so already."""
        parts = {"denoiser": (self.denoiser,), "ControlNet": self.controlnets, "VAE": (self.vae,)}
        parts["text encoder"] = tuple(self.text.encoders)
        for name, networks in parts.items():
            if not all(_is_sound(network) for network in networks):
                return (
                    f"the {name}'s weights hold values that are no numbers; copy or download the "
                    "model again, and try it without its LoRAs."
                )
        if self.dtype == torch.float16:
            return "choose precision float32, or bfloat16 where the device has it."
        if self.dtype != torch.float32:
            return "choose precision float32."
        return "lower the guidance, or the weights of its LoRAs and controls."

    def settle(self) -> None:
        """Brings text encoders and VAE to the device; where they would fill it, they rest on the
        CPU instead."""
        resting = (*self.text.encoders, self.vae)
        size = sum(weight.nbytes for module in resting for weight in module.parameters())
        has_own = self.device.type in OWN_MEMORY
        self.is_offloading = has_own and size > SHARE * free_bytes(self.device)
        if not self.is_offloading:
            move(resting, self.device)

    def offload(self) -> bool:
        """Lets text encoders and VAE rest on the CPU, and the others while these work; False where
        that is no gain."""
        if self.is_offloading or self.device.type == "cpu":
            return False
        self.is_offloading = True
        move((*self.text.encoders, self.vae), CPU)
        return True

    def lend(self) -> bool:
        """Lets denoiser and ControlNets rest on the CPU too, and lends them block by block; False
        where that is no gain."""
        if self.is_lending or self.device.type == "cpu":
            return False
        self.is_lending = True
        for network in self._denoisers():
            lend(network, self.device)
        return True

    def _denoisers(self) -> tuple[Any, ...]:
        """Denoiser and ControlNets, each once."""
        return tuple(dict.fromkeys((self.denoiser, *self.controlnets)))

    @contextmanager
    def at_work(self, *modules: Module) -> Iterator[None]:
        """When offloading, these networks change places with denoiser and ControlNets meanwhile."""
        if not self.is_offloading:
            yield
            return
        denoisers = () if self.is_lending else self._denoisers()
        move(denoisers, CPU)
        move(modules, self.device)
        try:
            yield
        finally:
            move(modules, CPU)
            move(denoisers, self.device)


def load(
    model: Model,
    controls: Sequence[Control],
    device: str = "auto",
    references: Sequence[Reference] = (),
) -> Networks:
    """The networks of a model and of each control.

    Raises:
        ModelError: one sentence with the path of what cannot be loaded.
    """
    place = chosen_device(device)
    try:
        return _loaded(model, controls, references, place, place)
    except RuntimeError as error:
        if place.type == "cpu" or not is_out_of_memory(error):
            raise
    tidy()
    return _loaded(model, controls, references, place, CPU)


def _loaded(
    model: Model,
    controls: Sequence[Control],
    references: Sequence[Reference],
    place: torch.device,
    home: torch.device,
) -> Networks:
    """The networks that work at `place`; denoiser and ControlNets rest at `home` meanwhile."""
    prefers_half = place.type != "cpu"
    path = find(model.base, "stable-diffusion", model, prefers_half)
    if path.is_dir():
        checkpoint = open_folder(path, prefers_half, model.allow_pickle)
    else:
        checkpoint = open_file(path, model)
    kind = FAMILIES[checkpoint.family]
    dtype = chosen_dtype(model.precision, place, kind.half)
    denoiser = checkpoint.build(kind.denoiser, home, dtype)
    controlnets = _controlnets(controls, model, checkpoint, (place, home), dtype)
    for controlnet in controlnets:
        rules_of(kind).join(denoiser, controlnet)
    vae = checkpoint.build(
        "vae", CPU, vae_dtype(checkpoint.configs["vae"], checkpoint.family, dtype)
    )
    # Its large pictures are convolved faster, on a CPU by a quarter. torch's types lack this.
    vae.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    names = [part for part in kind.classes if part.startswith("text_encoder")]
    encoders = {part: checkpoint.build(part, CPU, dtype) for part in names}
    bendable = {"unet": denoiser, **encoders}
    loras = [(find(lora.path, "style", model), lora.weight) for lora in model.loras]
    notes = [
        merge(lora, weight, bendable, rules_of(kind).other_name, model.allow_pickle)
        for lora, weight in loras
    ]
    facts = [facts_of(one) for one in (path, *(lora for lora, _ in loras))]
    notes += [
        BEGINS_AT_NOISE.format(lora.name)
        for (lora, _), each in zip(loras, facts[1:], strict=True)
        if each.begins_at_noise
    ]
    begins_at_noise = any(each.begins_at_noise for each in facts)
    spacing = {"timestep_spacing": "trailing"} if begins_at_noise else {}
    text = rules_of(kind).text_encoder(checkpoint, cast(list[Any], [*encoders.values()]))
    for inversion in model.inversions:
        if not isinstance(text, Text):
            raise ModelError(
                f"{kind.title} learns no words from files: leave {inversion.path} out."
            )
        path_of = find(inversion.path, "inversion", model)
        teach(text, path_of, inversion.word, model.allow_pickle)
    eyes = _eyes(references, model, denoiser, kind)
    networks = Networks(
        checkpoint.family,
        denoiser,
        vae,
        controlnets,
        text,
        checkpoint.configs["scheduler"] | spacing,
        place,
        dtype,
        (*checkpoint.notes, *(note for note in notes if note)),
        facts_together(facts[0], facts[1:]),
        eyes,
    )
    if home != place:
        networks.lend()
    networks.settle()
    return networks


def _eyes(
    references: Sequence[Reference], model: Model, denoiser: Any, kind: Family
) -> tuple[Eye, ...]:
    """The image encoder of each reference, whose adapter the denoiser takes.

    Raises:
        ModelError: one does not fit the model, or this family takes none.
    """
    if not references:
        return ()
    if kind.denoiser != "unet":
        raise ModelError(f"{kind.title} takes no reference pictures: leave references out.")
    adapters = [find(one.adapter, "reference", model) for one in references]
    adapt(denoiser, adapters, model.allow_pickle)
    encoders = [
        find(one.encoder, "reference", model) if one.encoder else None for one in references
    ]
    return tuple(
        open_eye(adapter, encoder, denoiser, i)
        for i, (adapter, encoder) in enumerate(zip(adapters, encoders, strict=True))
    )


def _controlnets(
    controls: Sequence[Control],
    model: Model,
    base: Checkpoint,
    places: tuple[torch.device, torch.device],
    dtype: torch.dtype,
) -> tuple[Module, ...]:
    """The ControlNet of each control; a file that several name is loaded once.

    Raises:
        ModelError: one does not fit the model, or this family's read no such control.
    """
    kind = FAMILIES[base.family]
    place, home = places
    prefers_half = place.type != "cpu"
    built: dict[Path, Module] = {}
    paths = []
    for control in controls:
        if kind.controls and control.kind not in kind.controls:
            raise ModelError(
                f"{kind.title}'s ControlNets read no {control.kind}: choose one of "
                f"{', '.join(kind.controls)}."
            )
        path = find(control.model, f"controlnet-{control.kind}", model, prefers_half)
        if path not in built:
            checkpoint = _controlnet(path, model, base, prefers_half)
            built[path] = checkpoint.build("controlnet", home, dtype)
        paths.append(path)
    return tuple(built[path] for path in paths)


def _is_sound(network: Module) -> bool:
    return all(bool(weight.isfinite().all()) for weight in network.parameters())


def move(modules: Sequence[Module], device: torch.device) -> None:
    """Brings the networks to the device."""
    for module in modules:
        Module.to(module, device)  # diffusers' own `to` warns of its quantized networks


def _controlnet(path: Path, model: Model, base: Checkpoint, prefers_half: bool) -> Checkpoint:
    """A ControlNet on disk, if it fits the model."""
    path = union_file(path, prefers_half, model.allow_pickle)
    if path.is_dir():
        checkpoint = open_controlnet_folder(path, base, prefers_half, model.allow_pickle)
    else:
        checkpoint = open_controlnet_file(path, base, model.allow_pickle)
    rules_of(FAMILIES[base.family]).check_control(checkpoint, base)
    return checkpoint
