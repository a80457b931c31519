"""Where the engine, the models and the jobs live."""

import json
import os
from pathlib import Path

import bpy
from bpy.props import StringProperty

from t2vz_core.wire.homes import model_path, models_folder, name_in

ENGINE_VARIABLE = "T2VZ_ENGINE"
ENGINE_FILE = "engine.json"  # install.py writes it beside this module: {"python": "/…/bin/python"}
DEFAULTS = {"output": "//t2vz"}
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
        description="Python of the engine's environment, or its folder; empty: "
        "the one install.py made",
        subtype="FILE_PATH",
    )
    models: StringProperty(
        name="Models",
        description="Folder in which your models lie, one folder or file each",
        subtype="DIR_PATH",
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
        python = engine_python()
        layout.prop(self, "engine", placeholder=str(python or ""))
        layout.prop(self, "models", placeholder=str(models_folder()))
        layout.prop(self, "output")
        if python is None:
            row = layout.row()
            row.alert = True
            row.label(text=NO_ENGINE, icon="ERROR")
        layout.operator("t2vz.test_engine")


NO_ENGINE = (
    "No engine found: run `python3 install.py engine`, "
    "or choose its Python in the add-on's preferences."
)


def engine_python() -> Path | None:
    """The Python that starts the engine: the preferences', T2VZ_ENGINE's or install.py's; None if
    none is there."""
    for said in (_chosen("engine"), os.environ.get(ENGINE_VARIABLE, ""), _installed_engine()):
        if said:
            return _python_of(Path(said))
    return None


def _python_of(place: Path) -> Path | None:
    # Not resolved: an environment's Python is a link, and knows its environment by the link's own
    # place.
    candidates = (place, *(place / part for part in PYTHON_IN))
    return next((path for path in candidates if path.is_file()), None)


def _installed_engine() -> str:
    try:
        said = json.loads((Path(__file__).parent / ENGINE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return said.get("python", "")


def models_found() -> list[str]:
    """Names of the folders and .safetensors files in the models folder."""
    home = models_home()
    if not home.is_dir():
        return []
    return sorted(
        path.name for path in home.iterdir() if path.is_dir() or path.suffix == ".safetensors"
    )


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
