from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import nn

from t2vz_core.demo import world
from t2vz_core.demo.captions import Description, Thing
from t2vz_core.demo.train import dataset, instruct, normal, pose, style
from t2vz_core.demo.train.diffusion import noise_loss, schedule
from t2vz_core.demo.train.lead import controlled
from t2vz_core.demo.train.loop import Plan, train

PLAN = Plan(steps=40, batch=8, rate=0.05, report_every=20, sample_every=20, warmup=1)


def learn_a_line(plan, checkpoint):
    torch.manual_seed(0)
    samples = []

    def loss_of(model, batch):
        x = torch.randn(batch, 1)
        return (model(x).float() - 3 * x).square().mean()

    model = train(nn.Linear(1, 1), loss_of, plan, checkpoint, lambda _, step: samples.append(step))
    return model, samples


def test_training_learns_and_shows_samples_on_its_way(tmp_path):
    model, samples = learn_a_line(replace(PLAN, steps=200), tmp_path / "line.pt")
    assert abs(model.weight.item() - 3) < 0.3
    assert samples == list(range(20, 201, 20))


def test_training_goes_on_where_it_stopped(tmp_path):
    learn_a_line(PLAN, tmp_path / "line.pt")
    _, samples = learn_a_line(replace(PLAN, steps=80), tmp_path / "line.pt")
    assert samples == [60, 80]


def test_knowing_the_noise_costs_nothing():
    latents = torch.randn(8, 4, 4, 4)
    seen = []

    def cheat(noisy, times, words):
        alpha = schedule().alphas_cumprod[times][:, None, None, None]
        seen.append(times)
        return (noisy - alpha.sqrt() * latents) / (1 - alpha).sqrt()

    assert noise_loss(cheat, latents, torch.zeros(8, 1, 1)) < 1e-4
    assert (seen[0].sort().values // 125).tolist() == list(range(8))


def test_shards_can_be_described_again_without_their_pictures():
    assert dataset.describe(3, 20) == dataset.describe(3, 20)
    assert dataset.describe(3, 20) != dataset.describe(4, 20)


def test_an_edit_keeps_camera_and_place():
    before = dataset.describe(5, 6)
    asked, after = instruct.instructions(before, 5)
    assert len(asked) == 6
    one, other = (dataset.photographs(shown, 5, 32)[0].float() for shown in (before, after))
    kept = ((one - other).abs().amax(1) < 3).float().mean((1, 2))
    assert kept.max() > 0.3
    assert (one != other).flatten(1).any(1).all()


def test_a_person_in_a_mirror_is_still_right_and_left_handed():
    told = [it for it in dataset.describe(1) if it.things[0].shape == "mannequin"][:1]
    joints = dataset.photographs(told, 1, 64)[2]
    places = pose.drawn(joints, 64, mirrored=True), pose.drawn(joints, 64).flip(-1)
    lit = [picture.amax(1) > 0.3 for picture in places]
    assert (lit[0] == lit[1]).float().mean() > 0.98  # the same stick figure in another place
    assert (
        places[0] - places[1]
    ).abs().amax() > 0.3  # whose colours, which tell the sides, are not mirrored


def test_each_control_leads_its_own_rows():
    class Net(nn.Module):
        def __init__(self, strength):
            super().__init__()
            self.strength = strength

        def forward(self, latents, times, words, pictures, return_dict):
            assert len(latents) == len(times) == len(words) == len(pictures)
            return [torch.full_like(latents, self.strength)], torch.full_like(
                latents, 10 * self.strength
            )

    def unet(latents, times, words, down_block_additional_residuals, mid_block_additional_residual):
        return SimpleNamespace(
            sample=latents + down_block_additional_residuals[0] + mid_block_additional_residual
        )

    leads = [(Net(1.0), torch.zeros(2, 3, 8, 8)), (Net(2.0), torch.zeros(1, 3, 8, 8))]
    led = controlled(unet, leads)(torch.zeros(5, 4, 1, 1), torch.zeros(5), torch.zeros(5, 1, 1))
    assert led[:, 0, 0, 0].tolist() == [11, 11, 22, 0, 0]


def test_a_cartoon_is_flat_and_outlined():
    scene, camera, _ = dataset.stage.build(dataset.describe(1, 2), dataset.Random(0))
    view = world.render(scene, camera, 64)
    drawing = style.cartoon(view)
    assert drawing.shape == (2, 3, 32, 32)
    assert len(drawing.unique()) < len(view.colour.unique()) / 10


def test_normals_are_red_where_the_ball_turns_left_in_a_mirror_too():
    ball = Description((Thing("red", "plain", "ball"),), "snow", "blue", "level")
    scene, camera, _ = dataset.stage.build([ball], dataset.Random(3))
    pictures = normal.painted(scene, camera, 32) / 255
    is_ball = world.render(scene, camera, 32).part[0] == 1
    assert (2 * pictures - 1).norm(dim=1).sub(1).abs().max() < 0.02
    for seen, where in ((pictures, is_ball), (normal.mirror(pictures), is_ball.flip(-1))):
        columns = where.nonzero()[:, 1]
        middle = columns.float().mean()
        red = seen[0, 0][where]
        assert red[columns < middle - 1].min() > 0.5 > red[columns > middle + 1].max()
