"""install.py: what it refuses, what it makes, what it finds half made."""

import ast
import json
import platform
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from installer import accelerator, blenders, engine, pip, wheel
from installer.console import Stop
from installer.engine import requirements
from installer.environment import Environment, State
from installer.extension import build_extension, stamped_manifest

ROOT = Path(__file__).parents[1]


def install(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "install.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def tops(path: Path) -> set[str]:
    """The first names of all modules a file imports, but relative ones."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {
        alias.name.split(".")[0]
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    return plain | {
        (node.module or "").split(".")[0]
        for node in nodes
        if isinstance(node, ast.ImportFrom) and not node.level
    }


def test_the_installer_imports_the_standard_library_and_itself():
    for path in [ROOT / "install.py", *(ROOT / "installer").glob("*.py")]:
        allowed = (
            sys.stdlib_module_names
            | {"installer"}
            | ({"bpy"} if path.name == "in_bpy.py" else set())
        )
        assert tops(path) <= allowed, path


def test_the_extras_name_everything_the_core_imports():
    serving, training = (
        {re.split(r"[<>=]", item)[0].lower() for item in requirements(name)}
        for name in ("engine", "train")
    )
    for path in (ROOT / "t2vz_core").rglob("*.py"):
        named = serving | training if "train" in path.parts else serving
        for top in tops(path) - sys.stdlib_module_names - {"t2vz_core"}:
            assert {"cv2": "opencv-python-headless"}.get(top, top).lower() in named, (
                f"{path} imports {top}"
            )


def test_every_requirement_has_both_bounds():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for extra, items in extras.items():
        for item in items:
            assert "==" in item or (">=" in item and "<" in item), f"{extra}: {item}"


@pytest.mark.parametrize("command", ["demo", "test", "engine", "extension"])
def test_each_command_explains_itself(command):
    said = install(command, "--help")
    assert said.returncode == 0 and "--env DIR" in said.stdout


def test_a_wrong_command_is_wrong_usage():
    assert install("everything").returncode == 2


def test_a_folder_of_somebody_else_is_refused_and_left_alone(tmp_path):
    mine = tmp_path / "thesis.txt"
    mine.write_text("years of work")
    said = install("engine", "--env", tmp_path)
    assert said.returncode == 1 and "name another" in said.stderr
    assert list(tmp_path.iterdir()) == [mine] and mine.read_text() == "years of work"


def test_a_half_made_environment_is_made_anew(monkeypatch, tmp_path):
    monkeypatch.setattr(pip, "renew", lambda python, log: None)
    environment = Environment(tmp_path / "env with ümlaut")
    environment.folder.mkdir()
    environment._write(State())
    (environment.folder / "rest of an interrupted try").write_text("")
    with environment.change(["a thing"]):
        assert not environment.holds(["a thing"])
    assert environment.holds(["a thing"])
    assert not (environment.folder / "rest of an interrupted try").exists()


def test_a_change_that_fails_leaves_nothing_to_trust(tmp_path):
    environment = Environment(tmp_path / "env")
    environment.folder.mkdir()
    environment._make = lambda: None  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt), environment.change(["a thing"]):
        raise KeyboardInterrupt
    assert not environment.holds(["a thing"])


def test_an_environment_whose_python_is_gone_is_not_trusted(tmp_path):
    environment = Environment(tmp_path)
    environment._write(State("3.11", ("a thing",)))
    assert not environment.holds(["a thing"])


def test_what_cannot_be_installed_is_one_sentence_with_the_log(tmp_path):
    environment = Environment(tmp_path / "env")
    with pytest.raises(Stop, match=r"(?s)Installing failed: .*no-such-thing.*install\.log"):
        environment.provide("--no-index", "no-such-thing-at-all")


@pytest.mark.parametrize(
    ("cards", "build"),
    [
        ("580.65.06, 8.9\n", "cu130"),
        ("550.54.15, 8.6\n", "cu126"),
        ("590.10, 7.0\n", "cu126"),
        ("590.10, 9.0\n590.10, 6.1\n", "cu126"),
    ],
)
def test_the_cuda_build_is_one_that_all_cards_run(cards, build):
    assert accelerator.cuda_build(cards) == build


def test_where_pytorchs_index_is_out_of_reach_the_larger_download_is_said_first(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(engine, "torch_index", lambda build: None)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    environment = Environment(tmp_path)
    environment.install = lambda *words: print("installing", *words)  # type: ignore[method-assign]
    engine._install_torch(environment, "torch==2.13.*", "cpu")
    said = capsys.readouterr().out
    assert "NVIDIA" in said and "2.9 GB" in said.split("installing torch==2.13.*")[0]


def test_the_manifest_in_the_zip_names_the_wheel_and_its_version():
    text = (ROOT / "blender_addon/blender_manifest.toml").read_text()
    stamped = tomllib.loads(stamped_manifest(text, "t2vz_core-0.1.0+gabc-py3-none-any.whl"))
    assert stamped["version"] == "0.1.0+gabc"
    assert stamped["wheels"] == ["./wheels/t2vz_core-0.1.0+gabc-py3-none-any.whl"]
    assert stamped["permissions"] == tomllib.loads(text)["permissions"]


def test_the_zip_carries_the_addon_and_the_wheel_that_the_engine_gets(tmp_path):
    with zipfile.ZipFile(build_extension(tmp_path, Path("/env/bin/python"))) as archive:
        names = set(archive.namelist())
        core = archive.read(f"wheels/{wheel.built_wheel().name}")
        assert json.loads(archive.read("engine.json")) == {"python": "/env/bin/python"}
    assert core == wheel.built_wheel().read_bytes()
    assert {"__init__.py", "blender_manifest.toml", "LICENSE"} <= names
    assert not any("__pycache__" in name for name in names)


def test_another_line_of_code_is_another_version(monkeypatch, tmp_path):
    monkeypatch.setattr(wheel, "ROOT", tmp_path)
    monkeypatch.setattr(wheel, "SOURCES", ("t2vz_core",))
    code = tmp_path / "t2vz_core/__init__.py"
    code.parent.mkdir()
    code.write_text('__version__ = "0.1.0"\n')
    before = wheel.stamped_version()
    code.write_text('__version__ = "0.1.0"\nmore = 1\n')
    assert before.startswith("0.1.0+") and wheel.stamped_version() != before


def fake_blender(folder: Path, says: str) -> Path:
    program = folder / "blender"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return program


def test_the_named_blender_goes_before_the_variable_and_that_before_path(monkeypatch, tmp_path):
    named, said, found = (tmp_path / name for name in ("named", "said", "found"))
    for folder, version in ((named, "4.2.1"), (said, "4.5.0"), (found, "5.0.0")):
        folder.mkdir()
        fake_blender(folder, f"Blender {version}")
    monkeypatch.setenv("PATH", f"{found}:/usr/bin:/bin")
    monkeypatch.setenv("T2VZ_BLENDER", str(said / "blender"))
    assert blenders.installed_blender(named / "blender").version == "4.2.1"
    assert blenders.installed_blender(None).version == "4.5.0"
    monkeypatch.delenv("T2VZ_BLENDER")
    assert blenders.installed_blender(None).version == "5.0.0"


def test_an_old_blender_on_path_is_passed_over_but_a_named_one_is_an_error(monkeypatch, tmp_path):
    old = fake_blender(tmp_path, "Blender 3.4.1")
    monkeypatch.delenv("T2VZ_BLENDER", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert blenders.installed_blender(None) is None
    with pytest.raises(Stop, match=r"needs 4\.2 or newer"):
        blenders.installed_blender(old)


def test_a_program_that_is_no_blender_is_said_to_be_none_and_why(tmp_path):
    with pytest.raises(Stop, match=r"does not start as a Blender .*No such file"):
        blenders.installed_blender(tmp_path / "nothing")
    broken = tmp_path / "blender"
    broken.write_text("#!/bin/sh\necho 'libGL.so.1 is missing' >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(Stop, match=r"\(libGL\.so\.1 is missing\)"):
        blenders.installed_blender(broken)


def test_missing_libraries_of_the_system_are_named_as_packages(monkeypatch, tmp_path):
    module = tmp_path / "lib/python3.11/site-packages/bpy/__init__.so"
    module.parent.mkdir(parents=True)
    module.touch()
    ldd = (
        "\tlibSM.so.6 => not found\n\tlibXrender.so.1 => not found\n"
        "\tlibm.so.6 => /lib/libm.so.6 (0x1)\n"
    )
    monkeypatch.setattr(blenders, "output_of", lambda command: ldd)
    assert blenders.missing_libraries(Environment(tmp_path)) == ["libsm6", "libxrender1"]
