"""People for a ControlNet to follow, as OpenPose draws them."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...conditions.openpose import JOINTS, draw_people
from . import dataset
from .lead import Control

TRIED = 8
RIGHT_SHOULDER, LEFT_SHOULDER = JOINTS.index("right_shoulder"), JOINTS.index("left_shoulder")
FACE = [JOINTS.index(joint) for joint in ("nose", "right_eye", "left_eye")]
SWAPPED = {"right": "left", "left": "right"}
MIRROR = [
    JOINTS.index("_".join(SWAPPED.get(word, word) for word in joint.split("_"))) for joint in JOINTS
]


def control(out: Path, size: int, share: float) -> Control:
    """Pose, which the mannequins' pictures have."""
    joints = dataset.read(out / f"scenes-{size}", "joints")
    told = [it for it in dataset.describe(dataset.HELD_OUT) if it.things[0].shape == "mannequin"][
        :TRIED
    ]
    seen = drawn(dataset.photographs(told, 1, size)[2], size)
    people = joints.isfinite().all((1, 2)).nonzero()[:, 0]
    return Control(
        "pose",
        share,
        people,
        lambda rows, mirrored: drawn(joints[rows], size, mirrored),
        (told, seen),
    )


def drawn(joints: Tensor, size: int, mirrored: bool = False) -> Tensor:
    """Joints (n, 18, 2) in pixels as the add-on draws them, (n, 3, size, size) in 0..1; hidden is
    what is off the picture, and the eyes and nose of who shows us the back."""
    if mirrored:
        joints = joints[:, MIRROR] * joints.new_tensor([-1, 1]) + joints.new_tensor([size, 0])
    seen = ((joints >= 0) & (joints < size)).all(-1)
    faces_us = joints[:, RIGHT_SHOULDER, 0] < joints[:, LEFT_SHOULDER, 0]
    seen[:, FACE] &= faces_us[:, None]
    people = torch.cat([joints, seen[..., None]], -1).numpy()
    pictures = np.stack([draw_people(person[None], size, size) for person in people])
    return torch.from_numpy(pictures).movedim(-1, 1) / 255
