"""Anchor and key frames of a job, kept in its folder, so that every run and machine has the same.

`anchors/0001.safetensors` is a finished latent x_0 (1, 4, h, w), float32, and says which engine
made it of which job; `anchors/0001.png` is its picture. The picture is written first: an anchor is
there when its latent is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .. import __version__
from ..fault import Fault
from .claims import Claims
from .frames import claim_name, write_png, write_whole
from .passes import load_picture

FOLDER, LATENT = "anchors", "x_0"


@dataclass(frozen=True)
class Painted:
    """A finished frame: its latent x_0 (1, 4, h, w) float32, and its picture (H, W, 3) uint8."""

    x_0: Tensor
    picture: np.ndarray


class Anchors:
    """The anchors of one job folder; `made_from` is the fingerprint of all that makes them what
    they are."""

    def __init__(self, job: Path, made_from: str, claims: Claims) -> None:
        self._folder, self._claims = job / FOLDER, claims
        self._says = {"engine": __version__, "made_from": made_from}

    def made(self, number: int, make: Callable[[], Painted], wait: Callable[[], None]) -> Painted:
        """The anchor as it is stored; else `make` makes it, or another process does, for which
        `wait` is called until it has."""
        name = claim_name(number)
        while (stored := self.read(number)) is None:
            if not self._claims.take([name]):
                wait()
                continue
            stored = self.read(number)  # finished just before it was claimed
            if stored is None:
                stored = make()
                self.write(number, stored)
            self._claims.release(name)
            break
        return stored

    def read(self, number: int) -> Painted | None:
        """A stored anchor; None where there is none of this very job.

        Raises:
            Fault: it is damaged, or another version of the engine made it.
        """
        file = self._file(number)
        try:
            with safe_open(file, "pt") as body:
                says, x_0 = body.metadata() or {}, body.get_tensor(LATENT)
            if says.get("engine") != __version__:
                raise Fault(
                    f"{file} was made by engine {says.get('engine')}, this is {__version__}: have "
                    f"one version on all machines, or delete the folder {file.parent}."
                )
            if says != self._says:
                return None  # of the job as it was before it was changed
            return Painted(x_0, load_picture(file.with_suffix(".png")))
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, ValueError) as error:
            raise Fault(f"{file} is damaged ({error}): delete it and run again.") from error

    def write(self, number: int, painted: Painted) -> None:
        """Stores an anchor, whole or not at all."""
        file = self._file(number)
        write_png(file.with_suffix(".png"), painted.picture)
        latent = painted.x_0.float().cpu().contiguous()
        write_whole(file, save({LATENT: latent}, metadata=self._says))

    def _file(self, number: int) -> Path:
        return self._folder / f"{claim_name(number)}.safetensors"
