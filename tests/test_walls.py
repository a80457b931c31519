"""The architecture, said in code: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ADDON, CORE = ROOT / "blender_addon", ROOT / "t2vz_core"
BPY_ROOMS = {
    "panels",
    "operators",
    "properties",
    "preferences",
    "rig",
    "playback",
    "batch",
    "session",
    "preview",
}
BPY_ROOMS |= {"__init__", "capture", "cameras", "triangles", "materials", "render_state", "unkeyed"}
BPY_ROOMS |= {"beauty", "footage", "rendered", "rig_editor", "scene_job", "checkup", "lists"}
ENGINE_ONLY = {"torch", "diffusers", "transformers", "cv2", "PIL", "safetensors", "OpenEXR"}


def imports(path: Path) -> set[str]:
    """Every module a file imports, lazily or not; relative ones start with a dot."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path) if not name.startswith(".")}


def test_only_the_rooms_marked_so_know_bpy():
    for path in ADDON.rglob("*.py"):
        if path.stem not in BPY_ROOMS:
            assert not tops(path) & {"bpy", "bpy_extras", "mathutils", "gpu"}, path


def test_the_core_never_knows_bpy():
    for path in CORE.rglob("*.py"):
        assert not tops(path) & {"bpy", "bpy_extras", "mathutils", "blender_addon"}, path


def test_the_addon_never_loads_the_engines_libraries():
    for path in ADDON.rglob("*.py"):
        assert not tops(path) & ENGINE_ONLY, path


def test_the_addon_reaches_the_core_only_at_the_wire():
    for path in ADDON.rglob("*.py"):
        reached = {name for name in imports(path) if name.startswith("t2vz_core")}
        assert all(
            name == "t2vz_core.wire" or name.startswith("t2vz_core.wire.") for name in reached
        ), path


def test_the_wire_imports_the_standard_library_and_itself():
    for path in (CORE / "wire").glob("*.py"):
        assert tops(path) <= sys.stdlib_module_names, path
        assert not any(name.startswith("..") for name in imports(path)), path


def test_nothing_imports_the_installer():
    for path in (*ADDON.rglob("*.py"), *CORE.rglob("*.py")):
        assert "install" not in tops(path), path


def test_the_plain_rooms_import_in_bare_python():
    code = (
        "import blender_addon.engine, t2vz_core.wire.job, t2vz_core.wire.lines, t2vz_core.__main__"
    )
    subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True)
