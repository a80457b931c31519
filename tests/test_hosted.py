"""What runs elsewhere: hosted workflows, .ci/run and the hooks before a commit."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from installer.lock import requirements

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    return subprocess.run(
        [*command, "vendor.github-workflows", file], capture_output=True, text=True, check=False
    )


def test_the_workflows_are_ones_that_github_takes(tmp_path):
    pytest.importorskip("check_jsonschema")
    assert WORKFLOWS
    for file in WORKFLOWS:
        assert checked(file).returncode == 0, checked(file).stdout
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text("utf-8").replace("runs-on:", "runs_on:"), "utf-8")
    assert checked(wrong).returncode == 1


@pytest.mark.skipif(not shutil.which("actionlint"), reason="actionlint is not on the path")
def test_actionlint_finds_nothing_in_the_workflows():
    done = subprocess.run(["actionlint", *WORKFLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_workflows_call_the_readmes_commands_and_no_other_of_ours():
    readme = (ROOT / "README.md").read_text("utf-8")
    for file in WORKFLOWS:
        text = file.read_text("utf-8")
        commands = re.findall(r"python3? +(\S+ ?\w*)", text)
        assert commands
        assert all(f"python3 {command}" in readme for command in commands), commands


def test_the_workflows_install_the_libraries_that_the_documents_name():
    named = re.search(r"apt install (lib.+)", (ROOT / "docs/install.md").read_text("utf-8"))
    assert named
    for file in WORKFLOWS:
        assert set(named[1].split()) <= set(file.read_text("utf-8").split())


def test_the_hook_before_a_commit_is_the_ruff_of_the_tests():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    (version,) = re.findall(r"rev: v(\S+)", hooks)
    assert f"ruff=={version}" in requirements("test")


@pytest.fixture
def checkout(tmp_path):
    """A checkout with .ci/run and, in place of python3, a program that says how it was called."""
    run = tmp_path / "house/.ci/run"
    run.parent.mkdir(parents=True)
    shutil.copy(ROOT / ".ci/run", run)
    program(tmp_path / "bin/python3", 'echo "$@ with ${T2VZ_BLENDER-whatever is here}"')
    program(tmp_path / "bin/unshare", "exit 1")
    return tmp_path


def program(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def said(checkout: Path, **variables: str) -> str:
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name != "T2VZ_BLENDER"}
    done = subprocess.run(
        [checkout / "house/.ci/run"],
        env=kept | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_ci_takes_the_blender_it_is_told_else_the_fetched_one_else_whatever_is_here(checkout):
    assert said(checkout) == "install.py test with whatever is here"
    program(checkout / "shared/tools/get-blender", "echo /fetched/blender")
    assert said(checkout) == "install.py test with /fetched/blender"
    assert said(checkout, T2VZ_BLENDER="/mine") == "install.py test with /mine"
