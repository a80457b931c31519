"""Every array of every scene against Cycles, which knows nothing of how they were made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from blender_addon.capture.capture import Wanted, capture
from blender_addon.job.folders import FrameArrays
from tests.blender import cycles, scenes
from tests.blender.stage import ANCHOR, LATER, Case

SHIFTED = 100.0  # added to positions that are rendered as colours, which must not be negative
SPARSE = 5  # every so many pixels are compared with Blender's own projection, which takes its time


@dataclass
class Seen:
    """A case, captured and rendered."""

    case: Case
    anchor: FrameArrays
    later: FrameArrays
    anchor_render: dict[str, np.ndarray]
    later_render: dict[str, np.ndarray]
    expected: (
        np.ndarray
    )  # (h, w, 2) px where each pixel of the later frame was in the anchor, NaN where unknown
    expected_ahead: np.ndarray  # the same from the anchor to the later frame, rigid objects only


@pytest.fixture(scope="module", params=scenes.ALL, ids=lambda make: make.__name__)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    case = request.param()
    folder = tmp_path_factory.mktemp("witness")
    cycles.prepare(case.scene, *case.render_px)
    wanted = Wanted(*case.size_px, has_flow=True)
    anchor, later = capture(case.scene, case.scene.view_layers[0], wanted, (ANCHOR, LATER))
    renders = [cycles.rendered(case.scene, number, folder) for number in (ANCHOR, LATER)]
    ahead = _projected(case, LATER, _carried(case, renders[0], ANCHOR, LATER))
    return Seen(case, anchor, later, *renders, _expected(case, renders[1], folder), ahead)


def _expected(case: Case, later: dict[str, np.ndarray], folder: Path) -> np.ndarray:
    """Where each pixel's point was in the anchor's picture, by Blender's own matrices and
    projection."""
    before = _carried(case, later, LATER, ANCHOR)
    for item in [item for item in _marked(case) if item.pass_index in case.deforms]:
        here = later["ids"].astype(int) == item.pass_index
        before[here] = _deformed(case, item, folder)[here]
    return _projected(case, ANCHOR, before)


def _carried(case: Case, render: dict[str, np.ndarray], here: int, there: int) -> np.ndarray:
    """(h, w, 3) where what a frame's render shows is in the world at another, NaN for what is not
    rigid."""
    points = np.full_like(render["position"], np.nan)
    for item in list(_marked(case)):
        if item.pass_index not in case.soft | case.deforms:
            shown = render["ids"].astype(int) == item.pass_index
            carrier = case.carriers.get(item.pass_index, item)
            points[shown] = _moved(
                render["position"][shown],
                _matrix(case, carrier, here),
                _matrix(case, carrier, there),
            )
    return points


def _marked(case: Case) -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if item.pass_index]


def _matrix(case: Case, item: bpy.types.Object, number: int) -> np.ndarray:
    case.scene.frame_set(number)
    return np.array(item.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world)


def _moved(points: np.ndarray, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    matrix = there @ np.linalg.inv(here)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _deformed(case: Case, item: bpy.types.Object, folder: Path) -> np.ndarray:
    """(h, w, 3) the anchor's world positions, carried by the vertices and rendered as colours at
    the later frame."""
    matrix = _matrix(case, item, ANCHOR)
    mesh = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    points = np.array([vertex.co for vertex in mesh.vertices])
    world = points @ matrix[:3, :3].T + matrix[:3, 3] + SHIFTED
    layer = item.data.attributes.new("was at", "FLOAT_VECTOR", "POINT")
    layer.data.foreach_set("vector", world.astype(np.float32).ravel())
    tree = item.data.materials[0].node_tree
    carried = tree.nodes.new("ShaderNodeAttribute")
    carried.attribute_name = "was at"
    light = next(node for node in tree.nodes if node.type == "EMISSION")
    tree.links.new(carried.outputs["Vector"], light.inputs["Color"])
    return cycles.rendered(case.scene, LATER, folder)["color"] - SHIFTED


def _projected(case: Case, number: int, points: np.ndarray) -> np.ndarray:
    """World points (h, w, 3) -> px (h, w, 2) in the picture of a frame; NaN but for one in
    SPARSE."""
    case.scene.frame_set(number)
    width, height = case.render_px
    points, shape = points.reshape(-1, 3), points.shape[:2]
    camera = case.scene.camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
    seen = np.full_like(points, np.nan)
    for index in range(0, len(points), SPARSE):
        seen[index] = world_to_camera_view(case.scene, camera, Vector(points[index]))
    x, y = seen[:, 0] * width - case.offset_px[0], (1 - seen[:, 1]) * height - case.offset_px[1]
    return np.stack([x, y], axis=1).reshape(*shape, 2)


def _numbers(case: Case, ids: np.ndarray) -> np.ndarray:
    """Captured numbers as pass indices."""
    names = sorted(item.name_full for item in bpy.data.objects)
    index = np.array([0, *(bpy.data.objects[name].pass_index for name in names)])
    return index[ids]


def _worst(errors: np.ndarray) -> float:
    """The 99th percentile."""
    assert errors.size > 300
    return float(np.percentile(errors, 99))


def test_depth_is_planar_and_exact(seen: Seen):
    witness = np.where(seen.later_render["depth"] > 1e9, np.inf, seen.later_render["depth"])
    both = np.isfinite(witness) & np.isfinite(seen.later.depth)
    assert (np.isfinite(witness) != np.isfinite(seen.later.depth)).mean() < 0.002
    assert _worst(np.abs(seen.later.depth[both] / witness[both] - 1)) <= 1e-3


def test_normals_are_those_that_shading_uses(seen: Seen):
    seen.case.scene.frame_set(LATER)
    rotation = np.array(seen.case.scene.camera.matrix_world.normalized().inverted().to_3x3())
    witness = seen.later_render["normal"] @ rotation.T
    both = (
        np.linalg.norm(witness, axis=-1).round()
        * np.linalg.norm(seen.later.normal, axis=-1).round()
        > 0
    )
    cosine = (witness * seen.later.normal).sum(-1)[both] / np.linalg.norm(witness[both], axis=-1)
    assert _worst(np.degrees(np.arccos(np.clip(cosine, -1, 1)))) <= 1


def test_each_object_covers_what_it_covers_in_the_render(seen: Seen):
    ids, witness = _numbers(seen.case, seen.later.ids), seen.later_render["ids"].astype(int)
    assert set(np.unique(ids)) == set(np.unique(witness))
    for index in np.unique(witness):
        overlap = (ids == index) & (witness == index)
        assert overlap.sum() / ((ids == index) | (witness == index)).sum() >= 0.99, index


def test_the_map_tells_where_each_visible_point_was(seen: Seen):
    same = _numbers(seen.case, seen.later.ids) == seen.later_render["ids"]
    known = (
        same & (seen.later.visible > 0) & np.isfinite(seen.expected[..., 0]) & (seen.later.ids > 0)
    )
    assert known.mean() > 0.01
    assert _worst(np.linalg.norm(seen.later.map - seen.expected, axis=-1)[known]) <= 0.1


def test_warping_the_anchors_render_makes_the_later_render(seen: Seen):
    assert (
        _psnr(seen.anchor_render, seen.later_render, seen.later.map, seen.later.visible > 0) >= 30
    )


def test_the_flow_back_from_the_next_frame_is_its_map(seen: Seen):
    assert np.abs(seen.later.flow_back[..., :2] + _grid(seen) - seen.later.map).max() < 0.01
    assert np.array_equal(seen.later.flow_back[..., 2] > 0, seen.later.visible > 0)


def test_the_flow_ahead_tells_where_each_visible_point_goes(seen: Seen):
    same = _numbers(seen.case, seen.anchor.ids) == seen.anchor_render["ids"]
    is_seen = seen.later.flow_here[..., 2] > 0
    known = same & is_seen & np.isfinite(seen.expected_ahead[..., 0]) & (seen.anchor.ids > 0)
    place = _grid(seen) + seen.later.flow_here[..., :2]
    assert _worst(np.linalg.norm(place - seen.expected_ahead, axis=-1)[known]) <= 0.1
    assert _psnr(seen.later_render, seen.anchor_render, place, is_seen) >= 30


def test_the_anchor_maps_to_itself(seen: Seen):
    assert np.array_equal(seen.anchor.map, _grid(seen))
    assert (
        seen.anchor.is_anchor and seen.anchor.shift_px == (0.0, 0.0) and seen.anchor.visible.all()
    )
    assert seen.anchor.flow_back is None and seen.anchor.flow_here is None


def _grid(seen: Seen) -> np.ndarray:
    y, x = np.mgrid[: seen.anchor.map.shape[0], : seen.anchor.map.shape[1]]
    return np.stack([x, y], -1) + 0.5


def _psnr(
    there: dict[str, np.ndarray],
    here: dict[str, np.ndarray],
    where: np.ndarray,
    visible: np.ndarray,
) -> float:
    """How well a render, warped, makes another, in dB.

    Away from silhouettes and borders, where the four pixels that are mixed show different things.
    """
    ids = np.stack([there["ids"]] * 3, axis=-1)
    same = np.ptp(np.stack(_neighbours(ids, where)), axis=0)[..., 0] == 0
    same &= _sampled(ids, where)[..., 0] == here["ids"]
    same &= np.min([here["color"], *_neighbours(there["color"], where)], axis=(0, 3)) > 0
    inner = same & visible
    assert inner.mean() > 0.1
    return -10 * np.log10(np.mean((_sampled(there["color"], where) - here["color"])[inner] ** 2))


def _neighbours(picture: np.ndarray, where: np.ndarray) -> list[np.ndarray]:
    """The four pixels around places (h, w, 2): top left, top right, bottom left, bottom right."""
    height, width = picture.shape[:2]
    x = np.clip(np.floor(where[..., 0] - 0.5), 0, width - 2).astype(int)
    y = np.clip(np.floor(where[..., 1] - 0.5), 0, height - 2).astype(int)
    return [picture[y + dy, x + dx] for dy in (0, 1) for dx in (0, 1)]


def _sampled(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Bilinear samples (h, w, 3) at pixel coordinates (h, w, 2) whose centres are at +0.5."""
    part = (np.clip(where - 0.5, 0, np.array(picture.shape[1::-1]) - 1) % 1)[..., None]
    (a, b, c, d), x, y = _neighbours(picture, where), part[..., 0, :], part[..., 1, :]
    return (a * (1 - x) + b * x) * (1 - y) + (c * (1 - x) + d * x) * y
