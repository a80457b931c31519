"""The arrays of a frame: what each is, said once for its writer, its reader and the docs.

Pixels: x right, y down, origin at the top-left corner of the picture, pixel centres at +0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pass:
    """An array: its axes, of any length where they are named, its number format and its meaning."""

    axes: tuple[str | int, ...]
    dtype: str
    meaning: str

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape may be one."""
        same = len(shape) == len(self.axes)
        return same and all(isinstance(a, str) or a == n for a, n in zip(self.axes, shape))

    @property
    def is_picture(self) -> bool:
        """Whether it has a value for every pixel."""
        return self.axes[:2] == ("H", "W")

    @property
    def array(self) -> str:
        """`(H, W, 3) uint8`, as the docs write it."""
        return f"({', '.join(map(str, self.axes))}) {self.dtype}"


PASSES = {
    "image": Pass(("H", "W", 3), "uint8", "sRGB picture of the frame, `.png` or `.npy`"),
    "depth": Pass(
        ("H", "W"),
        "float32",
        "planar depth (along the camera's axis) in scene units; background `inf`",
    ),
    "normal": Pass(
        ("H", "W", 3),
        "float32",
        "camera space: x right, y up, z towards the viewer; background 0",
    ),
    "ids": Pass(("H", "W"), "int32", "one number for each object, background 0"),
    "pose": Pass(("people", 18, 3), "float32", "COCO-18 joints: x px, y px, 1 seen or 0 not"),
    "hands": Pass(
        ("people", 2, 21, 3),
        "float32",
        "OpenPose's points of left and right hand, wrist first; optional",
    ),
    "start": Pass(
        ("H", "W", 3), "uint8", "picture that the frame starts from, where it is not `image`"
    ),
    "repaint": Pass(
        ("H", "W"), "uint8", "0 where a picture that is started from stays as it is; optional"
    ),
    "mask": Pass(("H", "W"), "uint8", "255 foreground, 0 background"),
    "map": Pass(
        ("H", "W", 2),
        "float32",
        "x px, y px at which the point seen here was seen in the anchor frame",
    ),
    "visible": Pass(
        ("H", "W"),
        "uint8",
        "255 where that point was visible there, 0 where it was hidden or outside",
    ),
    "disturbed": Pass(
        ("H", "W"),
        "uint8",
        "255 where what is seen has stood still since the anchor near to something that has not, "
        "whose shadow may have left it or come to it: within the longest side of that thing's "
        "box, then or now",
    ),
    "flow_back": Pass(
        ("H", "W", 3),
        "float32",
        "movement x px, y px to where the point seen here was in the job's frame before; "
        "1 seen there or 0 not; none at an anchor",
    ),
    "flow_ahead": Pass(
        ("H", "W", 3),
        "float32",
        "the same to the job's next frame; none before an anchor and at the end",
    ),
}


@dataclass(frozen=True)
class Passes:
    """Arrays of one frame, as paths relative to the job folder; null where there is none.

    Each is a .npy file, or a rendered multilayer .exr (wire/rendered.py), which may stand for
    several; not for pose. What they hold is said in PASSES.
    """

    image: str | None = None
    depth: str | None = None
    normal: str | None = None
    ids: str | None = None
    pose: str | None = None
    hands: str | None = None
    start: str | None = None
    repaint: str | None = None
    mask: str | None = None
    map: str | None = None
    visible: str | None = None
    disturbed: str | None = None
    flow_back: str | None = None
    flow_ahead: str | None = None


def table() -> str:
    """PASSES as docs/wire.md shows them."""
    rows = [f"| `{name}` | {one.array} | {one.meaning} |" for name, one in PASSES.items()]
    return "\n".join(["| pass | array | meaning |", "|---|---|---|", *rows])
