"""Conditions are the pictures the public ControlNets know, the same range for the whole shot."""

from dataclasses import replace

import numpy as np
import pytest

from t2vz_core.conditions.controlnet import (
    CONDITIONS,
    conditions,
    depth_range,
    id_colours,
    notes,
)
from t2vz_core.conditions.openpose import COLOURS, draw_people
from t2vz_core.fault import Fault
from t2vz_core.job_folder.passes import Source
from t2vz_core.wire.job import CONTROLS, Colour, Control, Frame, JobSpec, Passes, Shot

SIZE = 64


class Arrays:
    """Passes in memory: {frame number: {pass: array}}."""

    def __init__(self, frames):
        self.frames = frames

    def read(self, frame, name):
        return self.frames[frame.number][name]


def shot(*frames, kinds=("depth",), **settings):
    listed = tuple(
        Frame(number, passes=Passes(**{name: f"passes/{name}.npy" for name in arrays}))
        for number, arrays in enumerate(frames, 1)
    )
    spec = JobSpec(
        shot=Shot(width_px=SIZE, height_px=SIZE, **settings),
        controls=tuple(Control(kind) for kind in kinds),
        frames=listed,
    )
    return spec, Arrays(dict(enumerate(frames, 1)))


def draw(kind, **arrays):
    spec, source = shot(arrays, kinds=(kind,))
    (picture,) = conditions(spec, source, spec.frames[0])
    assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8
    return picture


def flat(value, dtype=np.float32):
    return np.full((SIZE, SIZE), value, dtype)


def facing(*direction):
    return np.broadcast_to(np.float32(direction), (SIZE, SIZE, 3)).copy()


def test_every_kind_of_control_on_the_wire_can_be_drawn():
    assert set(CONDITIONS) == set(CONTROLS)


def test_depth_is_one_range_for_the_whole_shot():
    spec, source = shot({"depth": flat(2.0)}, {"depth": flat(4.0)}, {"depth": flat(8.0)})
    greys = [conditions(spec, source, frame)[0][0, 0, 0] for frame in spec.frames]
    assert greys == [255, 85, 0]  # inverse depth: 4 is a third of the way from 1/8 to 1/2


def test_the_background_is_black_and_does_not_stretch_the_range():
    depth = flat(2.0)
    depth[:, :32], depth[:, 60:] = np.inf, 4.0
    picture = draw("depth", depth=depth)
    assert picture[0, 0].tolist() == [0, 0, 0] and picture[0, 40].tolist() == [255, 255, 255]


def test_the_artists_near_and_far_win_over_the_shots():
    spec, source = shot({"depth": flat(2.0)}, near=1.0, far=4.0)
    assert depth_range(spec, source) == (1.0, 4.0)
    assert conditions(spec, source, spec.frames[0])[0][0, 0, 0] == 85


def test_depth_is_searched_through_once_per_job():
    spec, source = shot(*[{"depth": flat(d)} for d in (2.0, 3.0, 4.0)])
    reads = []
    source.read = lambda frame, name, read=source.read: (
        reads.append(frame.number) or read(frame, name)
    )
    for frame in spec.frames:
        conditions(spec, source, frame)
    assert sorted(reads) == [1, 1, 2, 2, 3, 3]


def test_before_an_open_background_the_farthest_surface_is_not_black():
    """A wall that fills half of the picture 6 away, a ball 5 away: as inverse depth has them."""
    depth = flat(np.inf)
    depth[:, :32], depth[20:40, 10:20] = 6.0, 5.0
    picture = draw("depth", depth=depth)[..., 0]
    assert picture[0, 0] == 213 and picture[30, 15] == 255 and picture[0, 60] == 0


def test_without_a_background_the_farthest_surface_is_black():
    depth = flat(6.0)
    depth[20:40, 10:20] = 5.0
    assert draw("depth", depth=depth)[0, 0, 0] == 0


