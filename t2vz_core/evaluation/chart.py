"""Draws an evaluation: one curve panel per measure, under it the pair of frames that differs
most."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..geometry.pixel_maps import Array, warp
from .exact_motion import ExactMotion
from .metrics import Measures

PANELS = ("warp_short", "warp_long", "flicker", "motion_error_px", "structure", "sharpness")
PANEL_PX = (240, 360)
PAIR_PX = 270
INK, PAPER, AXIS = (40, 40, 40), 255, (200, 200, 200)
COLOURS = {"frames": (214, 96, 36), "render": (60, 110, 190)}
MARGIN_PX = (34, 30, 20, 52)  # above, right, below, left of a panel's curves


def draw(rows: dict[str, list[Measures]], pictures: Sequence[Array], motion: ExactMotion) -> Array:
    """The evaluation as a picture (H, W, 3) uint8: `rows` of measures per frame, and the worst
    pairs."""
    numbers = [frame.number for frame in motion.frames]
    panels = [_panel(name, rows, numbers) for name in PANELS]
    curves = np.vstack([np.hstack(panels[:3]), np.hstack(panels[3:])])
    pairs = [_pair(name, rows["frames"], pictures, motion) for name in ("warp_short", "warp_long")]
    return np.vstack([curves, *(_fit(pair, curves.shape[1]) for pair in pairs if pair is not None)])


def _panel(name: str, rows: dict[str, list[Measures]], numbers: list[int]) -> Array:
    canvas = np.full((*PANEL_PX, 3), PAPER, np.uint8)
    curves = {row: [measured[name] for measured in per_frame] for row, per_frame in rows.items()}
    top = (
        max(
            (value for curve in curves.values() for value in curve if value is not None),
            default=0.0,
        )
        or 1.0
    )
    above, right, below, left = MARGIN_PX
    height, width = PANEL_PX[0] - above - below, PANEL_PX[1] - left - right
    cv2.rectangle(canvas, (left, above), (left + width, above + height), AXIS)
    _write(canvas, name, (left, 20), 0.5)
    _write(canvas, f"{top:.3g}", (4, above + 8), 0.36)
    _write(canvas, "0", (left - 14, above + height), 0.36)
    _write(canvas, str(numbers[0]), (left, PANEL_PX[0] - 5), 0.36)
    _write(canvas, str(numbers[-1]), (left + width - 12, PANEL_PX[0] - 5), 0.36)
    for place, (row, curve) in enumerate(curves.items()):
        _write(canvas, row, (left + width - 120 + 62 * place, 20), 0.4, COLOURS[row])
        points = [
            (
                left + round(width * i / max(len(curve) - 1, 1)),
                above + height - round(height * value / top),
            )
            for i, value in enumerate(curve)
            if value is not None
        ]
        cv2.polylines(
            canvas,
            [np.array(points, np.int32).reshape(-1, 1, 2)],
            False,
            COLOURS[row],
            2,
            cv2.LINE_AA,
        )
        for point in points:
            cv2.circle(canvas, point, 3, COLOURS[row], -1, cv2.LINE_AA)
    return canvas


def _pair(
    name: str, measured: list[Measures], pictures: Sequence[Array], motion: ExactMotion
) -> Array | None:
    """The frame with the worst `name`, the other frame as it should look here, and where they
    differ."""
    known = {i: value for i, row in enumerate(measured) if (value := row[name]) is not None}
    if not known:
        return None
    i = max(known, key=known.__getitem__)
    j = i - 1 if name == "warp_short" else motion.anchors[i]
    to = motion.link(i, j)
    assert to is not None, "a frame that was measured has a link"
    moved = np.where(to.visible[..., None], warp(pictures[j], to.map), 0.5)
    apart = np.where(to.visible[..., None], np.abs(pictures[i] - moved).clip(0, 1), 0.0)
    numbers = [motion.frames[k].number for k in (i, j)]
    titles = (
        f"worst {name}: frame {numbers[0]}",
        f"frame {numbers[1]} moved here (grey: not seen)",
        "difference",
    )
    return np.hstack(
        [_titled(picture, title) for picture, title in zip((pictures[i], moved, apart), titles)]
    )


def _titled(picture: Array, title: str) -> Array:
    height, width = picture.shape[:2]
    shown = cv2.resize((picture * 255).astype(np.uint8), (PAIR_PX * width // height, PAIR_PX))
    shown = cv2.copyMakeBorder(shown, 26, 6, 6, 6, cv2.BORDER_CONSTANT, value=(PAPER,) * 3)
    _write(shown, title, (8, 18), 0.42)
    return shown


def _fit(picture: Array, width: int) -> Array:
    """The picture scaled or padded to `width`."""
    if picture.shape[1] > width:
        picture = cv2.resize(picture, (width, picture.shape[0] * width // picture.shape[1]))
    return np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=PAPER)


def _write(
    canvas: Array, text: str, at: tuple[int, int], scale: float, colour: tuple[int, int, int] = INK
) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
