"""Where the engine, the models and the jobs live."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from t2vz_core.wire.homes import model_path, models_folder, name_in

ENGINE_VARIABLE = "T2VZ_ENGINE"
ENGINE_FILE = "engine.json"  # install.py writes it beside this module: {"python": "/…/bin/python"}
DEFAULTS = {"output": "//t2vz", "torch": "auto"}
TORCH_BUILDS = (
    ("auto", "Automatic", "What this machine's graphics card and driver want"),
    ("cpu", "Processor Only", "Small to download; slow to paint"),
    ("cu130", "CUDA 13", "NVIDIA cards from the Turing generation on, driver 580 or newer"),
    ("cu126", "CUDA 12.6", "Older NVIDIA cards or drivers"),
    ("rocm7.1", "ROCm", "AMD cards, on Linux"),
    ("xpu", "XPU", "Intel's Arc cards"),
)
POINTER = "engine.json"  # in the engine's home: {"python": "/…/bin/python", "wheel": "…"}
answer: list[str] = []  # the engine's last page about itself
engine_pages: list[Callable[[Any, Any], None]] = []  # what ui draws of the engine in here
# Paths may begin with //, the .blend's folder; from 4.5 on Blender wants to be told, or shows them
# red.
MAY_BE_RELATIVE = {"ANIMATABLE"} | (
    {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()
)
PYTHON_IN = ("bin/python", "Scripts/python.exe")


class T2VZ_Preferences(bpy.types.AddonPreferences):
    """Folders outside any one .blend file."""

    bl_idname = __package__

    engine: StringProperty(
        name="Engine",
        description="Python of another engine's environment, or its folder; empty: the one set up "
        "here",
        subtype="FILE_PATH",
    )
    engine_home: StringProperty(
        name="Install Into",
        description="Folder for the engine, 2 to 6 GB; a short path on a quick disk is best",
        subtype="DIR_PATH",
    )
    wheels: StringProperty(
        name="Offline Wheels",
        description="Folder with the wheels of all libraries, for machines without network; "
        "empty: download them",
        subtype="DIR_PATH",
    )
    index: StringProperty(
        name="Package Index", description="A mirror of the package index; empty: the public one"
    )
    torch: EnumProperty(
        name="Build for", description="Which build of torch is installed", items=TORCH_BUILDS
    )
    models: StringProperty(
        name="Models",
        description="Folder in which your models lie, one folder or file each",
        subtype="DIR_PATH",
    )
    more_models: StringProperty(
        name="More Models",
        description="Further folders with models, as of WebUI and ComfyUI, with a ; between them",
    )
    output: StringProperty(
        name="Output",
        description="Where jobs go unless a scene says otherwise; "
        "// is the .blend file's own folder",
        subtype="DIR_PATH",
        default=DEFAULTS["output"],
        options=MAY_BE_RELATIVE,
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """Lays out the fields, and says whether an engine is there."""
        layout = self.layout
        layout.use_property_split = True
        for draw in engine_pages:
            draw(layout, self)
        layout.separator()
        layout.prop(self, "models", placeholder=str(models_folder()))
        row = layout.row(align=True)
        row.prop(self, "more_models")
        row.operator("t2vz.find_models", text="", icon="VIEWZOOM")
        layout.prop(self, "output")


NO_ENGINE = (
    "No engine yet: press Set Up Engine here or in the panel (or run `python3 install.py engine`)."
)


def engine_python() -> Path | None:
    """The Python that starts the engine: the preferences', T2VZ_ENGINE's, the one set up here or
    install.py's; None if none is there."""
    set_up = set_up_engine().get("python", "")
    variable = os.environ.get(ENGINE_VARIABLE, "")
    for said in (_chosen("engine"), variable, set_up, _installed_engine()):
        if said:
            return _python_of(Path(said))
    return None


def engine_home() -> Path:
    """The folder of engines that are set up from here; short, as some systems' paths must be."""
    return Path(_chosen("engine_home") or Path.home() / "t2vz-engine")


def wheels_folder() -> Path | None:
    """The folder of wheels that replaces the network, if one is chosen."""
    chosen = _chosen("wheels")
    return Path(chosen) if chosen else None


def package_index() -> str:
    """The mirror of the package index, if one is named."""
    return _said("index")


def torch_build() -> str:
    """The build of torch, in uv's words."""
    return _said("torch")


def _python_of(place: Path) -> Path | None:
    # Not resolved: an environment's Python is a link, and knows its environment by the link's own
    # place.
    candidates = (place, *(place / part for part in PYTHON_IN))
    return next((path for path in candidates if path.is_file()), None)


def set_up_engine() -> dict[str, str]:
    """Python and wheel of the engine that was set up from here; empty where none was."""
    return _told(engine_home() / POINTER)


def _installed_engine() -> str:
    return _told(Path(__file__).parent / ENGINE_FILE).get("python", "")


def _told(file: Path) -> dict[str, str]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def stored_model(name: str) -> str:
    """What a job says of a model: its name in the models folder, which it has on other machines
    too; an absolute path elsewhere; any other name as it is."""
    path = Path(bpy.path.abspath(name) if name.startswith("//") else name)
    if name and path.is_absolute():
        return name_in(models_home(), path) or str(path)
    return name


def path_of_model(name: str) -> Path | None:
    """Where a model lies that a scene's settings name; None where none is."""
    return model_path(stored_model(name), models_home())


def models_home() -> Path:
    """The folder in which models are looked for by name: the preferences', else the one that both
    sides know."""
    chosen = _chosen("models")
    return Path(chosen) if chosen else models_folder()


def more_models_homes() -> list[Path]:
    """Further folders whose models are offered, by their whole paths."""
    said = (part.strip() for part in _said("more_models").split(";"))
    return [Path(bpy.path.abspath(part)) for part in said if part]


def jobs_home(output: str) -> Path:
    """The folder in which jobs are made: `output`, else the preferences'; without a saved .blend
    the add-on's own."""
    chosen = output or output_said()
    if chosen.startswith("//") and not bpy.data.filepath:
        return own_folder("jobs")
    return Path(bpy.path.abspath(chosen))


def own_folder(name: str) -> Path:
    """A folder of the add-on's own that survives updates; it is made."""
    try:
        return Path(bpy.utils.extension_path_user(__package__, path=name, create=True))
    except ValueError:  # not installed as an extension
        return Path(bpy.utils.user_resource("DATAFILES", path=f"t2vz/{name}", create=True))


def output_said() -> str:
    """The output folder of the preferences, as written there."""
    return _said("output")


def _said(field: str) -> str:
    addon = bpy.context.preferences.addons.get(__package__)
    return getattr(addon.preferences, field) if addon else DEFAULTS.get(field, "")


def _chosen(field: str) -> str:
    said = _said(field)
    return bpy.path.abspath(said) if said else ""


def register() -> None:
    bpy.utils.register_class(T2VZ_Preferences)


def unregister() -> None:
    bpy.utils.unregister_class(T2VZ_Preferences)
