"""The architecture, said in code: who may import whom. Lazy imports and those for types count."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADDON, CORE, INSTALLER = "blender_addon", "t2vz_core", "installer"
WIRE = "t2vz_core.wire"

# room -> the rooms that it may know besides itself; a room is a folder, or the files beside it
ARROWS: dict[str, set[str]] = {
    # the wall socket
    WIRE: set(),
    # the engine
    "t2vz_core.geometry": {WIRE},
    "t2vz_core.runtime": {WIRE, CORE},
    "t2vz_core.job_folder": {"t2vz_core.geometry", WIRE, CORE},
    "t2vz_core.models": {"t2vz_core.runtime", "t2vz_core.demo", WIRE, CORE},
    "t2vz_core.conditions": {"t2vz_core.job_folder", "t2vz_core.geometry", WIRE, CORE},
    "t2vz_core.evaluation": {"t2vz_core.job_folder", "t2vz_core.geometry", WIRE, CORE},
    "t2vz_core.method": {
        "t2vz_core.models",
        "t2vz_core.conditions",
        "t2vz_core.runtime",
        "t2vz_core.job_folder",
        "t2vz_core.geometry",
        WIRE,
        CORE,
    },
    "t2vz_core.farm": {"t2vz_core.job_folder", "t2vz_core.models", WIRE, CORE},  # and the worker
    "t2vz_core.demo": set(),
    # the add-on
    "blender_addon.geometry": {WIRE},
    "blender_addon.job": {WIRE},
    "blender_addon.capture": {"blender_addon.geometry", "blender_addon.job", WIRE},
    ADDON: {WIRE},
    "blender_addon.run": {
        "blender_addon.capture",
        "blender_addon.geometry",
        "blender_addon.job",
        ADDON,
        WIRE,
    },
    "blender_addon.ui": {
        "blender_addon.run",
        "blender_addon.capture",
        "blender_addon.geometry",
        "blender_addon.job",
        ADDON,
        WIRE,
    },
    # install.py
    INSTALLER: set(),
}
# files of the engine that lie in no folder: the basement all stand on, and the roof over all
BASEMENT = {"t2vz_core", "t2vz_core.fault"}
ROOF = {"t2vz_core.worker", "t2vz_core.painting", "t2vz_core.doctor", "t2vz_core.__main__"}
KEPT_WARM = {"t2vz_core.farm": {"t2vz_core.worker"}}  # a farm keeps a worker for its tasks
TRAINING = ("t2vz_core.demo.train", "t2vz_core.demo.evaluate")

BLENDER = {"bpy", "bpy_extras", "mathutils", "gpu", "gpu_extras", "addon_utils"}
ENGINE_LIBRARIES = {"torch", "diffusers", "transformers", "cv2", "PIL", "safetensors", "OpenEXR"}
PLAIN = ("blender_addon.geometry", "blender_addon.job")
IN_BLENDER = {"installer.in_bpy", "installer.t2vz_in_bpy"}  # scripts that Blender's Python runs

Edge = tuple[str, str]


def module_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(text: str, module: str, *, is_package: bool) -> Iterator[str]:
    """Every module that a file imports, by its whole name, at the top, lazily or for its types."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")
            up = up[: len(up) - node.level + 1] if node.level else []
            target = ".".join([*up, *([node.module] if node.module else [])])
            yield target
            yield from (f"{target}.{alias.name}" for alias in node.names)


def edges_of(root: Path) -> list[Edge]:
    """(module, what it imports) of the whole tree."""
    found = []
    for top in (ADDON, CORE, INSTALLER):
        for path in sorted((root / top).rglob("*.py")):
            module = module_of(path, root)
            text = path.read_text(encoding="utf-8")
            is_package = path.name == "__init__.py"
            found += [(module, name) for name in imports_of(text, module, is_package=is_package)]
    return found


def room_of(module: str) -> str | None:
    """The innermost room of a module; None for what is not ours."""
    rooms = [room for room in ARROWS if f"{module}.".startswith(f"{room}.")]
    if module.split(".")[0] == CORE:
        rooms.append(CORE)
    return max(rooms, key=len, default=None)


def is_forbidden(edge: Edge) -> bool:
    """Whether an import goes through a wall."""
    module, name = edge
    here, there = room_of(module), room_of(name)
    if is_one_of(module, TRAINING):
        return name.split(".")[0] in (ADDON, INSTALLER)
    if is_one_of(name, TRAINING):
        return True
    if module in ROOF:
        return there is not None and name.split(".")[0] != CORE
    if module in BASEMENT:
        return there is not None and there != CORE
    if there is None or here == there or here is None:
        return False
    if there == CORE:  # only what lies in the basement, and never what the roof holds
        return CORE not in ARROWS[here] or is_one_of(name, tuple(ROOF - KEPT_WARM.get(here, set())))
    return there not in ARROWS[here]


