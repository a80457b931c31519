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
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from installer import accelerator, blenders, engine, lock, uv, wheel
from installer.console import Stop
from installer.environment import Environment
from installer.extension import build_extension, stamped_manifest
from installer.lock import requirements

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
    rooms = [ROOT / "install.py", *(ROOT / "installer").glob("*.py")]
    assert len(rooms) > 5
    for path in rooms:
        allowed = (
            sys.stdlib_module_names
            | {"installer"}
            | ({"bpy"} if path.name == "in_bpy.py" else set())
            | ({"tests"} if path.name == "commands.py" else set())  # for `install.py test`
        )
        assert tops(path) <= allowed, path


WHERE_THERE = {"openjd", "gguf"}  # used on machines that have them; else a sentence or nothing


def test_the_extras_name_everything_the_core_imports():
    serving, training = (
        {re.split(r"[<>=]", item)[0].lower() for item in requirements(name)}
        for name in ("engine", "train")
    )
    for path in (ROOT / "t2vz_core").rglob("*.py"):
        named = serving | training if "train" in path.parts else serving
        for top in tops(path) - sys.stdlib_module_names - {"t2vz_core"}:
            distribution = {"cv2": "opencv-python-headless"}.get(top, top).lower()
            assert distribution in named | WHERE_THERE, f"{path} imports {top}"


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


def test_a_half_made_environment_is_made_anew(tmp_path):
    environment = Environment(tmp_path / "env with ümlaut")
    environment.folder.mkdir()
    (environment.folder / "t2vz.json").write_text("")
    (environment.folder / "rest of an interrupted try").write_text("")
    with environment.change(["a thing"]):
        assert not environment.holds(["a thing"])
    assert environment.holds(["a thing"])
    assert not (environment.folder / "rest of an interrupted try").exists()


def test_a_change_that_fails_leaves_nothing_to_trust(tmp_path):
    environment = Environment(tmp_path / "env")
    with pytest.raises(KeyboardInterrupt), environment.change(["a thing"]):
        raise KeyboardInterrupt
    assert not environment.holds(["a thing"])


def test_of_two_builds_of_torch_the_last_is_held(tmp_path):
    environment = Environment(tmp_path / "env")
    for build in ("cpu", "rocm7.2"):
        with environment.change(["torch==2.13.*", f"torch build {build}"]):
            pass
    assert environment.held("torch build") == "rocm7.2"
    assert environment.holds(["torch==2.13.*"]) and not environment.holds(["torch build cpu"])


def test_an_environment_whose_python_is_gone_is_not_trusted(tmp_path):
    state = {"python": "3.11", "holds": ["a thing"], "wheel": ""}
    (tmp_path / "t2vz.json").write_text(json.dumps(state))
    assert not Environment(tmp_path).holds(["a thing"])


def test_what_cannot_be_installed_is_one_sentence_with_the_log(tmp_path):
    environment = Environment(tmp_path / "env")
    with pytest.raises(Stop, match=r"(?s)Installing failed: .*no-such-thing.*install\.log"):
        environment.provide("--no-index", "no-such-thing-at-all")


@pytest.mark.parametrize(
    ("said", "is_known"),
    [
        ("uv 0.13.9 (x86_64-unknown-linux-gnu)\n", True),
        ("uv 0.9.30\n", True),
        ("uv 0.4.1\n", False),
        ("uv 1.0.0\n", False),
        ("pyenv: uv: command not found\n", False),
    ],
)
def test_a_uv_that_was_not_tested_is_not_used(said, is_known):
    assert uv.is_known(said) == is_known


