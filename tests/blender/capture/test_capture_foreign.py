"""What artists' scenes show in renders alone is captured as Cycles renders it, and nothing of
theirs is lost."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon.capture.capture import Wanted, capture
from tests.blender import cycles, foreign_scenes, stage
from tests.blender.capture.test_capture import captured
from tests.blender.file_dump import differences, dump
from tests.blender.stage import ANCHOR, LATER, Case, add

PASSES = frozenset({"depth", "ids", "map", "normal"})


@pytest.mark.parametrize("make", foreign_scenes.ALL, ids=lambda make: make.__name__)
def test_it_is_captured_as_it_is_rendered_and_left_as_it_was(make, tmp_path):
    case = make()
    cycles.prepare(case.scene, *case.render_px)
    case.scene.frame_set(ANCHOR)
    before = dump()
    frames = list(
        capture(
            case.scene,
            case.scene.view_layers[0],
            Wanted(*case.size_px, PASSES),
            (ANCHOR, LATER),
            print,
        )
    )
    assert differences(before, dump()) == []
    for found in frames:
        witness = cycles.rendered(case.scene, found.number, tmp_path)
        depth = np.where(witness["depth"] > 1e9, np.inf, witness["depth"])
        is_off = np.isfinite(found.depth) != np.isfinite(depth)
        both = np.isfinite(found.depth) & np.isfinite(depth)
        is_off[both] = np.abs(found.depth[both] / depth[both] - 1) > 0.01
        assert is_off.mean() < 0.005
        assert set(np.unique(_pass_indices(found.ids))) == set(
            np.unique(witness["ids"].astype(int))
        )
        assert np.isfinite(found.map).all() and np.isfinite(found.normal).all()


def _pass_indices(ids: np.ndarray) -> np.ndarray:
    names = sorted(item.name_full for item in bpy.data.objects)
    return np.array([0, *(bpy.data.objects[name].pass_index for name in names)])[ids]


def test_a_simulation_that_is_not_baked_is_played_on_and_not_lost():
    case, cloth = _falling_cloth()
    case.scene.frame_set(10)
    played, seen = _height(cloth), []
    case.scene.frame_set(12)
    kept, notes = cloth.modifiers["cloth"].point_cache.info, []
    asked = Wanted(64, 48, frozenset({"depth"}))
    for frame in capture(case.scene, case.scene.view_layers[0], asked, (10, 11), notes.append):
        if frame is not None:
            seen.append(_height(cloth))
    assert seen[0] == pytest.approx(played, abs=1e-6) and seen[1] < seen[0] - 0.02
    assert cloth.modifiers["cloth"].point_cache.info == kept
    assert notes == [
        "cloth: the simulation is not baked, so it is captured as the viewport plays it."
    ]


def test_a_baked_simulation_is_captured_with_the_renders_modifiers():
    case, cloth = _falling_cloth()
    cache = cloth.modifiers["cloth"].point_cache
    cache.frame_end = 12
    with bpy.context.temp_override(scene=case.scene, active_object=cloth, point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)
    kept = cache.info
    run = capture(
        case.scene, case.scene.view_layers[0], Wanted(64, 48, frozenset({"depth"})), (10, 11), print
    )
    next(run)
    assert cloth.modifiers["smooth"].levels == 1
    run.close()
    assert cache.is_baked and cache.info == kept


def test_rigid_bodies_fall_on_and_are_named_once():
    case = stage.fresh()
    bpy.ops.rigidbody.world_add()
    case.scene.rigidbody_world.collection = bpy.data.collections.new("falling")
    for x in (-2, 2):
        stone = add(case, f"stone {x}", bpy.ops.mesh.primitive_cube_add, size=1, location=(x, 0, 5))
        smooth = stone.modifiers.new("smooth", "SUBSURF")
        smooth.levels, smooth.render_levels = 0, 1
        case.scene.rigidbody_world.collection.objects.link(stone)
    for number in range(1, 13):
        case.scene.frame_set(number)
    heights, notes = [], []
    asked = Wanted(64, 48, frozenset({"depth"}))
    for frame in capture(case.scene, case.scene.view_layers[0], asked, (10, 12), notes.append):
        shown = stone.evaluated_get(bpy.context.evaluated_depsgraph_get())
        if frame is not None:
            heights.append(shown.matrix_world.translation.z)
    assert heights[1] < heights[0] - 0.2 < 4.6
    assert notes == [
        "Rigid bodies: the simulation is not baked, so it is captured as the viewport plays it."
    ]


def _falling_cloth() -> tuple[Case, bpy.types.Object]:
    """A cloth, finer in renders, that has been played from frame 1 to 12."""
    case = stage.fresh()
    cloth = add(
        case,
        "cloth",
        bpy.ops.mesh.primitive_grid_add,
        x_subdivisions=5,
        y_subdivisions=5,
        location=(0, 0, 3),
    )
    cloth.modifiers.new("cloth", "CLOTH")
    smooth = cloth.modifiers.new("smooth", "SUBSURF")
    smooth.levels, smooth.render_levels = 0, 1
    for number in range(1, 13):
        case.scene.frame_set(number)
    return case, cloth


def _height(item: bpy.types.Object) -> float:
    mesh = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    return sum(vertex.co.z for vertex in mesh.vertices) / len(mesh.vertices)


def test_what_another_addon_removes_meanwhile_does_not_keep_the_rest_from_being_put_back():
    case = stage.fresh()
    for name in ("stays", "goes"):
        smooth = add(
            case, name, bpy.ops.mesh.primitive_cube_add, location=(0, -2, 1)
        ).modifiers.new("s", "SUBSURF")
        smooth.levels, smooth.render_levels = 0, 2
    case.scene.objects["ball"].hide_set(True)

    def swaps(scene: bpy.types.Scene, _depsgraph: bpy.types.Depsgraph) -> None:
        if scene.frame_current == LATER and "goes" in bpy.data.objects:
            bpy.data.objects.remove(bpy.data.objects["goes"])

    bpy.app.handlers.frame_change_post.append(swaps)
    try:
        captured(case)
    finally:
        bpy.app.handlers.frame_change_post.remove(swaps)
    assert case.scene.objects["stays"].modifiers["s"].levels == 0
    assert case.scene.objects["ball"].hide_get() and "goes" not in bpy.data.objects


def test_what_is_selected_stays_selected_though_renders_hide_it():
    case = stage.fresh()
    cutter = add(case, "cutter", bpy.ops.mesh.primitive_cube_add, location=(0, -2, 1))
    cutter.hide_render = True
    captured(case)
    assert cutter.select_get()


def test_hair_that_particles_make_is_named_as_not_captured():
    case = stage.fresh()
    case.scene.objects["ball"].modifiers.new("fur", "PARTICLE_SYSTEM")
    case.scene.objects["ball"].particle_systems[0].settings.type = "HAIR"
    assert captured(case)[1] == ["ball has hair, which is not captured."]