def leaf(depth, share=0.014):
    """The picture with something at 0.12 in a part of it."""
    with_leaf = depth.copy()
    with_leaf.ravel()[: round(share * depth.size)] = 0.12
    return with_leaf


@pytest.mark.parametrize("background", [8.0, np.inf])
@pytest.mark.parametrize("length", [1, 5])
def test_one_near_thing_does_not_blacken_the_shot(background, length):
    depth = flat(background)
    depth[16:48, 16:48] = np.linspace(4.0, 5.0, 32, dtype=np.float32)
    spec, source = shot({"depth": leaf(depth)}, *[{"depth": depth}] * (length - 1))
    assert depth_range(spec, source) == (4.0, background)
    grey = [conditions(spec, source, frame)[0][30, 16, 0] for frame in spec.frames]
    assert grey == [255] * length and conditions(spec, source, spec.frames[0])[0][0, 0, 0] == 255
    (note,) = notes(spec, source)
    assert note.startswith("Depth: what is nearer than 4, down to 0.12, is drawn as white as that")


def test_what_is_near_and_large_is_the_shots_nearest():
    spec, source = shot({"depth": leaf(flat(8.0), share=0.2)})
    assert depth_range(spec, source)[0] == pytest.approx(0.12) and notes(spec, source) == []


def test_a_small_thing_alone_before_the_background_keeps_its_range():
    depth = flat(np.inf)
    depth[30:36, 30:36] = np.linspace(4.0, 7.0, 36, dtype=np.float32).reshape(6, 6)
    spec, source = shot({"depth": depth})
    assert depth_range(spec, source)[0] == 4.0 and notes(spec, source) == []


def test_the_artists_near_needs_no_note():
    spec, source = shot({"depth": leaf(flat(8.0))}, near=0.1)
    assert notes(spec, source) == []


def test_depth_that_is_written_anew_between_two_jobs_has_a_range_of_its_own(tmp_path):
    spec, _ = shot({"depth": flat(2.0)}, {"depth": flat(4.0)})
    frames = tuple(
        replace(frame, passes=Passes(depth=f"{frame.number}.npy")) for frame in spec.frames
    )
    spec = replace(spec, frames=frames)
    for nearest in (2.0, 1.0):
        np.save(tmp_path / "1.npy", flat(nearest))
        np.save(tmp_path / "2.npy", flat(4.0))
        assert depth_range(spec, Source(tmp_path)) == (nearest, 4.0)


@pytest.mark.parametrize(("value", "grey"), [(np.inf, 0), (3.0, 255)])
def test_a_shot_of_one_depth_or_none_is_drawn_all_the_same(value, grey):
    assert (draw("depth", depth=flat(value)) == grey).all()


@pytest.mark.parametrize(
    ("direction", "colour"),
    [
        ((0, 0, 1), (128, 128, 255)),
        ((-1, 0, 0), (255, 128, 128)),  # "red is left"
        ((0, 1, 0), (128, 255, 128)),  # "green is top"
        ((0, 0, 0), (128, 128, 255)),  # background
    ],
)
def test_normals_have_normalbaes_colours(direction, colour):
    assert draw("normal", normal=facing(*direction))[5, 5].tolist() == list(colour)


def test_canny_finds_the_border_of_a_square_in_the_image():
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[16:48, 16:48] = 255
    picture = draw("edges", image=image)
    assert picture[14:19, 30].max() == 255 and picture[28:36, 28:36].max() == 0


def test_a_steep_plane_has_no_outline():
    rows = np.arange(SIZE, dtype=np.float32)[:, None] + 1
    depth = np.broadcast_to(100.0 / rows, (SIZE, SIZE)).astype(np.float32)
    assert draw("outline", depth=depth, normal=facing(0, 1, 0)).max() == 0


