"""The measures of an ablation as tables and film strips."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from t2vz_core.evaluation import evaluate
from t2vz_core.evaluation.exact_motion import ExactMotion
from t2vz_core.geometry.pixel_maps import Array

RENDER, INDEPENDENT = "the scene's own render", "independent frames"
T2VZ = "+ motion dynamics = Text2Video-Zero"
COLUMNS = {
    "warp_long": ("warp error, long ×10⁻³", 1e3),
    "warp_long_foreground": ("— foreground", 1e3),
    "warp_long_background": ("— background", 1e3),
    "warp_short": ("warp error, short ×10⁻³", 1e3),
    "flicker": ("flicker ×10⁻²", 1e2),
    "flicker_disturbed": ("— near what moved", 1e2),
    "new_colour": ("colour of what is new ×10⁻²", 1e2),
    "new_texture": ("— its texture %", 100),
    "motion_error_px": ("motion error px", 1),
    "structure": ("structure", 1),
    "sharpness": ("sharpness ×10⁻³", 1e3),
    "sharpness_kept": ("— kept of the anchor's %", 100),
    "colour": ("colour ΔE", 1),
}

Measured = dict[str, float | str | None]
"""The measures of one row, shot and seed, by name, and their `row`, `shot`, `seed`."""


def measured(
    shot: str,
    seed: int,
    render: list[Array],
    strips: dict[str, list[Array]],
    geometry: ExactMotion,
) -> list[Measured]:
    """The measures of all rows of one shot and seed; the render's only with the first seed."""
    found = []
    for row, pictures in {**({RENDER: render} if seed == 0 else {}), **strips}.items():
        one: Measured = {
            "row": row,
            "shot": shot,
            "seed": seed,
            **evaluate.mean(evaluate.measure(pictures, geometry)),
        }
        found.append(one)
    alone = next((one for one in found if one["row"] == INDEPENDENT), None)
    for one in found if alone else ():
        if one["row"] != RENDER:
            one["colour"] = _colour_distance(strips[one["row"]], strips[INDEPENDENT])
    return found


def table(found: Sequence[Measured], shot: str | None = None) -> str:
    """The means over shots and seeds, one line per row, as Markdown."""
    kept = [one for one in found if shot in (None, one["shot"])]
    head = [title for title, _ in COLUMNS.values()]
    lines = ["| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for row in dict.fromkeys(one["row"] for one in kept):
        cells = [_cell(_values(kept, row, name), scale) for name, (_, scale) in COLUMNS.items()]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bar(found: Sequence[Measured]) -> str:
    """Every row from Text2Video-Zero on beside it, in percent of its means, as Markdown."""
    names = ("warp_long", "warp_short", "motion_error_px", "sharpness")
    titles = ("warp error, long", "short", "motion error", "sharpness")
    lines = ["| % of Text2Video-Zero's | " + " | ".join(titles) + " |", "|---" * 5 + "|"]
    rows = list(dict.fromkeys(one["row"] for one in found))
    for row in rows[rows.index(T2VZ) :] if T2VZ in rows else ():
        shares = [
            np.mean(_values(found, row, name)) / np.mean(_values(found, T2VZ, name))
            for name in names
        ]
        lines.append(f"| {row} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    return "\n".join(lines)


def sheet(strips: dict[str, list[Array]], title: str) -> Array:
    """Row under row (H, W, 3) uint8, each under its name."""
    parts = []
    for row, pictures in strips.items():
        strip = (np.hstack(pictures) * 255).round().astype(np.uint8)
        head = np.full((18, strip.shape[1], 3), 255, np.uint8)
        said = f"{title} mode: {row}"
        cv2.putText(
            head, said, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA
        )
        parts += [head, strip]
    return np.vstack(parts)


def _values(found: Sequence[Measured], row: object, name: str) -> list[float]:
    return [
        value for one in found if one["row"] == row and isinstance(value := one.get(name), float)
    ]


def _cell(values: list[float], scale: float) -> str:
    return f"{np.mean(values) * scale:.3g}" if values else ""


def _colour_distance(pictures: list[Array], others: list[Array]) -> float:
    """Distance in CIELAB between the mean colours of two sequences."""
    one, two = (
        np.mean([cv2.cvtColor(p, cv2.COLOR_RGB2LAB).mean((0, 1)) for p in many], 0)
        for many in (pictures, others)
    )
    return float(np.linalg.norm(one - two))
