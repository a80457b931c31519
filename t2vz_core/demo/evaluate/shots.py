"""Whether shots captured in Blender, made by the product's own method, show the thing where Blender
has it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ...job_folder.passes import Source, pictures_to_tensor
from ...method.generate import generate
from ...models.networks import load
from ...wire.job import JobSpec, read_job
from ..captions import Description, Thing
from ..train.loop import save_grid
from .eye import Eye
from .leads import overlap
from .words import agreement


class Silent:
    """Watches a job and says nothing."""

    def progress(self, stage: str, done: int, total: int) -> None: ...

    def note(self, text: str, rank: str = "artist") -> None: ...


def measure_shots(networks: Path, eye: Eye, home: Path, scratch: Path) -> dict[str, float]:
    """The overlap of the things found with the captured masks, and what the words ask for, over all
    frames."""
    folders = sorted(path.parent for path in home.glob("*/job.json"))
    pictures, shown, masks = [], [], []
    loaded = None
    for folder in folders:
        spec, source = _with(read_job(folder), networks), Source(folder)
        loaded = loaded or load(spec.model, spec.controls, "cpu")
        numbers = [frame.number for frame in spec.frames]
        made = dict(generate(spec, source, loaded, numbers, Silent()))
        pictures += [made[number] for number in numbers]
        masks += [source.read(frame, "mask") > 0 for frame in spec.frames]
        shown += [_description(folder)] * len(numbers)
    seen, true = pictures_to_tensor(pictures), torch.from_numpy(np.stack(masks))
    outlined = true[:, None].float().expand(-1, 3, -1, -1)
    some = slice(0, 48, 6)
    save_grid(scratch / "shots.jpg", torch.cat([outlined[some], seen[some]]))
    return {"mask_iou": overlap(seen, shown, true)} | agreement(seen, shown, eye, true)


def _with(spec: JobSpec, networks: Path) -> JobSpec:
    """The job on these networks instead of the shipped ones."""
    base = replace(spec.model, base=str(networks / "stable-diffusion"))
    controls = (
        replace(control, model=str(networks / f"controlnet-{control.kind}"))
        for control in spec.controls
    )
    return replace(spec, model=base, controls=tuple(controls))


def _description(folder: Path) -> Description:
    value = json.loads((folder / "description.json").read_text("utf-8"))
    return Description(**value | {"things": tuple(Thing(**thing) for thing in value["things"])})