def test_a_silhouette_is_outlined_one_pixel_wide_on_the_nearer_side():
    depth = flat(10.0)
    depth[20:40, 20:40] = 5.0
    inside = draw("outline", depth=depth, normal=facing(0, 0, 1))[..., 0] > 0
    ring = np.zeros((SIZE, SIZE), bool)
    ring[20:40, 20:40] = True
    ring[21:39, 21:39] = False
    assert (inside == ring).all()


def test_creases_and_borders_between_objects_are_outlined_too():
    normal, ids = facing(0, 0, 1), flat(1, np.int32)
    normal[:, 32:] = (1, 0, 0)
    ids[50:] = 2
    drawn = draw("outline", depth=flat(5.0), normal=normal, ids=ids)[..., 0] > 0
    assert drawn[:, 31].all() and drawn[49].all() and drawn.sum() == 2 * SIZE - 1


def test_a_silhouette_against_the_background_is_outlined():
    depth, normal = flat(np.inf), facing(0, 0, 0)
    depth[:, 32:], normal[:, 32:] = 3.0, (0, 0, 1)
    drawn = draw("outline", depth=depth, normal=normal)[..., 0] > 0
    assert drawn[:, 32].all() and drawn.sum() == SIZE


def test_an_object_keeps_its_colour_whatever_else_is_in_the_picture():
    alone, crowd = flat(0, np.int32), flat(7, np.int32)
    alone[10, 10] = crowd[10, 10] = 3
    crowd[20:] = 1_234_567
    assert (draw("segments", ids=alone)[10, 10] == draw("segments", ids=crowd)[10, 10]).all()
    assert draw("segments", ids=alone)[0, 0].tolist() == [0, 0, 0]


def test_an_object_to_which_the_artist_gave_a_colour_has_it():
    ids = flat(3, np.int32)
    ids[:8] = 4
    spec, source = shot({"ids": ids}, kinds=("segments",))
    (picture,) = conditions(
        replace(spec, colours=(Colour(3, (6, 230, 128)),)), source, spec.frames[0]
    )
    assert picture[20, 0].tolist() == [6, 230, 128]
    assert picture[0, 0].tolist() == id_colours(np.array([4]))[0].tolist()


def test_thirty_objects_have_thirty_colours_apart():
    colours = id_colours(np.arange(31)).astype(int)
    apart = abs(colours[:, None] - colours[None]).max(-1) + 255 * np.eye(31, dtype=int)
    assert apart.min() > 20


def test_a_missing_pass_is_one_sentence_naming_frame_and_pass(tmp_path):
    spec, _ = shot({"depth": flat(1.0)}, kinds=("normal",))
    with pytest.raises(Fault, match=r"^Frame 1 has no normal pass"):
        conditions(spec, Source(tmp_path), spec.frames[0])


def test_a_pass_of_another_size_is_one_sentence_naming_both():
    spec, source = shot({"depth": np.ones((32, SIZE), np.float32)})
    with pytest.raises(
        Fault, match=r"^Frame 1: what the depth control reads is 64×32 pixels, the shot is 64×64"
    ):
        conditions(spec, source, spec.frames[0])


def test_one_picture_per_control_in_the_jobs_order():
    spec, source = shot(
        {"depth": flat(1.0), "normal": facing(-1, 0, 0)}, kinds=("normal", "depth", "normal")
    )
    pictures = conditions(spec, source, spec.frames[0])
    assert [picture[0, 0, 1] for picture in pictures] == [128, 255, 128]
    assert conditions(replace(spec, controls=()), source, spec.frames[0]) == []


def test_hands_of_others_than_the_people_are_a_sentence(tmp_path):
    people, hands = np.zeros((2, 18, 3), "f4"), np.zeros((1, 2, 21, 3), "f4")
    np.save(tmp_path / "pose.npy", people)
    np.save(tmp_path / "hands.npy", hands)
    frame = Frame(1, passes=Passes(pose="pose.npy", hands="hands.npy"))
    spec = JobSpec(shot=Shot(64, 64), controls=(Control("pose"),), frames=(frame,))
    with pytest.raises(Fault, match="hands of 1 people and poses of 2"):
        conditions(spec, Source(tmp_path), frame)


