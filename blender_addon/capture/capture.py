"""A frame range of the scene becomes arrays: depth, normals, ids, masks, and where each point was
at the anchor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import bpy
import numpy as np

from ..geometry.correspondence import backward_map, past, shift, sighted
from ..geometry.projection import View, depths, pixel_centres, places, turn
from ..geometry.rasteriser import centre_samples
from ..geometry.shadows import disturbed
from ..geometry.surfaces import Sight, camera_normals, surface_at
from ..job.folders import FrameArrays
from .animated_values import AnimatedValues
from .armatures import joints
from .cameras import CaptureError, camera_view
from .meshes import Reader
from .render_state import RenderState

PASSES = frozenset(
    {"depth", "normal", "ids", "mask", "pose", "hands", "map", "visible", "disturbed"}
)
SHAPES = frozenset({"depth", "normal"})  # passes that are empty where nothing is in sight
SOURCES = ("camera", "object", "own", "sum")
JUMP = 0.2  # less of the picture than this was in sight at the frame before: the camera has jumped,
JUMP_RAD = 1.0  # or it has turned by more than this
CHANGES = "Frame {}: the camera changes, so the motion starts anew there."
CUT = (
    "Render Region is on without Crop to Render Region: outside of the region all is empty, in "
    "every pass and in what is made of them."
)
COARSE = 8  # every so many pixels are asked whether it has


@dataclass(frozen=True)
class Wanted:
    """What to read of each frame.

    passes:  names out of PASSES
    source:  whence shift_px: "camera": the visible scene's flow, "object": the target as the camera
             sees it, "own": the target's own movement, the camera held still at the anchor, "sum":
             camera + own
    target:  object whose movement is meant; bone: name of a bone of it, if it is an armature
    subject: object (with all its children) or collection that the mask shows; None: every surface
    has_flow: also read the movement between each frame and the one before, both ways
    pixel_aspect: width:height of a pixel; 0: the scene's
    has_shift: also tell how far the content has moved; with neither this nor anything else wanted
        no camera is needed and no surface
    """

    width_px: int
    height_px: int
    passes: frozenset[str] = PASSES
    source: str = "camera"
    target: bpy.types.Object | None = None
    bone: str = ""
    subject: bpy.types.Object | bpy.types.Collection | None = None
    has_flow: bool = False
    pixel_aspect: float = 0.0
    has_shift: bool = True

    @property
    def needs_sight(self) -> bool:
        """Whether anything is wanted that the camera sees."""
        return bool(self.passes) or self.has_flow or self.has_shift


def object_numbers() -> dict[str, int]:
    """The number of each object in the ids pass, by its full name."""
    return {
        name: index
        for index, name in enumerate(sorted(item.name_full for item in bpy.data.objects), 1)
    }


def capture(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    wanted: Wanted,
    numbers: Iterable[int],
    note: Callable[[str], None] = print,
    past: Past | None = None,
) -> Iterator[FrameArrays | None]:
    """Reads the frames `numbers`, in this order, one at a time; the first is the anchor. It may be
    none yet (None): a simulation is led up to it.

    The scene's frame moves while this runs and is put back at the end, also when closed early.
    `past` is what an earlier capture, closed early, has kept for this one, which goes on from
    there. `note` is told, once each, what the artist should know (a new anchor after a cut, hair
    that is not captured).

    Raises:
        CaptureError: no camera, a panoramic one, or nothing to see; one sentence.
    """
    frame, subframe, camera = scene.frame_current, scene.frame_subframe, scene.camera
    run = _Run(scene, view_layer, wanted, note, Past() if past is None else past)
    values = AnimatedValues()
    if wanted.needs_sight and scene.render.use_border and not scene.render.use_crop_to_border:
        run.note(CUT)
    try:
        yield from run.frames(numbers)
    finally:
        run.state.restore()
        scene.frame_set(frame, subframe=subframe)
        with suppress(ReferenceError):  # it may have been removed meanwhile
            scene.camera = camera
        values.restore()
        view_layer.update()


@dataclass
class _Moment:
    """What is kept of a frame: what is seen, its camera, the target's place or None, and poses if
    wanted."""

    sight: Sight
    camera: str
    target: np.ndarray | None
    pose: np.ndarray | None
    hands: np.ndarray | None


@dataclass
class Past:
    """What of the frames already read the next ones need; no part of the file, so that it outlasts
    saving and undo.

    number, camera: of the last frame; by_hand: how far a motion set by hand has come, px
    """

    anchor: _Moment | None = None
    before: _Moment | None = None
    number: int | None = None
    camera: str = ""
    by_hand: tuple[float, float] = (0.0, 0.0)
    told: set[str] = field(default_factory=set)
    has_shape: bool = False
    has_person: bool = False
    crowns: dict[str, np.ndarray | None] = field(default_factory=dict)
    object_numbers: dict[str, int] = field(default_factory=dict)
    earlier: Past | None = None  # as it was before the last frame, which may not have come through


class _Run:
    """One capture: what it wants, and what it remembers."""

    def __init__(
        self,
        scene: bpy.types.Scene,
        view_layer: bpy.types.ViewLayer,
        wanted: Wanted,
        note: Callable[[str], None],
        past: Past,
    ):
        self.scene, self.view_layer, self.wanted, self.past = scene, view_layer, wanted, past
        self.state = RenderState(scene, view_layer, self.note, wanted.target)
        self.pixels = pixel_centres(wanted.width_px, wanted.height_px)
        self.tell = note
        past.object_numbers = past.object_numbers or object_numbers()
        self.reader = Reader(
            view_layer,
            _names(wanted.subject),
            "normal" in wanted.passes,
            self.note,
            past.object_numbers,
        )

    def note(self, text: str) -> None:
        if text not in self.past.told:
            self.past.told.add(text)
            self.tell(text)

    def frames(self, numbers: Iterable[int]) -> Iterator[FrameArrays | None]:
        if self.wanted.needs_sight:
            yield from self._seen(numbers)
        else:
            yield from self._unseen(numbers)

    def _unseen(self, numbers: Iterable[int]) -> Iterator[FrameArrays]:
        """The frames as such, with new anchors where markers change the camera."""
        past = self.past
        for number in numbers:
            past.earlier = replace(past, earlier=None)
            self.scene.frame_set(number)
            camera = self.scene.camera.name_full if self.scene.camera else ""
            is_first = past.number is None
            if is_cut := not is_first and camera != past.camera:
                self.note(CHANGES.format(number))
            past.number, past.camera = number, camera
            yield FrameArrays(number, is_first or is_cut)

    def _seen(self, numbers: Iterable[int]) -> Iterator[FrameArrays | None]:
        past = self.past
        for number in numbers:
            past.earlier = replace(past, earlier=None)
            yield from self.state.steps_to(number)
            self.state.show_frame(number)
            now, before = self._moment(), past.before
            if before is None:
                self._check_scene(number, now)
            is_anchor = before is None or self._is_cut(number, now, before)
            past.anchor = now if is_anchor or past.anchor is None else past.anchor
            arrays = self._arrays(number, now, past.anchor)
            if self.wanted.has_flow and before is not None and not is_anchor:
                back = self._flow(now.sight, before.sight)
                here = self._flow(before.sight, now.sight)
                arrays = replace(arrays, flow_back=back, flow_here=here)
            past.has_shape |= bool((~_is_empty(now.sight)).any())
            past.has_person |= now.pose is not None and len(now.pose) > 0
            past.before, past.number = now, number
            yield arrays
        self._check_sight()

    def _check_scene(self, number: int, now: _Moment) -> None:
        if not now.sight.snapshot.bodies and (now.pose is None or not len(now.pose)):
            raise CaptureError(
                f"The scene {self.scene.name} has nothing to capture at frame {number}: "
                "no surface is shown in renders."
            )

    def _check_sight(self) -> None:
        """Refuses a shot whose conditions would be empty from its first frame to its last."""
        passes = self.wanted.passes
        shows_surfaces = passes & SHAPES or ("ids" in passes and "image" not in passes)
        if "pose" in passes and not passes & SHAPES:
            if not self.past.has_person:
                raise CaptureError(
                    "Nobody whose armature is recognised is in the camera's sight in any of these "
                    "frames, so there is no pose to draw."
                )
        elif shows_surfaces and not (self.past.has_shape or self.past.has_person):
            raise CaptureError(
                "Nothing that can be captured is in the camera's sight in any of these frames: "
                "point the camera at it, or choose other frames."
            )

    def _is_cut(self, number: int, now: _Moment, before: _Moment) -> bool:
        """Whether the camera changes or jumps; said once for each frame."""
        if now.camera != before.camera:
            self.note(CHANGES.format(number))
        elif self._jumps(now, before):
            self.note(f"Frame {number}: the camera jumps, so the motion starts anew there.")
        else:
            return False
        return True

    def _jumps(self, now: _Moment, before: _Moment) -> bool:
        view, earlier = now.sight.snapshot.view, before.sight.snapshot.view
        if np.allclose(view.to_pixel, earlier.to_pixel):
            return False
        coarse = np.arange(len(self.pixels)).reshape(view.height_px, -1)[::COARSE, ::COARSE].ravel()
        seen, doubtful = sighted(past(now.sight, before.sight, self.note, coarse), before.sight)
        return (seen | doubtful).mean() < JUMP or turn(view, earlier) > JUMP_RAD

    def _moment(self) -> _Moment:
        depsgraph = self._depsgraph()
        wanted = self.wanted
        view = camera_view(
            self.scene, depsgraph, wanted.width_px, wanted.height_px, wanted.pixel_aspect
        )
        snapshot = self.reader.snapshot(depsgraph, view)
        pose = hands = None
        if "pose" in self.wanted.passes:
            has_hands = "hands" in self.wanted.passes
            pose, hands = joints(depsgraph, snapshot, self.note, has_hands, self.past.crowns)
        surface = surface_at(snapshot, centre_samples(view.width_px, view.height_px))
        return _Moment(
            Sight(snapshot, surface),
            self.scene.camera.name_full,
            self._target(depsgraph),
            pose,
            hands,
        )

    def _depsgraph(self) -> bpy.types.Depsgraph:
        with bpy.context.temp_override(scene=self.scene, view_layer=self.view_layer):
            return bpy.context.evaluated_depsgraph_get()

    def _target(self, depsgraph: bpy.types.Depsgraph) -> np.ndarray | None:
        if self.wanted.target is None:
            return None
        target, bone = self.wanted.target.evaluated_get(depsgraph), self.wanted.bone
        if not self.wanted.target.visible_get(view_layer=self.view_layer):
            self.note(
                f"{target.name} is not shown in the view layer: unless it moves what is, "
                "it is not followed."
            )
        if not bone:
            return np.array(target.matrix_world.translation)
        if target.pose is None or bone not in target.pose.bones:
            raise CaptureError(
                f"{target.name} has no bone {bone}: choose one of its bones, or none."
            )
        return np.array(target.matrix_world @ target.pose.bones[bone].head)

    def _arrays(self, number: int, now: _Moment, anchor: _Moment) -> FrameArrays:
        where, visible, moved = self.pixels, np.ones(len(self.pixels), bool), (0.0, 0.0)
        if now is not anchor:
            where, visible = backward_map(now.sight, anchor.sight, self.note)
            moved = self._shift(now, anchor, where, visible)
        passes = self._passes(now.sight)
        passes |= {"pose": now.pose, "hands": now.hands}
        passes["map"] = self._picture(where, np.float32)
        passes["visible"] = self._picture(visible * 255, np.uint8)
        if "disturbed" in self.wanted.passes:
            passes["disturbed"] = self._picture(disturbed(now.sight, anchor.sight) * 255, np.uint8)
        wanted = {name: array for name, array in passes.items() if name in self.wanted.passes}
        return FrameArrays(number, now is anchor, moved, **wanted)

    def _flow(self, here: Sight, there: Sight) -> np.ndarray:
        """(H, W, 3) float32: movement in px from here to there, and 1 where it is seen there."""
        where, seen = backward_map(here, there, self.note)
        return self._picture(np.column_stack([where - self.pixels, seen]), np.float32)

    def _shift(
        self, now: _Moment, anchor: _Moment, where: np.ndarray, visible: np.ndarray
    ) -> tuple[float, float]:
        moved = np.zeros(2)
        if self.wanted.source in ("camera", "sum") or now.target is None:
            moved += shift(where, visible, self.pixels, np.isfinite(now.sight.surface.depth))
        if self.wanted.source in ("object", "own", "sum") and now.target is not None:
            held = anchor.sight.snapshot.view
            moved += _travelled(
                now.sight.snapshot.view if self.wanted.source == "object" else held, now.target
            )
            moved -= _travelled(held, anchor.target)
        return float(moved[0]), float(moved[1])

    def _passes(self, sight: Sight) -> dict[str, np.ndarray]:
        """The arrays of this frame alone; holdouts are empty in them, as in a render."""
        bodies, surface = sight.snapshot.bodies, sight.surface
        is_empty = _is_empty(sight)
        number = np.array([body.number for body in bodies] + [0])[surface.body]
        is_subject = np.array([body.is_subject for body in bodies] + [False])[surface.body]
        passes = {
            "depth": self._picture(np.where(is_empty, np.inf, surface.depth), np.float32),
            "ids": self._picture(np.where(is_empty, 0, number), np.int32),
            "mask": self._picture((is_subject & ~is_empty) * 255, np.uint8),
        }
        if "normal" in self.wanted.passes:
            normals = np.where(is_empty[:, None], 0, camera_normals(sight.snapshot, surface))
            passes["normal"] = self._picture(normals, np.float32)
        return passes

    def _picture(self, values: np.ndarray, dtype: type) -> np.ndarray:
        """(n, …) -> (height, width, …)."""
        return values.astype(dtype).reshape(
            self.wanted.height_px, self.wanted.width_px, *values.shape[1:]
        )


def _is_empty(sight: Sight) -> np.ndarray:
    """(n,) bool: nothing is seen, or a holdout, which shows as nothing."""
    holdouts = [body.is_holdout for body in sight.snapshot.bodies]
    return np.array([*holdouts, True])[sight.surface.body]


def _travelled(view: View, point: np.ndarray) -> np.ndarray:
    """Where a point (3,) is on screen (2,) px, held at the near plane so that it cannot pass behind
    the camera."""
    lifted = point + view.to_camera[2, :3] * min(depths(view, point[None])[0] - view.near, 0)
    return places(view, lifted[None])[0]


def _names(subject: bpy.types.Object | bpy.types.Collection | None) -> frozenset[str]:
    if subject is None:
        return frozenset(item.name_full for item in bpy.data.objects)
    items = (
        subject.all_objects
        if isinstance(subject, bpy.types.Collection)
        else [subject, *subject.children_recursive]
    )
    return frozenset(item.name_full for item in items)
