"""The engine is set up beside the one that works, and takes its place once it has answered."""

import json
import time
from datetime import datetime

import pytest

from blender_addon.job import engine_setup
from blender_addon.job.engine_setup import CANCELLED, DONE, FAILED, Plan, SetUp

FAKE_UV = """#!/bin/sh
if [ "$1" = venv ]; then
  for folder; do :; done
  mkdir -p "$folder/bin"
  printf '#!/bin/sh\\necho "t2vz_core 1 {answer}"\\n' > "$folder/bin/python"
  chmod +x "$folder/bin/python"
else
  echo "Downloading torch (100.0MiB)"
  echo "Downloading numpy (20.0MiB)"
  echo " Downloaded numpy"
  {then}
fi
"""


@pytest.fixture
def plan(tmp_path):
    """Makes a plan with a uv that does as it is told; the home's name has a blank and an umlaut."""

    def made(then="true", answer="", **more):
        uv = tmp_path / "uv"
        uv.write_text(FAKE_UV.format(then=then, answer=answer))
        uv.chmod(0o755)
        wheel = tmp_path / "t2vz_core-0.1.0+g1-py3-none-any.whl"
        return Plan(tmp_path / "höme of engines", wheel, uv, **more)

    return made


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(engine_setup, "NEEDED_BYTES", 1)


def to_its_end(setup, limit_s=20.0):
    last = time.monotonic() + limit_s
    while setup.end is None:
        assert time.monotonic() < last
        setup.step()
        time.sleep(0.01)
    return setup


def pointed_at(home):
    return json.loads((home / engine_setup.POINTER).read_text())["python"]


def test_an_engine_that_answers_becomes_the_engine(plan):
    it = plan()
    setup = to_its_end(SetUp(it, datetime(2026, 1, 1)))
    assert setup.end == DONE and "t2vz_core 1" in setup.answer
    assert pointed_at(it.home) == str(engine_setup.python_in(setup.folder))
    assert setup.done_bytes == 20 << 20 and setup.total_bytes == 120 << 20


def test_a_newer_one_replaces_it_only_when_it_works(plan):
    first = to_its_end(SetUp(plan(), datetime(2026, 1, 1)))
    broken = to_its_end(SetUp(plan(then="echo 'error: no route'; exit 2"), datetime(2026, 1, 2)))
    assert broken.end == FAILED and "no route" in broken.error
    assert first.folder.exists() and not broken.folder.exists()
    assert pointed_at(plan().home) == str(engine_setup.python_in(first.folder))
    newer = to_its_end(SetUp(plan(), datetime(2026, 1, 3)))
    assert not first.folder.exists() and newer.folder.exists()


def test_an_engine_that_lacks_libraries_is_none(plan):
    setup = to_its_end(SetUp(plan(answer="torch MISSING"), datetime(2026, 1, 1)))
    assert setup.end == FAILED and "lacks" in setup.error and not setup.folder.exists()


def test_cancel_ends_it_at_once_and_leaves_nothing_half_made(plan):
    setup = SetUp(plan(then="sleep 60"), datetime(2026, 1, 1))
    while not setup.done_bytes:
        setup.step()
        time.sleep(0.01)
    began = time.monotonic()
    setup.cancel()
    assert setup.end == CANCELLED and time.monotonic() - began < 5
    assert not setup.folder.exists()


def test_a_folder_of_wheels_keeps_it_off_the_network(plan, tmp_path):
    commands = [words for _, words in plan(wheels=tmp_path).commands(tmp_path / "e")]
    assert all("--offline" in words for words in commands[:2])
    assert "--no-index" in commands[1] and str(tmp_path) in commands[1]


def test_a_mirror_takes_the_place_of_the_public_index(plan, tmp_path):
    install = [words for _, words in plan(index="https://mirror/simple").commands(tmp_path)][1]
    assert install[install.index("--default-index") + 1] == "https://mirror/simple"


def test_a_full_disk_is_a_sentence_before_anything_is_begun(plan, monkeypatch):
    monkeypatch.setattr(engine_setup, "NEEDED_BYTES", 10**18)
    with pytest.raises(ValueError, match="of disk"):
        SetUp(plan(), datetime(2026, 1, 1))


def test_remove_takes_the_engines_and_leaves_what_else_lies_there(plan):
    it = plan()
    to_its_end(SetUp(it, datetime(2026, 1, 1)))
    (it.home / "mine.txt").touch()
    engine_setup.remove(it.home)
    assert [path.name for path in it.home.iterdir()] == ["mine.txt"]
