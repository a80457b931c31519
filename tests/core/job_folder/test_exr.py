"""Rendered files of every layout Blender writes become the passes that a capture would have
given."""

import json
import os
from dataclasses import replace

import numpy as np
import OpenEXR
import pytest

from t2vz_core.fault import Fault
from t2vz_core.job_folder import exr
from t2vz_core.job_folder.passes import Source
from t2vz_core.wire.exr_layout import channel_names, channels_of, view_layers
from t2vz_core.wire.job import Frame, Passes
from t2vz_core.wire.rendered import Rendered, write_rendered

HEIGHT, WIDTH = 64, 96
FOCAL = 80.0
LAYOUTS = ("one part", "a part for each pass", "file output")
INDEX = {
    "one part": "IndexOB",
    "a part for each pass": "Object Index",
    "file output": "Object Index",
}
MANIFEST = {"Cube": "a8fce865", "Floor": "4159b52a"}


def camera(x=0.0, turn=0.0, focal=FOCAL, is_orthographic=False):
    """A camera at (x, 0, 0) that looks along world +y, turned by `turn` about z: to_pixel and
    to_camera as tuples."""
    c, s = np.cos(turn), np.sin(turn)
    right, forward = np.array([c, s, 0]), np.array([-s, c, 0])
    axes = np.stack([right, [0, 0, 1], -forward])
    to_camera = np.column_stack([axes, -axes @ [x, 0, 0]])
    lens = np.array([[focal, 0, -WIDTH / 2], [0, -focal, -HEIGHT / 2], [0, 0, -1.0]])
    to_pixel = lens @ to_camera
    if is_orthographic:
        to_pixel = np.array([[10.0, 0, 0], [0, -10.0, 0], [0, 0, 0]]) @ to_camera + [
            [0, 0, 0, WIDTH / 2],
            [0, 0, 0, HEIGHT / 2],
            [0, 0, 0, 1],
        ]
    return {"to_pixel": tuple(to_pixel.ravel()), "to_camera": tuple(to_camera.ravel())}


