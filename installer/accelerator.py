"""Which build of torch fits this machine, and whence it comes."""

from __future__ import annotations

import shutil
import sys
import urllib.request

from .process import output_of

# CUDA 13 needs driver 580 and a Turing card; what is older runs the CUDA 12.6 build.
# https://github.com/pytorch/pytorch/blob/main/RELEASE.md
_CUDA_13_DRIVER, _CUDA_13_CARD = 580, 7.5
_REACH_S = 4.0


def torch_build() -> str:
    """`cpu`, `cu130`, `cu126`; or `mac`, of which there is one only."""
    if sys.platform == "darwin":
        return "mac"
    if not shutil.which("nvidia-smi"):
        return "cpu"
    listed = output_of(
        ["nvidia-smi", "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
    )
    return cuda_build(listed) if listed else "cpu"


def cuda_build(listed: str) -> str:
    """The build that all cards can run; nvidia-smi lists them as `580.65.06, 8.9`, one a line."""
    pairs = [line.split(",") for line in listed.strip().splitlines()]
    drivers, cards = (
        [int(driver.split(".")[0]) for driver, _ in pairs],
        [float(card) for _, card in pairs],
    )
    return "cu130" if min(drivers) >= _CUDA_13_DRIVER and min(cards) >= _CUDA_13_CARD else "cu126"


def torch_index(build: str) -> str | None:
    """PyTorch's own index of the build; None where the package index serves: on a Mac, or if it is
    out of reach."""
    index = f"https://download.pytorch.org/whl/{build}"
    return index if build != "mac" and _answers(f"{index}/torch/") else None


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=_REACH_S):
            return True
    except OSError:
        return False
