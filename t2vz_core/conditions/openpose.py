"""Draws COCO-18 people as OpenPose's ControlNets expect them.

Joints, limbs, colours and strokes are OpenPose's, as controlnet-aux draws them on a picture whose
shorter side has 512 pixels; other sizes keep the proportions.
"""

from __future__ import annotations

import colorsys
import math

import cv2
import numpy as np

from ..wire.joints import JOINTS as JOINTS

LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12),
    (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
LIMB_BRIGHTNESS = 0.6
STROKE = 4 / 512  # half-width of a limb and radius of a joint, of the shorter side
FINGERS = tuple(
    (i if i % 4 else 0, i + 1) for i in range(20)
)  # the bones of a hand, from the wrist to five tips
KNUCKLE = (0, 0, 255)
FARTHEST = 32000.0  # from the canvas' origin: cv2 draws within 2^15


def draw_people(
    people: np.ndarray, height_px: int, width_px: int, hands: np.ndarray | None = None
) -> np.ndarray:
    """The pose picture (height_px, width_px, 3) uint8 RGB of people (n, 18, 3): x_px, y_px, 1 seen,
    0 not.

    `hands` (n, 2, 21, 3) are each one's left and right hand. Later people cover earlier ones. Small
    pictures are drawn larger and averaged: thin limbs stay whole.
    """
    finer = math.ceil(512 / min(height_px, width_px))
    canvas = np.zeros((height_px * finer, width_px * finer, 3), np.uint8)
    stroke_px = round(STROKE * min(canvas.shape[:2]))
    for number, joints in enumerate(people):
        _draw(canvas, _on_canvas(joints, finer), joints[:, 2] > 0, stroke_px)
        for points in () if hands is None else hands[number]:
            _draw_hand(canvas, _on_canvas(points, finer), points[:, 2] > 0, stroke_px)
    return (
        canvas
        if finer == 1
        else cv2.resize(canvas, (width_px, height_px), interpolation=cv2.INTER_AREA)
    )


def _on_canvas(points: np.ndarray, finer: int) -> np.ndarray:
    """Places (n, 2) of points (n, 3), those far outside no farther than cv2 can draw."""
    return np.clip(points[:, :2] * finer, -FARTHEST, FARTHEST)


def _shortened(one: np.ndarray, two: np.ndarray, longest: float) -> tuple[np.ndarray, np.ndarray]:
    """The ends of a limb without what lies far outside: its angle is drawn in whole degrees, which
    a longer one would miss its other end by."""
    length = math.hypot(*(one - two))
    if length <= longest:
        return one, two
    near, far = sorted((one, two), key=lambda end: float(abs(end).max()))
    return near, near + (far - near) * (longest / length)


def _draw(canvas: np.ndarray, xy: np.ndarray, seen: np.ndarray, stroke_px: int) -> None:
    for (i, j), colour in zip(LIMBS, COLOURS):
        if seen[i] and seen[j]:
            one, two = _shortened(xy[i], xy[j], 2 * max(canvas.shape))
            middle = (one + two) / 2
            dx, dy = one - two
            size = (int(math.hypot(dx, dy) / 2), stroke_px)
            angle = int(math.degrees(math.atan2(dy, dx)))
            polygon = cv2.ellipse2Poly((int(middle[0]), int(middle[1])), size, angle, 0, 360, 1)
            cv2.fillConvexPoly(
                canvas, np.asarray(polygon), [int(LIMB_BRIGHTNESS * c) for c in colour]
            )
    for (x, y), is_seen, colour in zip(xy, seen, COLOURS):
        if is_seen:
            cv2.circle(canvas, (int(x), int(y)), stroke_px, colour, thickness=-1)


def _draw_hand(canvas: np.ndarray, xy: np.ndarray, seen: np.ndarray, stroke_px: int) -> None:
    ends = [(int(x), int(y)) for x, y in np.nan_to_num(xy)]
    for number, (i, j) in enumerate(FINGERS):
        if seen[i] and seen[j]:
            colour = [255 * part for part in colorsys.hsv_to_rgb(number / len(FINGERS), 1.0, 1.0)]
            cv2.line(canvas, ends[i], ends[j], colour, thickness=max(1, stroke_px // 2))
    for end, is_seen in zip(ends, seen):
        if is_seen:
            cv2.circle(canvas, end, stroke_px, KNUCKLE, thickness=-1)
