from random import Random

import pytest
import torch

from t2vz_core.demo import captions, solids, stage, world
from t2vz_core.demo.captions import Description, Thing

SIZE = 64


def scenes(count=12, seed=3):
    rng = Random(seed)
    return stage.build([captions.imagine(rng) for _ in range(count)], rng)


def pixel_centres(size=SIZE):
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    return torch.stack([x, y], -1)


def test_the_same_seed_gives_the_same_pictures():
    first, second = (world.render(*scenes(2)[:2], SIZE).colour for _ in range(2))
    assert torch.equal(first, second)


def test_what_is_seen_projects_back_to_its_own_pixel_and_depth():
    scene, camera, _ = scenes()
    view = world.render(scene, camera, SIZE)
    position, depth = camera.project(view.point.flatten(1, 2), SIZE)
    near = view.depth.flatten(1) < 50  # float32 world positions of far ground are coarse
    assert (position - pixel_centres().reshape(-1, 2))[near].abs().max() < 1e-2
    assert torch.allclose(depth[near], view.depth.flatten(1)[near], rtol=1e-4)


def test_normals_are_unit_and_face_the_camera():
    scene, camera, _ = scenes()
    view = world.render(scene, camera, SIZE)
    solid = view.part > world.GROUND
    gaze = view.point - camera.eye[:, None, None]
    assert torch.allclose(view.normal[solid].norm(dim=-1), torch.ones(int(solid.sum())), atol=1e-4)
    assert ((view.normal * gaze).sum(-1)[solid] < 1e-2).float().mean() > 0.995


@pytest.mark.parametrize("kind", solids.KINDS)
def test_every_hit_lies_on_the_surface(kind):
    size = torch.tensor([[[0.8, 0.6, 0.25]]])
    origin = torch.tensor([0.0, -3.0, 0.9]).expand(1, 2000, 3)
    aim = torch.rand(1, 2000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    t = solids.intersect(kind, origin, aim - origin, size)
    point = (origin + t[..., None] * (aim - origin))[t.isfinite()]
    across, z = point[:, :2].norm(dim=-1), point[:, 2]
    gap = {
        solids.BALL: point.norm(dim=-1) - 0.8,
        solids.CUBE: (point.abs() - torch.tensor([0.8, 0.8, 0.6])).amax(-1),
        solids.CYLINDER: torch.maximum(across - 0.8, z.abs() - 0.6),
        solids.CONE: torch.maximum(across - 0.8 * (0.6 - z) / 1.2, -0.6 - z),
        solids.TORUS: ((across - 0.8) ** 2 + z**2).sqrt() - 0.25,
        solids.CAPSULE: torch.cat([point[:, :2], (z - z.clamp(-0.6, 0.6))[:, None]], 1).norm(dim=-1)
        - 0.8,
    }[kind]
    assert len(point) > 100
    assert gap.abs().max() < 2e-3


def test_the_map_of_a_scene_at_rest_is_the_identity():
    scene, camera, _ = scenes(4)
    view = world.render(scene, camera, SIZE)
    position, visible = world.backward_map(view, scene, camera, scene, camera)
    near = view.depth < 50
    assert (position - pixel_centres())[near].abs().max() < 1e-2
    assert visible[near].float().mean() > 0.99


def test_the_map_brings_the_anchors_colours_to_a_moved_frame():
    scene, camera, _ = moving_ball()
    offset, turn = torch.zeros(1, stage.PLACES, 3), torch.eye(3).expand(1, stage.PLACES, 3, 3)
    offset[0, 0] = 0.5 * camera.axes[0, 0]
    later = world.move(scene, offset, turn)
    anchor, frame = (world.render(shown, camera, SIZE) for shown in (scene, later))
    position, visible = world.backward_map(frame, later, camera, scene, camera)
    ball = frame.part[0] == 1
    from_anchor = torch.nn.functional.grid_sample(
        anchor.colour.movedim(-1, 1), position / SIZE * 2 - 1, align_corners=False
    ).movedim(1, -1)
    moved = (position - pixel_centres())[0][ball & visible[0]]
    assert moved[:, 0].mean() < -2
    wrong = (from_anchor - frame.colour).abs().mean(-1)[0]
    assert wrong[ball & visible[0]].mean() < 0.02


def test_ground_that_the_ball_hid_in_the_anchor_is_known_to_be_hidden():
    scene, camera, _ = moving_ball()
    offset, turn = torch.zeros(1, stage.PLACES, 3), torch.eye(3).expand(1, stage.PLACES, 3, 3)
    offset[0, 0] = 0.8 * camera.axes[0, 0]
    later = world.move(scene, offset, turn)
    anchor, frame = (world.render(shown, camera, SIZE) for shown in (scene, later))
    _, visible = world.backward_map(frame, later, camera, scene, camera)
    uncovered = (anchor.part == 1) & (frame.part == world.GROUND)
    assert uncovered.sum() > 20
    assert not visible[uncovered].any()


def test_the_joints_of_a_mannequin_lie_inside_its_picture():
    figure = Description((Thing("red", "plain", "mannequin", "waving"),), "snow", "blue", "level")
    scene, camera, joints = stage.build([figure] * 4, Random(0))
    view = world.render(scene, camera, SIZE)
    position, _ = camera.project(joints, SIZE)
    for part, places in zip(view.part, position[:, 1:14], strict=True):
        body = torch.nn.functional.max_pool2d((part > 0)[None].float(), 3, 1, 1)[0]
        inside = ((places >= 0) & (places < SIZE)).all(-1)
        column, row = places[inside].long().unbind(-1)
        assert body[row, column].mean() > 0.9


def moving_ball():
    ball = Description((Thing("red", "striped", "ball"),), "grass", "blue", "level")
    return stage.build([ball], Random(5))
