"""CONTRIBUTING's recipes, followed word by word in a copy of the house, lead to what they say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (A .+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
ORDER = re.compile(
    r"^(?:In `(?P<file>[^`]+)`, (?P<where>after|before|in place of) `(?P<line>[^`]+)`"
    r"|Write `(?P<new>[^`]+)`|(?P<check>Check)):\n\n```\w+\n(?P<code>.*?)```",
    re.MULTILINE | re.DOTALL,
)


@pytest.fixture
def house(tmp_path):
    left_out = shutil.ignore_patterns("__pycache__", "demo", "*.part")
    for half in ("t2vz_core", "blender_addon"):
        shutil.copytree(ROOT / half, tmp_path / half, ignore=left_out)
    return tmp_path


def follow(house: Path, order: re.Match[str]) -> None:
    """Does what one order of a recipe says."""
    if order["check"]:
        code = f"from pathlib import Path\n{order['code']}"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=house, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return
    if order["new"]:
        assert not (house / order["new"]).exists()
        (house / order["new"]).write_text(order["code"], encoding="utf-8")
        return
    file = house / order["file"]
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    at = [i for i, line in enumerate(lines) if line.rstrip("\n") == order["line"]]
    assert len(at) == 1, f"{order['file']} has {len(at)} lines {order['line']!r}"
    begin = at[0] + (order["where"] == "after")
    end = at[0] + (order["where"] != "before")
    lines[begin:end] = [order["code"]]
    file.write_text("".join(lines), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_followed_word_by_word_leads_where_it_says(house, recipe):
    orders = list(ORDER.finditer(RECIPES[recipe]))
    assert len(orders) >= 2 and orders[-1]["check"]
    for order in orders:
        follow(house, order)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_without_the_recipe_its_check_fails(house, recipe):
    *_, check = ORDER.finditer(RECIPES[recipe])
    with pytest.raises(AssertionError):
        follow(house, check)


def test_every_piece_of_code_in_a_recipe_is_followed():
    for recipe, text in RECIPES.items():
        assert len(ORDER.findall(text)) == text.count("```") // 2 > 0, recipe


def test_the_house_has_a_recipe_for_each_thing_that_is_added_most():
    assert RECIPES.keys() >= {"A condition", "A solver", "A pass", "A rig"}
