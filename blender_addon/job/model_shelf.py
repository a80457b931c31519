"""The models that lie on this machine: what each is, told by its table of contents, and which
ControlNet goes with which model and mode."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from t2vz_core.wire.homes import snapshot
from t2vz_core.wire.job import CONTROLS, DEMO_CONTROLS, DEMO_MODEL
from t2vz_core.wire.model_facts import SIDES_PX, facts_of, read_table

BASE, LORA, CONTROLNET = "base", "lora", "controlnet"
FAMILIES = {"sd1": "SD 1", "sd2": "SD 2", "sdxl": "SDXL"}
# The width of the words that a ControlNet or LoRA of a family attends to
FAMILY_OF_WIDTH = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
KINDS_IN_NAMES = {
    "depth": r"depth|midas|zoe",
    "normal": r"normal",
    "pose": r"pose",
    "edges": r"canny|edge",
    "outline": r"lineart|scribble|softedge|hed|sketch",
    "segments": r"seg",
}
INSTRUCT_CHANNELS = 8  # InstructPix2Pix sees the picture beside the noise
GIGABYTE = 1e9
PLACES = {  # beside a home folder: where other programs keep theirs
    "WebUI": ("stable-diffusion-webui/models", "stable-diffusion-webui-forge/models"),
    "ComfyUI": ("ComfyUI/models", "comfyui/models", "Documents/ComfyUI/models"),
}


@dataclass(frozen=True)
class Model:
    """One of them.

    Attributes:
        name: as the artist chooses it, a name in the models folder or an absolute path.
        kind: BASE, LORA or CONTROLNET.
        family: "sd1", "sd2", "sdxl", or "" where nothing tells.
        controls: a ControlNet's modes, as far as its name tells.
        is_instruct: changes pictures as told, as InstructPix2Pix does.
    """

    name: str
    kind: str
    family: str
    size_bytes: int
    controls: tuple[str, ...] = ()
    is_instruct: bool = False

    @property
    def badge(self) -> str:
        """`SDXL, 1024 px, 6.9 GB`."""
        side = f"{SIDES_PX[self.family]} px" if self.kind == BASE and self.family else ""
        size = f"{self.size_bytes / GIGABYTE:.1f} GB"
        return ", ".join(filter(None, (FAMILIES.get(self.family, ""), side, size)))


def models_in(home: Path, is_named: bool = True) -> list[Model]:
    """All models of a folder and the folders in it, by name; `is_named`: it is the models folder,
    whose models are known by their names there."""
    found = []
    for path in _paths(home):
        stat = path.stat()
        name = path.relative_to(home).as_posix() if is_named else str(path)
        model = _model(path, name, stat.st_mtime_ns)
        if model is not None:
            found.append(model)
    return found


def controlnet_for(models: Iterable[Model], control: str, family: str) -> Model | None:
    """The ControlNet that draws this kind of condition for models of this family."""
    fitting = (
        model
        for model in models
        if model.kind == CONTROLNET and control in model.controls and model.family == family
    )
    return next(fitting, None)


def missing_for(models: list[Model], mode: str, base: str, family: str) -> str:
    """Why a mode cannot be had with this base model; "" where it can."""
    is_demo = base.partition("/")[0] == DEMO_MODEL
    if mode in CONTROLS and is_demo and mode not in DEMO_CONTROLS:
        return f"the demo model knows {' and '.join(DEMO_CONTROLS)} alone"
    if mode not in CONTROLS or is_demo or not family:
        return ""
    if controlnet_for(models, mode, family) is not None:
        return ""
    return f"needs a ControlNet for {FAMILIES[family]}"


def other_homes(home: Path, variables: dict[str, str]) -> list[Path]:
    """Folders of WebUI, ComfyUI and the hub's cache that are there."""
    cache = variables.get("HF_HUB_CACHE") or str(
        Path(variables.get("HF_HOME") or home / ".cache/huggingface") / "hub"
    )
    wanted = [home / part for parts in PLACES.values() for part in parts] + [Path(cache)]
    return [path for path in wanted if path.is_dir()]


def _paths(home: Path, depth: int = 3) -> Iterator[Path]:
    """Files and folders that may be models; what lies in a model's folder is a part of it."""
    try:
        entries = sorted(os.scandir(home), key=lambda entry: entry.name.lower())
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_file() and path.suffix.lower() == ".safetensors":
            yield path
        elif entry.is_dir():
            inside = snapshot(path)
            if any((inside / name).is_file() for name in ("model_index.json", "config.json")):
                yield path
            elif depth:
                yield from _paths(path, depth - 1)


@lru_cache(maxsize=512)  # a panel asks at every drawing
def _model(path: Path, name: str, _mtime_ns: int) -> Model | None:
    try:
        return _folder(path, name) if path.is_dir() else _file(path, name)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _folder(path: Path, name: str) -> Model | None:
    inside = snapshot(path)
    size = sum(file.stat().st_size for file in inside.rglob("*.safetensors"))
    if (inside / "model_index.json").is_file():
        channels = _json(inside / "unet/config.json").get("in_channels", 4)
        facts = facts_of(inside)
        return Model(name, BASE, facts.family, size, (), channels == INSTRUCT_CHANNELS)
    config = _json(inside / "config.json")
    if config.get("_class_name") != "ControlNetModel":
        return None
    family = FAMILY_OF_WIDTH.get(cast(int, config["cross_attention_dim"]), "")
    return Model(name, CONTROLNET, family, size, _controls_of(name))


def _file(path: Path, name: str) -> Model | None:
    table = read_table(path)
    size, names = path.stat().st_size, list(table)
    if any(re.search(r"lora_|[._]lora\.|hada_w1|lokr_w", key) for key in names):
        family = _family_by_width(table, r"attn2[._]to_k\S*down|attn2\S*lora_A")
        return Model(name, LORA, family, size)
    begins = ("control_model.", "input_hint_block.", "controlnet_cond_emb")
    if any(key.startswith(begins) for key in names):
        family = _family_by_width(table, r"attn2\.to_k\.weight")
        return Model(name, CONTROLNET, family, size, _controls_of(name))
    first = table.get("model.diffusion_model.input_blocks.0.0.weight")
    if first is None:
        return None
    is_instruct = first["shape"][1] == INSTRUCT_CHANNELS
    return Model(name, BASE, facts_of(path).family, size, (), is_instruct)


def _family_by_width(table: dict[str, dict[str, list[int]]], pattern: str) -> str:
    for key, entry in table.items():
        if key != "__metadata__" and re.search(pattern, key):
            return FAMILY_OF_WIDTH.get(entry["shape"][1], "")
    return ""


def _controls_of(name: str) -> tuple[str, ...]:
    found = (kind for kind, words in KINDS_IN_NAMES.items() if re.search(words, name.lower()))
    return tuple(found)


def _json(path: Path) -> dict[str, object]:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError:
        return {}