@pytest.mark.parametrize("far", [1e5, 1e30])
def test_a_joint_far_outside_of_the_picture_leaves_the_others_as_they_are(far):
    person = standing(512)
    near = draw_people(person, 512, 512)
    person[0, 4, :2] = (-far, far)  # the right wrist, and with it a forearm down to the left
    drawn = draw_people(person, 512, 512)
    assert np.array_equal(drawn[:, 200:], near[:, 200:])
    assert drawn[300:, :60].any()


def standing(size):
    at = [
        (.5, .1), (.5, .2), (.4, .2), (.35, .35), (.3, .5), (.6, .2), (.65, .35), (.7, .5),
        (.45, .5),
        (.45, .7), (.45, .9), (.55, .5), (.55, .7), (.55, .9), (.48, .08), (.52, .08), (.46, .1),
        (.54, .1),
    ]  # fmt: skip
    return np.concatenate([np.float32(at) * size, np.ones((18, 1), np.float32)], axis=1)[None]


def test_joints_have_full_colour_and_limbs_sixty_percent():
    people = standing(512)
    picture = draw_people(people, 512, 512)
    for (x, y), colour in zip(people[0, 2:14, :2], COLOURS[2:14]):
        assert picture[int(y), int(x)].tolist() == list(colour)
    x, y = people[0, [9, 10], :2].mean(0)  # the right shin is the ninth limb
    assert picture[int(y), int(x)].tolist() == [int(0.6 * c) for c in COLOURS[8]]


def test_a_joint_not_seen_takes_its_limbs_with_it():
    people = standing(512)
    people[0, 9, 2], people[0, 9, :2] = 0, np.nan
    picture = draw_people(people, 512, 512)
    assert picture[int(0.6 * 512), int(0.45 * 512)].max() == 0
    assert picture[int(0.9 * 512), int(0.45 * 512)].tolist() == list(COLOURS[10])


def test_strokes_grow_with_the_picture():
    small, usual, large = (draw_people(standing(size), size, size) for size in (256, 512, 1024))
    light = [picture.mean() for picture in (small, usual, large)]
    assert max(light) / min(light) < 1.1


def test_half_size_is_the_usual_picture_averaged():
    usual = draw_people(standing(512), 512, 512).astype(float)
    averaged = usual.reshape(256, 2, 256, 2, 3).mean((1, 3))
    assert abs(draw_people(standing(256), 256, 256) - averaged).max() <= 1


def test_hands_are_drawn_over_the_body_in_twenty_hues_with_blue_knuckles():
    people, hands = standing(512), np.zeros((1, 2, 21, 3), np.float32)
    fingers, parts = np.divmod(np.arange(20), 4)
    hands[0, 0, 1:] = np.stack([40 + 20 * fingers, 400 + 20 * parts, np.ones(20)], axis=1)
    hands[0, 0, 0] = 80, 350, 1
    hands[0, 0, 20, 2] = 0
    picture = draw_people(people, 512, 512, hands)
    assert picture[400, 40].tolist() == [0, 0, 255]
    assert picture[410, 40].tolist() == [255, 77, 0]  # the second bone: hue 1/20
    assert picture[460, 120].max() == 0 and picture[450, 120].max() == 0  # the last tip is not seen
    assert (
        draw_people(people, 512, 512, np.zeros_like(hands)) == draw_people(people, 512, 512)
    ).all()


def test_a_frame_with_hands_has_them_drawn():
    hands = np.full((1, 2, 21, 3), (30, 30, 1), np.float32)
    people = np.zeros((1, 18, 3), np.float32)
    assert draw("pose", pose=people, hands=hands).any() and not draw("pose", pose=people).any()


def test_nobody_on_screen_is_black():
    assert draw("pose", pose=np.zeros((0, 18, 3), np.float32)).max() == 0
