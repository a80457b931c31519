"""Which bone is which joint: shown for the active armature, and changed by hand where the names do
not tell."""

import textwrap
from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from ..capture import armatures
from ..geometry import bone_names

LETTERS = 40  # that a line of the sidebar holds
LEFT_OUT = "–"  # Blender takes an empty name in a list for a heading


def armature_of(context: bpy.types.Context) -> bpy.types.Object | None:
    """The active armature, or the one that the active mesh follows."""
    active = context.active_object
    if active is None or active.type == "ARMATURE":
        return active
    return active.find_armature()


def draw(layout: Any, armature: bpy.types.Object) -> None:
    """Every joint with its bone, as a button that changes it."""
    mapping = armatures.mapping_of(armature) or {}
    column = layout.column(align=True)
    for joint in bone_names.MAPPED:
        row = column.split(factor=0.4, align=True)
        row.label(text=joint.replace("_", " ").capitalize())
        chosen = row.operator("t2vz.set_joint", text=mapping.get(joint, LEFT_OUT))
        chosen.joint = joint
    for fault in armatures.preset_faults():
        for line in textwrap.wrap(fault, LETTERS):
            layout.label(text=line)
    row = layout.row(align=True)
    row.operator("t2vz.detect_joints")
    row.operator("t2vz.save_rig_preset")


class _WithArmature:
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender's own convention

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """An armature is active."""
        return armature_of(context) is not None


_shown: list[
    tuple[str, str, str]
] = []  # Blender keeps no reference of its own to the texts of an enum


def _bones(_operator: Any, context: bpy.types.Context) -> list[tuple[str, str, str]]:
    names = armature_of(context).data.bones.keys()
    _shown[:] = [
        (LEFT_OUT, "(left out)", "This joint is not drawn"),
        *((name, name, "") for name in names),
    ]
    return _shown


class T2VZ_OT_set_joint(_WithArmature, bpy.types.Operator):
    """Choose the bone whose head is this joint"""

    bl_idname = "t2vz.set_joint"
    bl_label = "Set Joint"
    bl_property = "bone"

    joint: EnumProperty(items=[(joint, joint, "") for joint in bone_names.MAPPED])
    bone: EnumProperty(name="Bone", items=_bones)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Lets the artist search the bones."""
        context.window_manager.invoke_search_popup(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Keeps the choice with the armature."""
        armature = armature_of(context)
        bone = "" if self.bone == LEFT_OUT else self.bone
        armatures.set_mapping(
            armature, {**dict(armature.get(armatures.PROPERTY, {})), self.joint: bone}
        )
        return {"FINISHED"}


class T2VZ_OT_detect_joints(_WithArmature, bpy.types.Operator):
    """Forget what was chosen by hand, and go by the bones' names"""

    bl_idname = "t2vz.detect_joints"
    bl_label = "Detect"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Takes the choices away."""
        armatures.set_mapping(armature_of(context), {})
        return {"FINISHED"}


class T2VZ_OT_save_rig_preset(_WithArmature, bpy.types.Operator):
    """Recognise rigs with these bone names from now on"""

    bl_idname = "t2vz.save_rig_preset"
    bl_label = "Save Preset"
    bl_options = {"REGISTER"}  # noqa: RUF012 - Blender's own convention

    title: StringProperty(name="Name", default="My Rig")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Asks for its name."""
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Writes the preset."""
        mapping = armatures.mapping_of(armature_of(context))
        if not mapping:
            self.report({"WARNING"}, "No joint has a bone yet: choose some first")
            return {"CANCELLED"}
        self.report({"INFO"}, f"Saved {armatures.save_preset(self.title, mapping)}")
        return {"FINISHED"}


CLASSES = (T2VZ_OT_set_joint, T2VZ_OT_detect_joints, T2VZ_OT_save_rig_preset)
register, unregister = bpy.utils.register_classes_factory(CLASSES)
