"""The site of the docs is whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ("tutorial", "panel", "recipes", "troubleshooting")


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is not installed: pip install .[docs]")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tutorial/index.html").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_pages_for_artists_link_to_what_is_there(page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert all((DOCS / link).is_file() for link in links), links


def test_the_sentences_of_troubleshooting_are_said_somewhere():
    table = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| \*(.+?)\* \|", table, re.MULTILINE)
    said = [re.split("[…:]", cell)[0].strip() for cell in cells]
    halves = ("blender_addon", "t2vz_core")
    files = [path for half in halves for path in (ROOT / half).rglob("*.py")]
    code = " ".join(re.sub(r'"\s+f?"', "", path.read_text(encoding="utf-8")) for path in files)
    code = re.sub(r"\s+", " ", re.sub(r"\{[^}]*\}", "", code))
    assert said and [words for words in said if words.split(",")[0] not in code] == []