def is_one_of(module: str, rooms: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{room}.") for room in rooms)


def is_foreign(edge: Edge) -> bool:
    """Whether a library is loaded in the half that must not have it."""
    module, name = edge
    half, library = module.split(".")[0], name.split(".")[0]
    if half == ADDON:
        is_plain = is_one_of(module, PLAIN)
        return library in ENGINE_LIBRARIES or (is_plain and library in BLENDER)
    if half == INSTALLER or is_one_of(module, (WIRE,)):
        # install.py runs the tests, of which the suites are a part
        is_ours = library in (CORE, ADDON, INSTALLER, "tests") or module in IN_BLENDER
        return not is_ours and library not in sys.stdlib_module_names
    return library in BLENDER


def circle_of(edges: list[Edge]) -> list[str]:
    """Modules that import each other in a ring, or none."""
    known = {module for module, _ in edges}
    graph: dict[str, set[str]] = {module: set() for module in known}
    for module, name in edges:
        if name in known and name != module and not module.startswith(f"{name}."):
            graph[module].add(name)
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return way[way.index(module) :]
        if module in done:
            return []
        for other in sorted(graph[module]):
            if ring := walk(other, [*way, module]):
                return ring
        done.add(module)
        return []

    return next((ring for module in sorted(graph) if (ring := walk(module, []))), [])


EDGES = edges_of(ROOT)


def test_every_import_goes_along_an_arrow():
    assert [edge for edge in EDGES if is_forbidden(edge)] == []


def test_each_half_loads_its_own_libraries_only():
    assert [edge for edge in EDGES if is_foreign(edge)] == []


def test_nothing_imports_in_a_circle():
    assert circle_of(EDGES) == []


def test_every_folder_says_in_one_sentence_what_it_is_for():
    for top in (ADDON, CORE, INSTALLER):
        for path in (ROOT / top).rglob("__init__.py"):
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert said and "\n\n" not in said and said.endswith("."), path


@pytest.mark.parametrize(
    "edge",
    [
        ("t2vz_core.wire.job", "t2vz_core.fault"),
        ("t2vz_core.geometry.pixel_maps", "t2vz_core.method.motion"),
        ("t2vz_core.runtime.devices", "t2vz_core.models.networks"),
        ("t2vz_core.runtime.devices", "t2vz_core.worker"),
        ("t2vz_core.job_folder.exr", "t2vz_core.runtime.devices"),
        ("t2vz_core.models.loras", "t2vz_core.method.attention"),
        ("t2vz_core.conditions.openpose", "t2vz_core.models.loras"),
        ("t2vz_core.evaluation.metrics", "t2vz_core.method.noise"),
        ("t2vz_core.method.generate", "t2vz_core.evaluation.metrics"),
        ("t2vz_core.method.generate", "t2vz_core.demo.world"),
        ("t2vz_core.models.locate", "t2vz_core.demo.train.loop"),
        ("t2vz_core.worker", "t2vz_core.demo.evaluate.judge"),
        ("t2vz_core.demo", "t2vz_core.models.networks"),
        ("t2vz_core.fault", "t2vz_core.wire.job"),
        ("t2vz_core.worker", "blender_addon.run.session"),
        ("t2vz_core.demo.train.loop", "blender_addon.run.session"),
        ("blender_addon.geometry.rasteriser", "blender_addon.job.settings"),
        ("blender_addon.job.settings", "blender_addon.capture.meshes"),
        ("blender_addon.capture.meshes", "blender_addon.run.session"),
        ("blender_addon.run.session", "blender_addon.ui.panels"),
        ("blender_addon.preferences", "blender_addon.ui.panels"),
        ("blender_addon.ui.panels", "t2vz_core.method.generate"),
        ("blender_addon.ui.panels", "t2vz_core.fault"),
        ("blender_addon.run.session", "installer.engine"),
        ("installer.engine", "t2vz_core.wire.job"),
    ],
)
def test_every_wall_stops_somebody(edge: Edge):
    assert is_forbidden(edge)


@pytest.mark.parametrize(
    "edge",
    [
        ("blender_addon.ui.panels", "torch"),
        ("blender_addon.capture.meshes", "cv2.gapi"),
        ("blender_addon.geometry.rasteriser", "mathutils"),
        ("blender_addon.job.settings", "bpy.types"),
        ("t2vz_core.method.generate", "bpy"),
        ("t2vz_core.wire.job", "numpy"),
        ("installer.engine", "requests"),
    ],
)
def test_no_library_gets_into_the_wrong_half(edge: Edge):
    assert is_foreign(edge)


@pytest.mark.parametrize(
    "text",
    [
        "from ..method import generate",
        "def late():\n    from ..method.generate import picture",
        "if TYPE_CHECKING:\n    import t2vz_core.method.generate",
    ],
)
def test_no_import_is_overlooked(text: str):
    module = "t2vz_core.models.loras"
    found = [(module, name) for name in imports_of(text, module, is_package=False)]
    assert any(is_forbidden(edge) for edge in found)


def test_a_ring_of_three_is_a_circle():
    ring = [("a.x", "a.y"), ("a.y", "a.z"), ("a.z", "a.x"), ("a.z", "os")]
    assert sorted(circle_of(ring)) == ["a.x", "a.y", "a.z"]
    assert circle_of(ring[:2]) == []


def test_the_plain_rooms_import_in_bare_python():
    code = "import blender_addon.job.engine, t2vz_core.wire.job, t2vz_core.__main__"
    subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, check=True)
