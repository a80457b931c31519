"""Draws COCO-18 people as OpenPose's ControlNets expect them.

Joints, limbs, colours and strokes are OpenPose's, as controlnet-aux draws them on a picture whose shorter
side has 512 pixels; other sizes keep the proportions.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

JOINTS = (
    "nose", "neck",
    "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
LIMB_BRIGHTNESS = 0.6
STROKE = 4 / 512  # half-width of a limb and radius of a joint, of the shorter side


def draw_people(people: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """The pose picture (height_px, width_px, 3) uint8 RGB of people (n, 18, 3): x_px, y_px, 1 seen, 0 not.

    Later people cover earlier ones. Small pictures are drawn larger and averaged: thin limbs stay whole.
    """
    finer = math.ceil(512 / min(height_px, width_px))
    canvas = np.zeros((height_px * finer, width_px * finer, 3), np.uint8)
    stroke_px = round(STROKE * min(canvas.shape[:2]))
    for joints in people:
        _draw(canvas, joints[:, :2] * finer, joints[:, 2] > 0, stroke_px)
    return canvas if finer == 1 else cv2.resize(canvas, (width_px, height_px), interpolation=cv2.INTER_AREA)


def _draw(canvas: np.ndarray, xy: np.ndarray, seen: np.ndarray, stroke_px: int) -> None:
    for (i, j), colour in zip(LIMBS, COLOURS):
        if seen[i] and seen[j]:
            middle = (xy[i] + xy[j]) / 2
            dx, dy = xy[i] - xy[j]
            size = (int(math.hypot(dx, dy) / 2), stroke_px)
            angle = int(math.degrees(math.atan2(dy, dx)))
            polygon = cv2.ellipse2Poly((int(middle[0]), int(middle[1])), size, angle, 0, 360, 1)
            cv2.fillConvexPoly(canvas, polygon, [int(LIMB_BRIGHTNESS * c) for c in colour])
    for (x, y), is_seen, colour in zip(xy, seen, COLOURS):
        if is_seen:
            cv2.circle(canvas, (int(x), int(y)), stroke_px, colour, thickness=-1)
