"""A job.json is either a good job or one sentence."""

import dataclasses
import json
from typing import get_args, get_origin, get_type_hints

import pytest

from t2vz_core.wire.job import (
    Colour,
    Control,
    Frame,
    JobSpec,
    Lora,
    Model,
    Passes,
    PromptKey,
    Shot,
    read_job,
    write_job,
)
from t2vz_core.wire.parse import WireError

FULL = JobSpec(
    model=Model(loras=(Lora("ink.safetensors", 0.5),)),
    prompt=dataclasses.replace(
        JobSpec().prompt, text='a "red" ball\n🎈', keys=(PromptKey(3, "a blue ball"),)
    ),
    controls=(Control("depth"),),
    colours=(Colour(3, (255, 0, 128)),),
    frames=(
        Frame(1, True, (0.0, 0.0), Passes(depth="passes/depth/0001.npy")),
        Frame(2, shift_px=(-3.5, 1.0), passes=Passes(flow_back="passes/flow_back/0002.npy")),
    ),
)


def parsed(spec):
    return JobSpec.from_json(json.loads(json.dumps(spec.to_json())))


def test_a_job_survives_the_way_through_json():
    assert parsed(FULL) == FULL


def test_a_job_survives_the_way_through_a_folder(tmp_path):
    write_job(tmp_path, FULL)
    assert read_job(tmp_path) == FULL
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_the_version_comes_first():
    assert next(iter(FULL.to_json())) == "version"


def places(value, path=""):
    """Every place in a JSON value, as (path, container, key)."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        here = f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}".lstrip(".")
        yield here, value, key
        if isinstance(item, (dict, list)):
            yield from places(item, here)


def test_each_field_wrong_in_turn_is_named_in_the_sentence():
    for path in [path for path, _, _ in places(FULL.to_json())]:
        body = json.loads(json.dumps(FULL.to_json()))
        container, key = next((where, key) for here, where, key in places(body) if here == path)
        container[key] = {"surprise": [1]}
        with pytest.raises(WireError) as caught:
            JobSpec.from_json(body)
        assert str(caught.value).startswith(path), (path, str(caught.value))


def test_an_unknown_key_is_named_at_every_level():
    for path in [
        "",
        *(path for path, where, key in places(FULL.to_json()) if isinstance(where[key], dict)),
    ]:
        body = json.loads(json.dumps(FULL.to_json()))
        target = next((where[key] for here, where, key in places(body) if here == path), body)
        target["surprise"] = 1
        with pytest.raises(WireError, match="surprise: unknown key"):
            JobSpec.from_json(body)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 2}, "version: this engine reads version 1, the job has 2"),
        ({"frames": []}, "frames: must hold at least one frame"),
        (
            {"frames": [{"number": 2}, {"number": 2}]},
            "frames[1].number: must be greater than 2, not 2",
        ),
        ({"sampling": {"steps": 0}}, "sampling.steps: must lie within 1..1000, not 0"),
        ({"sampling": {"steps": True}}, "sampling.steps: must be a whole number, not true/false"),
        ({"sampling": {"guidance": float("nan")}}, "sampling.guidance: must be finite, not nan"),
        ({"sampling": {"guidance": 10**400}}, "sampling.guidance: must be finite, not 1000"),
        ({"sampling": {"seed": 10**400}}, "sampling.seed: must be finite, not 1000"),
        ({"prompt": {"text": "\ud800"}}, "prompt.text: holds half a character"),
        (
            {"prompt": {"text": "x" * 40000}},
            "prompt.text: must have 32768 characters at most, not 40000",
        ),
        ({"sampling": {"scheduler": "magic"}}, "sampling.scheduler: must be one of ddim"),
        ({"shot": {"width_px": 100}}, "shot.width_px: must be a multiple of 8, not 100"),
        ({"shot": {"near": 2.0, "far": 1.0}}, "shot.far: must be beyond near (2.0), not 1.0"),
        ({"motion": {"level_from": 950}}, "motion.level_from: must be below level_to (941)"),
        (
            {"motion": {"strength": [1, 900]}},
            "motion.strength: must lie within -512.0..512.0, not 900",
        ),
        (
            {"frames": [{"number": 1, "passes": {"map": "../secret.npy"}}]},
            "frames[0].passes.map: must stay inside",
        ),
        (
            {"frames": [{"number": 1, "passes": {"map": "/etc/passwd"}}]},
            "frames[0].passes.map: must stay inside",
        ),
        (
            {"frames": [{"number": 1, "passes": {"map": "C:\\x"}}]},
            "frames[0].passes.map: must stay inside",
        ),
        (
            {"frames": [{"number": 1, "passes": {"map": "passes/a\0b.npy"}}]},
            "frames[0].passes.map: must stay inside",
        ),
    ],
)
def test_a_wrong_value_gets_its_sentence(change, sentence):
    with pytest.raises(WireError) as caught:
        JobSpec.from_json({**FULL.to_json(), **change})
    assert str(caught.value).startswith(sentence)


def test_a_missing_job_is_a_sentence(tmp_path):
    with pytest.raises(WireError, match=r"holds no job\.json"):
        read_job(tmp_path)


def test_a_broken_job_is_a_sentence_and_a_bad_one_is_never_written(tmp_path):
    (tmp_path / "job.json").write_text("[" * 100_000)
    with pytest.raises(WireError, match=r"job\.json: is not JSON"):
        read_job(tmp_path)
    (tmp_path / "job.json").write_text("{")
    with pytest.raises(WireError, match=r"job\.json: "):
        read_job(tmp_path)
    with pytest.raises(WireError):
        write_job(tmp_path, dataclasses.replace(FULL, shot=Shot(width_px=65)))
    assert (tmp_path / "job.json").read_text() == "{"


def test_a_job_that_an_editor_saved_with_a_byte_order_mark_is_read(tmp_path):
    write_job(tmp_path, FULL)
    body = (tmp_path / "job.json").read_text(encoding="utf-8")
    (tmp_path / "job.json").write_text(body, encoding="utf-8-sig")
    assert read_job(tmp_path) == FULL


def test_every_default_lies_in_its_own_range():
    def leaves(kind):
        for name, hint in get_type_hints(kind).items():
            inner = get_args(hint)[0] if get_origin(hint) is tuple else hint
            if dataclasses.is_dataclass(inner):
                yield from leaves(inner)
            else:
                yield next(field for field in dataclasses.fields(kind) if field.name == name)

    for field in leaves(JobSpec):
        values = field.default if isinstance(field.default, tuple) else (field.default,)
        if "low" in field.metadata:
            assert all(
                field.metadata["low"] <= value <= field.metadata["high"] for value in values
            ), field
        if "options" in field.metadata:
            assert field.default in field.metadata["options"], field
