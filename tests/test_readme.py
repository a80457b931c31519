"""What the documents tell a reader to type is there."""

import re
from pathlib import Path

import pytest

from installer.commands import main
from t2vz_core.wire.job import read_job

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


def test_every_install_command_in_the_documents_exists(capsys):
    typed = re.compile(r"python3 install\.py (\w+)")
    commands = {command for page in PAGES for command in typed.findall(page.read_text("utf-8"))}
    assert commands >= {"demo", "test", "engine", "extension"}
    for command in commands:
        with pytest.raises(SystemExit) as left:
            main([command, "--help"])
        assert left.value.code == 0


def test_every_file_that_the_documents_link_to_is_there():
    link = re.compile(r"\]\((?!https?:)([^)#]+)")
    links = [(page, target) for page in PAGES for target in link.findall(page.read_text("utf-8"))]
    assert len(links) > len(PAGES)
    for page, target in links:
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_example_in_python_writes_a_job_and_has_it_made(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr("t2vz_core.worker.Worker.perform", lambda self, event: made.append(event))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    exec(code, {})
    assert len(read_job(tmp_path / made[0].folder).frames) == 8
