"""What other systems do otherwise, as far as it can be tried here; docs/house.md has the rest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from installer import process, uv

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("module", ["installer.commands", "t2vz_core.__main__"])
def test_a_console_that_lacks_a_character_shows_a_question_mark(module):
    code = (
        f"from {module} import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('T\\u2032 \\u2588')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("T? ?\n")


def test_the_python_of_an_environment_is_where_each_system_has_it():
    assert uv.python_in(Path("env"), "posix") == Path("env/bin/python")
    assert uv.python_in(Path("env"), "nt") == Path("env/Scripts/python.exe")


def test_a_child_is_ended_where_there_are_no_process_groups(monkeypatch):
    monkeypatch.setattr(process, "HAS_GROUPS", False)
    monkeypatch.setattr(process, "PATIENCE_S", 0.1)
    with process.child([sys.executable, "-c", "import time; time.sleep(60)"]) as sleeper:
        pass
    assert sleeper.returncode


def test_no_two_files_of_the_house_differ_by_case_alone():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no checkout of git")
    names = listed.stdout.splitlines()
    assert names and len({name.lower() for name in names}) == len(names)


def test_every_text_file_is_opened_as_utf_8():
    """Windows would take its own code page."""
    for half in ("t2vz_core", "blender_addon", "installer"):
        for file in (ROOT / half).rglob("*.py"):
            for line in file.read_text("utf-8").splitlines():
                if ".read_text()" in line and "/proc" not in line:
                    raise AssertionError(f"{file}: {line.strip()}")
