from dataclasses import replace
from random import Random

from t2vz_core.demo.captions import COLOURS, Description, Thing, caption, imagine, plain_caption
from t2vz_core.demo.train.instruct import instruct

PICTURE = Description((Thing("orange", "striped", "cone"),), "sand", "night", "level")


def test_the_plain_caption_names_all_there_is():
    assert plain_caption(PICTURE) == "a striped orange cone on sand at night"


def test_the_article_is_an_before_a_vowel():
    plain = replace(PICTURE, things=(replace(PICTURE.things[0], finish="plain"),))
    assert plain_caption(plain).startswith("an orange cone")


def test_no_caption_names_a_colour_that_is_not_there():
    rng = Random(0)
    for _ in range(300):
        picture = imagine(rng)
        shown = {thing.colour for thing in picture.things}
        objects = caption(picture, rng).replace("blue sky", "").replace("green meadow", "")
        assert set(objects.replace(",", "").split()) & set(COLOURS) <= shown


def test_an_instruction_changes_one_thing_only():
    rng = Random(1)
    for _ in range(100):
        before = imagine(rng)
        _, after = instruct(before, rng)
        fields = ("ground", "sky", "view")
        changes = sum(getattr(before, name) != getattr(after, name) for name in fields)
        changes += sum(a != b for a, b in zip(before.things, after.things, strict=True))
        assert changes == 1
