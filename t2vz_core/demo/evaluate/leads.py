"""Whether pictures follow the depth or the pose that they were given."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import cv2
import numpy as np
import torch
from torch import Tensor

from ...conditions.openpose import JOINTS, LIMBS
from .. import stage, world
from ..captions import Description, plain_caption
from ..train.dataset import HELD_OUT
from ..train.loop import save_grid
from ..train.pose import drawn
from . import judge
from .eye import Eye
from .model import FULL, Model, single_things
from .words import agreement

BODY = [limb for limb in LIMBS if max(limb) <= JOINTS.index("left_ankle")]  # without the face
POINTS = 9  # looked at on each limb


def measure_depth(model: Model, eye: Eye, count: int, grid: Path) -> dict[str, float]:
    """What words ask for where depth leads, and how the object's pixels overlap those whose depth
    was given."""
    shown = single_things(count, HELD_OUT + 1, FULL)
    view = world.render(*stage.build(shown, Random(HELD_OUT))[:2], model.size)
    near = view.depth.reciprocal()[:, None]
    images = (near / near.amax((1, 2, 3), keepdim=True)).repeat(1, 3, 1, 1)
    pictures = model.paint(
        [plain_caption(it) for it in shown], lead=(model.controlnet("depth"), images)
    )
    save_grid(grid, torch.cat([images[:8], pictures[:8]]))
    masks = view.part > world.GROUND
    figures = {
        "mask_iou": overlap(pictures, shown, masks),
        "mask_iou_of_renderings": overlap(view.colour.movedim(-1, 1), shown, masks),
    }
    return figures | agreement(pictures, shown, eye, masks)


def overlap(pictures: Tensor, shown: Sequence[Description], masks: Tensor) -> float:
    """Mean intersection over union of the objects found and the true masks (n, h, w)."""
    found = torch.stack(
        [judge.object_in(picture, it) for picture, it in zip(pictures, shown, strict=True)]
    )
    return float(((found & masks).sum((1, 2)) / (found | masks).sum((1, 2)).clamp_min(1)).mean())


def measure_pose(model: Model, count: int, grid: Path) -> dict[str, float]:
    """How far, in percent of the picture's height, painted limbs lie from those asked for; both
    directions."""
    shown = single_things(count, HELD_OUT + 2, ("mannequin",))
    scene, camera, joints = stage.build(shown, Random(HELD_OUT))
    view, places = world.render(scene, camera, model.size), camera.project(joints, model.size)[0]
    images = drawn(places, model.size)
    pictures = model.paint(
        [plain_caption(it) for it in shown], lead=(model.controlnet("pose"), images)
    )
    save_grid(grid, torch.cat([images[:8], pictures[:8]]))
    masks = (view.part > world.GROUND).numpy()
    figures = {}
    for name, seen in (("painted", pictures), ("rendered", view.colour.movedim(-1, 1))):
        for part, away_px in distances(seen, shown, places.numpy(), masks).items():
            figures[f"{name}_{part}"] = 100 * float(np.mean(away_px)) / model.size
    return figures


def distances(
    pictures: Tensor, shown: Sequence[Description], joints: np.ndarray, masks: np.ndarray
) -> dict[str, list[float]]:
    """Pixels from each limb to the nearest paint of the mannequin's colour, and from that paint to
    the true body."""
    size, limb_to_paint, paint_to_body = pictures.shape[-1], [], []
    for picture, told, places, mask in zip(pictures, shown, joints, masks, strict=True):
        found = judge.object_in(picture, told).numpy()
        found = (
            cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
        )
        parts = np.linspace(0, 1, POINTS)[:, None]
        limbs = np.concatenate([places[a] + parts * (places[b] - places[a]) for a, b in BODY])
        limbs = limbs[((limbs >= 0) & (limbs < size)).all(1)].astype(int)
        limb_to_paint.append(float(_away_from(found)[limbs[:, 1], limbs[:, 0]].mean()))
        paint_to_body.append(float(_away_from(mask)[found].mean()) if found.any() else float(size))
    return {"limb_to_paint": limb_to_paint, "paint_to_body": paint_to_body}


def _away_from(mask: np.ndarray) -> np.ndarray:
    """Pixels to the nearest one of the mask (h, w); the picture's side where there is none."""
    if not mask.any():
        return np.full(mask.shape, float(len(mask)))
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
