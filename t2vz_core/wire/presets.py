"""Ways of denoising that go together, so that nobody has to choose each setting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

PUBLISHED, FAST, DRAFT = "published", "fast", "draft"

PRESETS: Mapping[str, Mapping[str, Any]] = {
    PUBLISHED: {
        "scheduler": "ddim",
        "steps": 50,
        "guidance_from": 0.0,
        "guidance_to": 1.0,
        "deep_every": 1,
    },
    FAST: {
        "scheduler": "dpm++2m",
        "steps": 14,
        "guidance_from": 0.0,
        "guidance_to": 0.6,
        "deep_every": 2,
    },
    DRAFT: {
        "scheduler": "dpm++2m",
        "steps": 8,
        "guidance_from": 0.0,
        "guidance_to": 0.6,
        "deep_every": 2,
    },
}
"""Fields of `Sampling`; how quick and how good `FAST` is, is measured in docs/speed.md. `DRAFT`
shows composition and colours alone."""


def preset_of(sampling: Any) -> str | None:
    """The preset that `sampling`, a `Sampling` or what has its fields, follows; None: it is the
    artist's own."""
    for name, fields in PRESETS.items():
        if all(_is_same(getattr(sampling, field), value) for field, value in fields.items()):
            return name
    return None


def follow(sampling: Any, name: str) -> None:
    """Puts the fields of a preset into what has the fields of a `Sampling` and may be changed."""
    for field, value in PRESETS[name].items():
        setattr(sampling, field, value)


def _is_same(one: Any, other: Any) -> bool:
    """Blender's numbers have 32 bits."""
    return math.isclose(one, other, rel_tol=1e-6) if isinstance(other, float) else one == other
