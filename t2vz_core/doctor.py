"""One page on this engine's health: versions, device, memory, models, what is missing and what to
do."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from . import __version__

NEEDED = (
    "torch",
    "diffusers",
    "transformers",
    "safetensors",
    "numpy",
    "opencv-python-headless",
    "OpenEXR",
)
GIB = 1 << 30
REINSTALL = "Update or Repair in the add-on's preferences, or `python3 install.py engine`"


def report(models: Path | None = None) -> str:
    """The page as text."""
    return "\n".join((*versions(), *_device(), *_models(models), *_disk()))


def _row(name: str, value: str) -> str:
    return f"{name:<24} {value}"


def versions() -> Iterator[str]:
    """What runs here, a line each."""
    yield _row("t2vz_core", f"{__version__}  ({Path(__file__).parent})")
    yield _row("Python", f"{platform.python_version()}  ({sys.executable})")
    yield _row("system", platform.platform())
    for name in NEEDED:
        try:
            yield _row(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield _row(name, f"MISSING: {REINSTALL}")


def _device() -> Iterator[str]:
    try:
        import torch
    except ImportError as error:
        yield _row("device", f"unknown, torch cannot be imported ({error}): {REINSTALL}")
        return
    if torch.cuda.is_available() or torch.xpu.is_available():
        card = torch.cuda if torch.cuda.is_available() else torch.xpu
        free, total = card.mem_get_info()
        yield _row(
            "device",
            f"{card.get_device_name()}, {free / GIB:.1f} of {total / GIB:.1f} GiB free",
        )
    elif torch.backends.mps.is_available():
        yield _row("device", "Apple GPU (MPS), memory shared with the system")
    else:
        yield _row(
            "device",
            f"processor only, {torch.get_num_threads()} threads; Stable Diffusion wants a GPU",
        )
        for tool, maker in (
            ("nvidia-smi", "NVIDIA"),
            ("rocm_agent_enumerator", "AMD"),
            ("xpu-smi", "Intel"),
        ):
            if shutil.which(tool):
                yield _row(
                    "", f"{maker}'s {tool} is there, but this torch sees no card: {REINSTALL}"
                )
    if hasattr(os, "sysconf"):
        yield _row(
            "memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIB:.1f} GiB"
        )


def _models(folder: Path | None) -> Iterator[str]:
    try:
        from .models.networks import models_found
    except ImportError as error:
        yield _row("models", f"cannot be listed ({error}): {REINSTALL}")
        return
    found = models_found(folder)
    yield from (_row("model" if i else "models found", str(model)) for i, model in enumerate(found))
    if not found:
        yield _row("models found", f"none, not even the demo model: {REINSTALL}")


def _disk() -> Iterator[str]:
    yield _row("free disk", f"{shutil.disk_usage(Path.cwd()).free / GIB:.1f} GiB at {Path.cwd()}")
