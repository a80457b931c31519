"""Pictures that the frames are to look like (IP-Adapter, models/ip_adapter.py).

Their tokens are the same for all frames, so that a reference ties a film's shots together as well.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..fault import Fault
from ..job_folder.passes import Source, load_picture
from ..wire.job import JobSpec, Reference
from .guidance import PROMPT


class References:
    """What the adapters take of a job's references."""

    def __init__(self, spec: JobSpec, source: Source, networks: Any) -> None:
        self._references = spec.references
        self._tokens = [
            eye.tokens(_picture(source, reference))
            for eye, reference in zip(networks.eyes, spec.references, strict=True)
        ]
        self._device, self._dtype = networks.device, networks.dtype

    def tokens(self, groups: tuple[str, ...]) -> list[Tensor]:
        """For each reference what its adapter takes, (groups, 1, …)."""
        rows = [
            torch.stack([shown if group == PROMPT else none for group in groups])
            for shown, none in self._tokens
        ]
        return [row.to(self._device, self._dtype) for row in rows]

    def scales(self, step: int, steps: int) -> tuple[float, ...]:
        """How strongly each counts at a step."""
        return tuple(one.scale * _is_on(one, step, steps) for one in self._references)


def _is_on(reference: Reference, step: int, steps: int) -> bool:
    return reference.start * steps <= step and step + 1 <= reference.end * steps


def _picture(source: Source, reference: Reference) -> Any:
    path = source.folder / reference.picture
    try:
        return load_picture(path)
    except (OSError, ValueError) as error:
        raise Fault(f"{path}: is no picture that can be read; choose another reference.") from error
