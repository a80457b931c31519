"""The current frame, painted, beside what the camera sees of the scene."""

from __future__ import annotations

from collections.abc import Callable

import bpy
import gpu
import numpy as np

from t2vz_core.wire.job import frame_file

from ..capture.images import Place, read
from ..job.generation import Generation
from . import live, preview, scene_job

NAME = f"{live.OURS} One Frame"


def concluding(context: bpy.types.Context, scene: bpy.types.Scene) -> Callable[..., None]:
    """What is done when the frame is there: it is shown beside the camera's view of this moment."""
    view = camera_view(context, scene, scene_job.size_of(scene))

    def show(generation: Generation, _scene: bpy.types.Scene) -> None:
        shot, number = generation.spec.shot, generation.spec.frames[-1].number
        size_px = (shot.width_px, shot.height_px)
        painted = read(Place(generation.folder / frame_file(number)), size_px)
        pictures = [painted] if view is None else [view, painted]
        path = generation.folder / "conditions" / "one_frame.png"
        preview.show(path, preview.beside_each_other(pictures), NAME)
        beside = "" if view is None else ", on the right of the viewport's picture"
        generation.notes.append(f"Frame {number} is in the Image Editor{beside}.")

    return show


def camera_view(
    context: bpy.types.Context, scene: bpy.types.Scene, size_px: tuple[int, int]
) -> np.ndarray | None:
    """(H, W, 3) uint8: the scene through its camera as the 3D Viewport shades it; None where no
    Viewport is open."""
    areas = [a for w in context.window_manager.windows for a in w.screen.areas]
    area = next((area for area in areas if area.type == "VIEW_3D"), None)
    if area is None or scene.camera is None or bpy.app.background:
        return None
    width, height = size_px
    region = next(region for region in area.regions if region.type == "WINDOW")
    depsgraph = context.evaluated_depsgraph_get()
    seen = scene.camera.matrix_world.normalized().inverted()
    lens = scene.camera.calc_matrix_camera(depsgraph, x=width, y=height)
    space = area.spaces.active
    had_overlays, space.overlay.show_overlays = space.overlay.show_overlays, False
    offscreen = gpu.types.GPUOffScreen(width, height)
    try:
        offscreen.draw_view3d(
            scene, context.view_layer, space, region, seen, lens, do_color_management=True
        )
        pixels = np.array(offscreen.texture_color.read().to_list(), np.uint8)
    finally:
        offscreen.free()
        space.overlay.show_overlays = had_overlays
    return np.ascontiguousarray(pixels.reshape(height, width, 4)[::-1, :, :3])
