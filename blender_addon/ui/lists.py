"""Lists in the panel that grow and shrink by a line."""

import bpy
from bpy.props import EnumProperty, IntProperty

PLACES = ("prompt.keys", "model.loras", "controls")


class T2VZ_OT_add(bpy.types.Operator):
    """Add a line to this list"""

    bl_idname = "t2vz.add"
    bl_label = "Add"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender's own convention

    place: EnumProperty(items=[(name, name, "") for name in PLACES])

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Adds one at the end."""
        context.scene.t2vz.path_resolve(self.place).add()
        return {"FINISHED"}


class T2VZ_OT_remove(bpy.types.Operator):
    """Remove this line"""

    bl_idname = "t2vz.remove"
    bl_label = "Remove"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender's own convention

    place: EnumProperty(items=[(name, name, "") for name in PLACES])
    index: IntProperty()

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Removes the one with this index."""
        context.scene.t2vz.path_resolve(self.place).remove(self.index)
        return {"FINISHED"}


CLASSES = (T2VZ_OT_add, T2VZ_OT_remove)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
