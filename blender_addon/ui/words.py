"""The prompt as a text, styles to choose and to keep, and whole looks as files."""

from pathlib import Path

import bpy
from bl_operators.presets import AddPresetBase
from bpy.props import StringProperty
from bpy_extras.io_utils import ExportHelper, ImportHelper

from .. import preferences
from ..run import models, session, settings_file

STYLES = "t2vz/styles"
SHIPPED = str(Path(__file__).parents[1])  # Blender looks for presets/t2vz/styles in here
TEXT = "Prompt"


class T2VZ_MT_styles(bpy.types.Menu):
    """Words for the look"""

    bl_idname = "T2VZ_MT_styles"
    bl_label = "Styles"
    preset_subdir = STYLES
    preset_operator = "script.execute_preset"

    def draw(self, context: bpy.types.Context) -> None:
        """Shipped and own ones, and how to keep one."""
        self.draw_preset(context)
        self.layout.separator()
        self.layout.operator("t2vz.keep_style", text="Keep This Style", icon="ADD")


class T2VZ_OT_keep_style(AddPresetBase, bpy.types.Operator):
    """Keep the style's words under a name, for every file"""

    bl_idname = "t2vz.keep_style"
    bl_label = "Keep Style"
    preset_menu = "T2VZ_MT_styles"
    preset_subdir = STYLES
    preset_defines = ("settings = bpy.context.scene.t2vz",)
    preset_values = ("settings.style",)


class T2VZ_OT_prompt_as_text(bpy.types.Operator):
    """Write the prompt in the Text Editor, as many lines as you like"""

    bl_idname = "t2vz.prompt_as_text"
    bl_label = "Edit as Text"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Makes the text and shows it in a Text Editor that is open."""
        settings = context.scene.t2vz
        if settings.prompt_text is None:
            settings.prompt_text = bpy.data.texts.new(TEXT)
            settings.prompt_text.write(settings.prompt.text)
        editors = [area for area in context.screen.areas if area.type == "TEXT_EDITOR"]
        for area in editors:
            area.spaces.active.text = settings.prompt_text
        if not editors:
            self.report({"INFO"}, f"Open the text “{settings.prompt_text.name}” in a Text Editor")
        return {"FINISHED"}


class T2VZ_OT_save_settings(ExportHelper, bpy.types.Operator):
    """Save all settings of the panel as a file, to share or for the command line"""

    bl_idname = "t2vz.save_settings"
    bl_label = "Save Settings"
    filename_ext = ".json"
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Writes the file."""
        try:
            settings_file.write(Path(self.filepath), context.scene.t2vz)
        except OSError as error:
            return session.refuse(self, error)
        return {"FINISHED"}


class T2VZ_OT_open_settings(ImportHelper, bpy.types.Operator):
    """Take all settings of the panel from a file"""

    bl_idname = "t2vz.open_settings"
    bl_label = "Open Settings"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Reads the file; names what it does not know."""
        try:
            unknown = settings_file.read(Path(self.filepath), context.scene.t2vz)
        except ValueError as error:
            return session.refuse(self, error)
        if unknown:
            self.report({"WARNING"}, f"Not here, and left out: {', '.join(unknown)}")
        return {"FINISHED"}


class T2VZ_OT_choose_model(bpy.types.Operator):
    """Choose the model's file or folder"""

    bl_idname = "t2vz.choose_model"
    bl_label = "Choose Model"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    filepath: StringProperty(subtype="FILE_PATH")
    filter_glob: StringProperty(default="*.safetensors;*.json", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Lets the artist look for it."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """A diffusers model is the folder around the file that was chosen."""
        chosen = Path(self.filepath)
        folder = chosen if chosen.is_dir() else chosen.parent
        is_folder = (folder / "model_index.json").is_file()
        context.scene.t2vz.model.base = str(folder if is_folder else chosen)
        return {"FINISHED"}


class T2VZ_OT_find_models(bpy.types.Operator):
    """Look for the models of WebUI, ComfyUI and the hub's cache in your home folder"""

    bl_idname = "t2vz.find_models"
    bl_label = "Find Models"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Asks before it takes them."""
        found = models.other_homes()
        if not found:
            self.report({"INFO"}, "No other models found in your home folder")
            return {"CANCELLED"}
        words = "; ".join(map(str, found))
        return context.window_manager.invoke_confirm(
            self, event, title="Offer These Models?", message=words, confirm_text="Offer"
        )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Adds the folders to the preferences."""
        own = context.preferences.addons[preferences.__package__].preferences
        said = [own.more_models, *map(str, models.other_homes())]
        own.more_models = "; ".join(filter(None, said))
        return {"FINISHED"}


CLASSES = (
    T2VZ_OT_find_models,
    T2VZ_MT_styles,
    T2VZ_OT_keep_style,
    T2VZ_OT_prompt_as_text,
    T2VZ_OT_save_settings,
    T2VZ_OT_open_settings,
    T2VZ_OT_choose_model,
)


def register() -> None:
    for kind in CLASSES:
        bpy.utils.register_class(kind)
    bpy.utils.register_preset_path(SHIPPED)


def unregister() -> None:
    bpy.utils.unregister_preset_path(SHIPPED)
    for kind in reversed(CLASSES):
        bpy.utils.unregister_class(kind)
