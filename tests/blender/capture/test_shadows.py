"""What stands near to something that moved: where a render's own shadows come and go, and nothing
without a cause."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from blender_addon.capture.capture import Wanted, capture
from tests.blender import cycles, stage
from tests.blender.stage import ANCHOR, HEIGHT_PX, LATER, WIDTH_PX, Case, add, animate

PASSES = frozenset({"ids", "disturbed"})


def disturbed(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The pass (h, w) bool at the later frame, and the ids."""
    run = capture(
        case.scene, case.scene.view_layers[0], Wanted(WIDTH_PX, HEIGHT_PX, PASSES), (ANCHOR, LATER)
    )
    anchor, later = run
    assert not anchor.disturbed.any()
    return later.disturbed > 0, later.ids


def lit_by_a_sun(case: Case) -> Case:
    """Ground and ball a dull grey under a slanting sun and a black sky, instead of lights of their
    own."""
    case.scene.world = None
    grey = bpy.data.materials.new("grey")
    grey.use_nodes = True
    for name in ("ground", "ball"):
        case.scene.objects[name].data.materials[0] = grey
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.angle = 0
    sun.rotation_euler = (0.6, 0.5, 0)
    case.scene.collection.objects.link(sun)
    return case


def number_of(name: str) -> int:
    return 1 + sorted(item.name_full for item in bpy.data.objects).index(name)


def test_the_shadows_that_come_and_go_in_a_render_lie_within_it(tmp_path: Path):
    case = lit_by_a_sun(stage.fresh())
    stage.rolling_ball(case)
    found, ids = disturbed(case)
    cycles.prepare(case.scene, WIDTH_PX, HEIGHT_PX)
    before, after = (cycles.rendered(case.scene, number, tmp_path) for number in (ANCHOR, LATER))
    ground = (ids == number_of("ground")) & (before["ids"] == after["ids"]) & (after["ids"] == 1)
    changed = ground & (
        np.abs(after["color"] - before["color"]).max(-1) > 0.02 * before["color"].max()
    )
    assert changed.sum() > 200 and found[changed].all()
    assert 0.1 < found[ground].mean() < 0.9


def test_what_moves_itself_is_not_in_it_and_neither_is_the_sky():
    case = stage.fresh()
    stage.rolling_ball(case)
    found, ids = disturbed(case)
    assert found.any() and not found[(ids == 0) | (ids == number_of("ball"))].any()


def test_a_camera_alone_disturbs_nothing():
    case = stage.fresh()
    stage.walking_camera(case)
    assert not disturbed(case)[0].any()


def test_what_moves_far_away_disturbs_nothing_here():
    case = stage.fresh()
    ball = add(case, "far", bpy.ops.mesh.primitive_uv_sphere_add, radius=0.5, location=(0, 60, 0))
    animate(ball, "location", (0, 60, 0), (3, 60, 0))
    assert not disturbed(case)[0].any()


def test_what_appears_disturbs_too():
    case = stage.fresh()
    animate(case.scene.objects["ball"], "hide_render", True, False)
    assert disturbed(case)[0].any()


def test_what_changes_its_form_disturbs_too():
    case = stage.fresh()
    ball = case.scene.objects["ball"]
    ball.shape_key_add(name="rest")
    for point in ball.shape_key_add(name="wide").data:
        point.co *= 1.3
    animate(ball.data.shape_keys.key_blocks["wide"], "value", 0, 1)
    assert disturbed(case)[0].any()