def test_what_pip_is_told_uv_is_told():
    listed = (
        "global.cert='/etc/ssl/company.crt'\nglobal.find-links='/elsewhere'\n"
        "install.find-links='/wheels\\n/more wheels'\n:env:.find-links='/ignored'\n"
    )
    told = uv.pip_settings(listed)
    assert told == {"cert": "/etc/ssl/company.crt", "find-links": "/wheels\n/more wheels"}
    told |= uv.pip_variables(
        {
            "PIP_FIND_LINKS": "/opt/wheels https://a.test/list",
            "PIP_EXTRA_INDEX_URL": "https://b.test/simple",
            "PIP_INDEX_URL": "https://c.test/simple",
            "HOME": "/home",
        }
    )
    assert uv.translated(told) == {
        "SSL_CERT_FILE": "/etc/ssl/company.crt",
        "UV_FIND_LINKS": "/opt/wheels,https://a.test/list",
        "UV_INDEX": "https://b.test/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://c.test/simple",
    }


def test_what_uv_is_told_by_the_user_goes_before_what_pip_is_told(monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/of pip")
    monkeypatch.setenv("UV_FIND_LINKS", "/of uv")
    assert "UV_FIND_LINKS" not in uv.settings()
    monkeypatch.delenv("UV_FIND_LINKS")
    assert uv.settings()["UV_FIND_LINKS"] == "/of,pip"


@pytest.mark.slow
def test_a_wheel_in_pips_folder_is_found_by_uv(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    name = "t2vz_probe-1.0+cpu"
    with zipfile.ZipFile(tmp_path / f"{name}-py3-none-any.whl", "w") as archive:
        archive.writestr("t2vz_probe.py", "")
        metadata = "Metadata-Version: 2.1\nName: t2vz-probe\nVersion: 1.0+cpu\n"
        archive.writestr(f"{name}.dist-info/METADATA", metadata)
        wheel_metadata = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{name}.dist-info/WHEEL", wheel_metadata)
        files = ["t2vz_probe.py", *(f"{name}.dist-info/{it}" for it in ("METADATA", "WHEEL"))]
        archive.writestr(f"{name}.dist-info/RECORD", "".join(f"{it},,\n" for it in files))
    environment = Environment(tmp_path / "env")
    environment.provide("--no-index", "t2vz-probe==1.0.*")
    done = subprocess.run([environment.python, "-c", "import t2vz_probe"], check=False)
    assert done.returncode == 0


def locked() -> dict[str, set[str]]:
    """Library to its versions in the lock: there may be one for old Pythons and one for new."""
    entries = re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock.FILE.read_text("utf-8"), re.MULTILINE)
    return {name: {version for it, version in entries if it == name} for name, _ in entries}


def test_the_lock_fits_what_pyproject_asks_for():
    versions = locked()
    for extra in ("engine", "train", "farm", "test", "build"):
        for requirement in map(Requirement, lock.requirements(extra)):
            name = canonicalize_name(requirement.name)
            if name != "torch":
                assert versions[name], name
                assert all(version in requirement.specifier for version in versions[name]), name


def test_the_lock_has_hashes_and_leaves_out_torch_and_what_comes_with_its_builds():
    entries = lock.FILE.read_text("utf-8").split("\n")
    for i, line in enumerate(entries):
        if "==" in line:
            assert "--hash=sha256:" in entries[i + 1], line
    assert not {"torch", "triton"} & set(locked())
    assert not any(name.startswith(("nvidia", "cuda")) for name in locked())


def test_another_lock_is_another_environment(monkeypatch, tmp_path):
    before = lock.name()
    other = tmp_path / "lock.txt"
    other.write_text("numpy==2.0.0\n")
    monkeypatch.setattr(lock, "FILE", other)
    assert lock.name() != before


@pytest.mark.parametrize(
    ("cards", "build"),
    [
        ("580.65.06, 8.9\n", "cu130"),
        ("550.54.15, 8.6\n", "cu126"),
        ("590.10, 7.0\n", "cu126"),
        ("590.10, 9.0\n590.10, 6.1\n", "cu126"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the driver.\n", None),
    ],
)
def test_the_cuda_build_is_one_that_all_cards_run(cards, build):
    assert accelerator.cuda_build(cards) == build


@pytest.mark.parametrize(
    ("agents", "build"),
    [("gfx000\ngfx1100\n", "rocm7.2"), ("gfx000\ngfx803\n", None), ("gfx000\n", None), ("", None)],
)
def test_the_rocm_build_is_for_cards_that_it_has_kernels_for(agents, build):
    assert accelerator.rocm_build(agents) == build


@pytest.mark.parametrize(
    ("devices", "build"),
    [
        ("| 0 | Device Name: Intel(R) Arc(TM) A770 Graphics |\n", "xpu"),
        ("[level_zero:gpu][level_zero:0] Intel(R) Data Center GPU Max 1550 1.3\n", "xpu"),
        ("[opencl:gpu][opencl:0] Intel(R) UHD Graphics 630 3.0 [25.18]\n", None),
        ("[opencl:cpu][opencl:0] AMD Ryzen Architecture\n", None),
    ],
)
def test_the_xpu_build_is_for_intels_cards(devices, build):
    assert accelerator.xpu_build(devices) == build


def speaking(folder: Path, **programs: str) -> None:
    """Programs in a folder that print a text each."""
    for name, text in programs.items():
        program = folder / name.replace("_smi", "-smi")
        program.write_text(f"#!/bin/sh\nprintf '{text}'\n")
        program.chmod(0o755)


@pytest.mark.parametrize(
    ("platform", "programs", "build"),
    [
        ("linux", {}, "cpu"),
        ("linux", {"nvidia_smi": "590.10, 9.0", "rocm_agent_enumerator": "gfx1100"}, "cu130"),
        ("linux", {"nvidia_smi": "it has failed", "rocm_agent_enumerator": "gfx1100"}, "rocm7.2"),
        ("win32", {"rocm_agent_enumerator": "gfx1100"}, "cpu"),
        ("linux", {"xpu_smi": "Intel(R) Arc(TM) B580 Graphics"}, "xpu"),
        ("darwin", {"nvidia_smi": "590.10, 9.0"}, "mac"),
    ],
)
def test_what_the_machines_tools_print_chooses_the_build(
    monkeypatch, tmp_path, platform, programs, build
):
    speaking(tmp_path, **programs)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    monkeypatch.setattr(sys, "platform", platform)
    assert accelerator.torch_build() == build


class Noted:
    """An environment that notes what it is asked to install; it fails where PyTorch's own index is
    asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def install(self, *words: str) -> None:
        print("installing", *words)
        self.asked.append(words)
        if "--torch-backend" in words:
            raise Stop("it does not answer")


def test_where_pytorchs_index_is_out_of_reach_the_larger_download_is_said_first(
    monkeypatch, capsys
):
    monkeypatch.setattr(engine, "has_index", lambda build: False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    engine.install(Noted(), ["torch==2.13.*"], "cpu")
    said = capsys.readouterr().out
    assert "NVIDIA" in said and "2.9 GB" in said.split("installing torch==2.13.*")[0]


def test_where_pytorchs_index_fails_the_package_index_is_asked(monkeypatch):
    monkeypatch.setattr(engine, "has_index", lambda build: True)
    noted = Noted()
    engine.install(noted, ["torch==2.13.*"], "rocm7.2")
    assert noted.asked == [("--torch-backend", "rocm7.2", "torch==2.13.*"), ("torch==2.13.*",)]


def test_a_python_for_the_bpy_module_is_fetched_where_there_is_none(monkeypatch, tmp_path):
    speaking(tmp_path, uv="uv 0.13.9 (fake)")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(blenders, "BPY_PYTHON", (2, 7))
    assert blenders.bpy_maker() == "uv 0.13.9 (fake)"  # what `uv python find` prints


def test_the_manifest_in_the_zip_names_the_wheel_and_its_version():
    text = (ROOT / "blender_addon/blender_manifest.toml").read_text()
    stamped = tomllib.loads(stamped_manifest(text, "t2vz_core-0.1.0+gabc-py3-none-any.whl"))
    assert stamped["version"] == "0.1.0+gabc"
    assert stamped["wheels"] == ["./wheels/t2vz_core-0.1.0+gabc-py3-none-any.whl"]
    assert stamped["permissions"] == tomllib.loads(text)["permissions"]


@pytest.mark.slow
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