def plain(depth=5.0):
    """The layers of a wall that fills the picture's left two thirds, with nothing beside it."""
    wall = np.zeros((HEIGHT, WIDTH), bool)
    wall[:, : 2 * WIDTH // 3] = True
    number = np.float32(
        np.where(wall, np.uint32(0xA8FCE865).view(np.int32), 0).astype(np.int32).view(np.float32)
    )
    return {
        "Combined": np.where(wall[..., None], np.float32(0.5), 0).repeat(4, -1),
        "Depth": np.where(wall, depth, 1e10)[..., None],
        "Normal": np.where(wall[..., None], [0.0, -1.0, 0.0], 0.0),
        "Vector": np.zeros((HEIGHT, WIDTH, 4)),
        "Index": np.where(wall, 7, 0)[..., None],
        "CryptoObject00": np.stack([number, wall, 0 * number, 0 * number], -1),
    }


ENDINGS = {
    "Combined": "RGBA",
    "Depth": "Z",
    "Normal": "XYZ",
    "Vector": "XYZW",
    "Index": "X",
    "CryptoObject00": "rgba",
}


def write(path, layers, layout="one part", **said):
    """Writes layers {name: (H, W, n)} as Blender lays them out, and what is said beside them."""
    header = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
    header |= {"cryptomatte/542cafa/manifest": json.dumps(MANIFEST)}
    header |= {"cryptomatte/542cafa/name": "ViewLayer.CryptoObject"}
    parts = []
    for name, values in layers.items():
        title = INDEX[layout] if name == "Index" else name
        prefix = "" if layout == "file output" else "ViewLayer."
        endings = "V" if layout == "file output" and name == "Depth" else ENDINGS[name]
        channels = {
            f"{prefix}{title}.{ending}": np.ascontiguousarray(values[..., i], np.float32)
            for i, ending in enumerate(endings)
        }
        parts.append((f"ViewLayer.{title}", channels))
    if layout == "a part for each pass":
        bare = {
            "type": OpenEXR.scanlineimage
        }  # Blender writes the manifest into the first part only
        heads = [dict(header if not i else bare, name=name) for i, (name, _) in enumerate(parts)]
        made = [
            OpenEXR.Part(head, channels, head["name"]) for head, (_, channels) in zip(heads, parts)
        ]
        OpenEXR.File(made).write(str(path))
    else:
        OpenEXR.File(header, {k: v for _, ch in parts for k, v in ch.items()}).write(str(path))
    write_rendered(path, Rendered(**{"width_px": WIDTH, "height_px": HEIGHT, **camera(), **said}))


def read(path, name):
    return Source(path.parent).read(Frame(1, passes=Passes(**{name: path.name})), name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_passes(tmp_path, layout):
    path = tmp_path / "0001.exr"
    write(path, plain(), layout, subject=("Cube",))
    wall = slice(0, 2 * WIDTH // 3)
    depth, normal = read(path, "depth"), read(path, "normal")
    assert (depth[:, wall] == 5).all() and np.isinf(depth[:, 70:]).all()
    assert normal[3, 3] == pytest.approx([0, 0, 1]) and not normal[:, 70:].any()
    assert set(read(path, "ids")[:, wall].flat) == {7} and not read(path, "ids")[:, 70:].any()
    assert (read(path, "mask")[:, wall] == 255).all() and not read(path, "mask")[:, 70:].any()
    assert (read(path, "image")[:, wall] == 188).all()  # 0.5 in sRGB


def test_world_normals_turn_into_the_cameras_space(tmp_path):
    path = tmp_path / "0001.exr"
    layers = plain()
    write(
        path, layers, **camera(turn=np.pi / 2)
    )  # looks along -x: the wall's -y is now at its left
    assert read(path, "normal")[3, 3] == pytest.approx([-1, 0, 0], abs=1e-6)


def test_a_clip_end_written_for_nothing_is_nothing(tmp_path):
    path = tmp_path / "0001.exr"
    layers = plain()
    layers["Depth"] = np.where(layers["Depth"] > 1e9, 100.0, layers["Depth"])
    write(path, layers, far=100.0)
    assert np.isinf(read(path, "depth")[:, 70:]).all() and (read(path, "depth")[:, 0] == 5).all()


def test_a_renderers_pixels_that_are_no_numbers_are_background_and_black(tmp_path):
    path, layers = tmp_path / "0001.exr", plain()
    for name in ("Combined", "Depth", "Normal"):
        layers[name] = layers[name].astype(np.float32)
        layers[name][2, 3] = np.nan
    write(path, layers)
    assert np.isposinf(read(path, "depth")[2, 3])
    assert not read(path, "image")[2, 3].any() and not read(path, "normal")[2, 3].any()
    assert np.isfinite(read(path, "depth")).any()


def test_objects_without_pass_index_are_told_apart_by_cryptomatte(tmp_path):
    path = tmp_path / "0001.exr"
    layers = plain()
    layers["Index"] = 0 * layers["Index"]
    write(path, layers)
    assert set(read(path, "ids").flat) == {0, int(np.uint32(0xA8FCE865).view(np.int32))}


def test_a_subject_is_found_by_its_pass_index_where_there_is_no_cryptomatte(tmp_path):
    path = tmp_path / "0001.exr"
    layers = plain()
    del layers["CryptoObject00"]
    write(path, layers, subject=("Cube",), subject_indices=(7,))
    assert read(path, "mask")[0, 0] == 255 and read(path, "mask")[0, 90] == 0


def test_a_larger_render_is_taken_at_picture_size(tmp_path):
    path = tmp_path / "0001.exr"
    layers = {name: values.repeat(2, 0).repeat(2, 1) for name, values in plain().items()}
    write(path, layers)
    assert read(path, "depth").shape == (HEIGHT, WIDTH)
    assert (read(path, "depth")[:, : 2 * WIDTH // 3] == 5).all() and np.isinf(
        read(path, "depth")[:, 64:]
    ).all()


def test_a_pass_not_rendered_is_a_sentence_that_names_file_and_pass(tmp_path):
    path = tmp_path / "0001.exr"
    layers = plain()
    del layers["Normal"]
    write(path, layers)
    with pytest.raises(
        Fault, match=r"^0001\.exr was rendered without the Normal pass: switch it on"
    ):
        read(path, "normal")


def test_a_broken_file_and_a_missing_note_are_sentences(tmp_path):
    path = tmp_path / "0001.exr"
    write(path, plain())
    path.with_suffix(".json").unlink()
    with pytest.raises(Fault, match=r"0001\.json"):
        read(path, "depth")
    write(path, plain())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(Fault, match="cannot be read"):
        read(path, "depth")


def shot(tmp_path, frames):
    """Writes [(layers, said)] as a chain from the anchor on; the paths."""
    paths = [tmp_path / f"{number:04d}.exr" for number in range(1, len(frames) + 1)]
    for i, (path, (layers, said)) in enumerate(zip(paths, frames)):
        write(path, layers, **{"previous": paths[i - 1].name if i else None, **said})
    return paths


def moving_box(count, step=(4, 2)):
    """A box that moves by `step` px (x right, y down) a frame before a wall; as (layers, said)."""
    frames = []
    for k in range(count):
        layers = {**plain(), "Depth": np.full((HEIGHT, WIDTH, 1), 5.0)}
        x, y = 20 + step[0] * k, 20 + step[1] * k
        box = np.s_[y : y + 16, x : x + 16]
        layers["Depth"][box] = 2.0
        layers["Vector"][box] = [-step[0], step[1], -step[0], step[1]]
        frames.append((layers, {}))
    return frames


def test_the_anchors_map_is_the_identity_and_all_of_it_visible(tmp_path):
    (path,) = shot(tmp_path, moving_box(1))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    assert (read(path, "map") == np.stack([x, y], -1)).all() and (
        read(path, "visible") == 255
    ).all()


def test_vectors_are_chained_to_the_anchor_with_y_turned_down(tmp_path):
    *_, last = shot(tmp_path, moving_box(4))
    place, visible = read(last, "map"), read(last, "visible")
    assert place[30, 36] == pytest.approx([36.5 - 12, 30.5 - 6]) and visible[30, 36] == 255
    assert place[5, 5] == pytest.approx([5.5, 5.5]) and visible[5, 5] == 255


def test_reading_frame_after_frame_opens_each_file_once(tmp_path, monkeypatch):
    paths = shot(tmp_path, moving_box(6))
    opened = []
    monkeypatch.setattr(
        exr.OpenEXR,
        "File",
        lambda p, _open=OpenEXR.File, **how: opened.append(p) or _open(p, **how),
    )
    frames = [(read(path, "map"), read(path, "visible"), read(path, "depth")) for path in paths]
    assert len(opened) == len(paths)
    assert frames[-1][0][30, 44] == pytest.approx([44.5 - 20, 30.5 - 10])


def test_what_the_box_uncovers_was_not_visible_in_the_anchor(tmp_path):
    *_, last = shot(tmp_path, moving_box(4))
    visible = read(last, "visible")
    assert not visible[21:26, 21:31].any()  # where the box stood
    assert visible[:18].all() and visible[28:40, 34:46].all()


def test_the_sky_follows_the_cameras_turn_and_distance_does_not_matter(tmp_path):
    def frame(turn):
        layers = plain()
        layers["Depth"][:] = 1e10
        return layers, camera(turn=turn)

    *_, last = shot(tmp_path, [frame(0), frame(0.05), frame(0.1)])
    place = read(last, "map")
    expected = WIDTH / 2 - FOCAL * np.tan(0.1 - np.arctan(0.5 / FOCAL))
    assert place[HEIGHT // 2, WIDTH // 2] == pytest.approx([expected, HEIGHT / 2 + 0.5], abs=0.6)
    assert place[HEIGHT // 2, WIDTH // 2, 0] == pytest.approx(expected, abs=0.05)


def test_vectors_zeroed_by_motion_blur_are_a_sentence(tmp_path):
    *_, last = shot(tmp_path, [(plain(), camera(x=0)), (plain(), camera(x=0.5))])
    with pytest.raises(Fault, match="as motion blur leaves them"):
        read(last, "map")


@pytest.mark.parametrize(
    ("one", "two", "what"),
    [
        (
            {"is_orthographic": True},
            {"is_orthographic": True, "x": 0.5},
            "moving orthographic camera",
        ),
        ({}, {"focal": 100.0}, "animated lens"),
    ],
)
def test_vectors_that_do_not_follow_an_orthographic_or_zooming_camera_are_a_sentence(
    tmp_path, one, two, what
):
    wrong = plain()
    wrong["Vector"][:, :50] = [5.7, -8.0, 5.7, -8.0]
    *_, last = shot(tmp_path, [(plain(), camera(**one)), (wrong, camera(**two))])
    with pytest.raises(Fault, match=what):
        read(last, "map")


def test_right_vectors_of_a_moving_orthographic_camera_are_taken(tmp_path):
    right = plain()
    right["Vector"][..., :] = [
        5,
        0,
        5,
        0,
    ]  # half a unit to the right at 10 px a unit: content came from the right
    *_, last = shot(
        tmp_path,
        [(right, camera(is_orthographic=True)), (right, camera(x=0.5, is_orthographic=True))],
    )
    assert read(last, "map")[10, 10] == pytest.approx([15.5, 10.5])


def test_a_note_that_leads_out_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "0001.exr"
    write(path, plain())
    write_rendered(path, replace(Rendered(**camera()), previous="../0000.exr"))
    with pytest.raises(Fault, match="must be a file beside it"):
        read(path, "map")


def two_layers(path, layout="one part", **said):
    """Environment, a wall at depth 9, and Characters, one at 5 that its own manifest calls Hero."""
    kinds = {
        "Environment": (plain(9.0), {"Set": "a8fce865"}),
        "Characters": (plain(), {"Hero": "a8fce865"}),
    }
    head = {"type": OpenEXR.scanlineimage}
    channels = {}
    for key, (name, (layers, manifest)) in zip(("1", "2"), kinds.items()):
        head[f"cryptomatte/{key}/name"] = f"{name}.CryptoObject"
        head[f"cryptomatte/{key}/manifest"] = json.dumps(manifest)
        for title in ("Depth", "CryptoObject00"):
            for i, ending in enumerate(ENDINGS[title]):
                values = np.ascontiguousarray(layers[title][..., i], np.float32)
                channels[f"{name}.{title}.{ending}"] = values
    OpenEXR.File(head, channels).write(str(path))
    write_rendered(path, Rendered(width_px=WIDTH, height_px=HEIGHT, **camera(), **said))


def test_of_several_view_layers_the_named_one_is_read_by_its_own_manifest(tmp_path):
    path = tmp_path / "0001.exr"
    two_layers(path, layer="Characters", subject=("Hero",))
    assert read(path, "depth")[0, 0] == 5
    assert read(path, "mask")[0, 0] == 255 and read(path, "mask")[0, 90] == 0
    two_layers(path, layer="Environment", subject=("Hero",))
    assert read(path, "depth")[0, 0] == 9 and not read(path, "mask").any()


def test_a_view_layer_that_the_file_lacks_is_a_sentence(tmp_path):
    path = tmp_path / "0001.exr"
    two_layers(path, layer="Props")
    with pytest.raises(Fault, match=r"does not hold the view layer Props but .*Environment"):
        read(path, "depth")


def test_the_only_view_layer_of_a_file_is_taken_whatever_its_name(tmp_path):
    path = tmp_path / "0001.exr"
    write(path, plain(), layer="Renamed since")
    assert read(path, "depth")[0, 0] == 5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_files_head_names_its_channels_without_a_library(tmp_path, layout):
    path = tmp_path / "0001.exr"
    write(path, plain(), layout)
    known = {
        name
        for part in OpenEXR.File(str(path), separate_channels=True).parts
        for name in part.channels
    }
    assert sorted(channel_names(path)) == sorted(known)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="no EXR file, or is cut short"):
        channel_names(path)


def test_a_dot_in_a_view_layers_name_loses_nothing():
    names = [
        f"Shot.A v1.2.{pass_}" for pass_ in ("Combined.R", "Combined.G", "Combined.B", "Depth.Z")
    ]
    assert view_layers(names) == ["Shot.A v1.2"]
    for layer in ("", "Shot.A v1.2"):
        assert channels_of(names, layer, "depth") == ("Shot.A v1.2.Depth.Z",)
        assert channels_of(names, layer, "normal") is None


def test_a_file_rendered_anew_is_read_anew(tmp_path):
    path = tmp_path / "0001.exr"
    for depth in (5.0, 6.0):
        write(path, plain(depth))
        os.utime(path, ns=(0, round(depth)))
        assert read(path, "depth")[0, 0] == depth


def test_vectors_rendered_anew_are_followed_anew(tmp_path):
    for step in ((4, 2), (2, 0)):
        *_, last = shot(tmp_path, moving_box(2, step))
        os.utime(last, ns=(0, step[0]))
        x, y = 20 + step[0] + 8, 20 + step[1] + 8
        assert read(last, "map")[y, x] == pytest.approx([x + 0.5 - step[0], y + 0.5 - step[1]])
