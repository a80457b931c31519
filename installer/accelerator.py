"""Which build of torch fits this machine, and whether PyTorch's index can be asked for it."""

from __future__ import annotations

import re
import shutil
import sys
import urllib.request

from .process import output_of

# CUDA 13 needs driver 580 and a Turing card; what is older runs the CUDA 12.6 build.
# https://github.com/pytorch/pytorch/blob/main/RELEASE.md
_CUDA_13_DRIVER, _CUDA_13_CARD = 580, 7.5
# The ROCm build of torch 2.13, Linux only, and the cards that it has kernels for.
# https://rocm.docs.amd.com/projects/install-on-linux/en/latest/reference/system-requirements.html
_ROCM = "rocm7.2"
_ROCM_CARDS = r"\bgfx(908|90a|942|950|1030|110[0-2]|115[01]|120[01])\b"
# The XPU build is for these Intel cards; the older ones in processors have no kernels.
# https://docs.pytorch.org/docs/stable/notes/get_start_xpu.html
_XPU_CARDS = r"\b(Arc|Data Center GPU (Max|Flex))\b"
_REACH_S = 4.0


def torch_build() -> str:
    """`cu130`, `cu126`, `rocm7.2`, `xpu` or `cpu`, as uv names them; or `mac`, where there is one
    only."""
    if sys.platform == "darwin":
        return "mac"
    return (
        cuda_build(_said("nvidia-smi", "--query-gpu=driver_version,compute_cap", _CSV))
        or rocm_build(_said("rocm_agent_enumerator") if sys.platform == "linux" else "")
        or xpu_build(_said("xpu-smi", "discovery") + _said("sycl-ls"))
        or "cpu"
    )


_CSV = "--format=csv,noheader"


def cuda_build(listed: str) -> str | None:
    """The build that all cards can run; nvidia-smi lists them as `580.65.06, 8.9`, one a line."""
    pairs = re.findall(r"^(\d+)[\d.]*, (\d+\.\d+)$", listed, re.MULTILINE)
    if not pairs:
        return None
    drivers = [int(driver) for driver, _ in pairs]
    cards = [float(card) for _, card in pairs]
    is_new = min(drivers) >= _CUDA_13_DRIVER and min(cards) >= _CUDA_13_CARD
    return "cu130" if is_new else "cu126"


def rocm_build(listed: str) -> str | None:
    """The build for AMD's cards if it has kernels for one; rocm_agent_enumerator lists them as
    `gfx1100`, one a line, and the processor as `gfx000`."""
    return _ROCM if re.search(_ROCM_CARDS, listed) else None


def xpu_build(listed: str) -> str | None:
    """The build for Intel's cards if there is one; xpu-smi and sycl-ls write their names out, as
    in `Intel(R) Arc(TM) A770 Graphics`."""
    named = re.sub(r"\((R|TM)\)", "", listed)
    return "xpu" if re.search(_XPU_CARDS, named) else None


def has_index(build: str) -> bool:
    """Whether PyTorch's own index of the build answers; on a Mac the package index has the one
    build there is."""
    return build != "mac" and _answers(f"https://download.pytorch.org/whl/{build}/torch/")


def _said(program: str, *arguments: str) -> str:
    found = shutil.which(program)
    return (output_of([found, *arguments]) or "") if found else ""


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=_REACH_S):
            return True
    except OSError:
        return False
