"""Words for each object: in the object's and the collection's properties, and listed in the
panel."""

from typing import Any

import bpy
from bpy.props import BoolProperty, FloatProperty, PointerProperty, StringProperty

from ..capture import object_words


class T2VZ_Words(bpy.types.PropertyGroup):
    """What an object, or all of a collection, shows."""

    text: StringProperty(
        name="Words", description="What this shows, instead of the prompt; empty: the prompt's"
    )
    negative: StringProperty(
        name="Not", description="What this must not show; empty: the negative prompt's"
    )
    strength: FloatProperty(
        name="Strength",
        description="How much its own words count beside the prompt's",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    is_repainted: BoolProperty(
        name="Own Repaint",
        description="Where frames start from their pictures: repaint this more or less than "
        "the rest",
    )
    repaint: FloatProperty(
        name="Repaint",
        description="How much of this is made anew; 0: nothing, byte for byte, 1: all",
        default=0.6,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )


def draw_words(layout: Any, owner: object_words.Owner) -> None:
    """An owner's words."""
    words = owner.t2vz_words
    layout.use_property_split = True
    layout.prop(words, "text", text=owner.name)
    if words.text:
        layout.prop(words, "negative")
        row = layout.row()
        row.use_property_decorate = isinstance(owner, bpy.types.Object)  # it can be keyed
        row.prop(words, "strength")


def draw_repaint(layout: Any, owner: object_words.Owner) -> None:
    """How much of an owner is made anew."""
    row = layout.row(heading="Repaint")
    row.prop(owner.t2vz_words, "is_repainted", text="")
    field = row.row()
    field.active = owner.t2vz_words.is_repainted
    field.use_property_decorate = isinstance(owner, bpy.types.Object)
    field.prop(owner.t2vz_words, "repaint", text="")


def draw_list(layout: Any, context: bpy.types.Context) -> None:
    """The active object's words, and those of all others that have some."""
    active = context.active_object
    if active is not None:
        draw_words(layout.column(), active)
    for owner in object_words.owners(context.scene):
        if owner != active:
            draw_words(layout.column(), owner)


class _Words:
    bl_label = "Text2Video-Zero"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender's own convention


class T2VZ_PT_object_words(_Words, bpy.types.Panel):
    """In the object's properties."""

    bl_idname = "T2VZ_PT_object_words"
    bl_context = "object"

    def draw(self, context: bpy.types.Context) -> None:
        """The object's own words."""
        draw_words(self.layout, context.object)
        draw_repaint(self.layout, context.object)


class T2VZ_PT_collection_words(_Words, bpy.types.Panel):
    """In the collection's properties."""

    bl_idname = "T2VZ_PT_collection_words"
    bl_context = "collection"

    def draw(self, context: bpy.types.Context) -> None:
        """The words of all that is in it."""
        draw_words(self.layout, context.collection)
        draw_repaint(self.layout, context.collection)


CLASSES = (T2VZ_Words, T2VZ_PT_object_words, T2VZ_PT_collection_words)
OWNERS = (bpy.types.Object, bpy.types.Collection)


def register() -> None:
    for kind in CLASSES:
        bpy.utils.register_class(kind)
    for owner in OWNERS:
        owner.t2vz_words = PointerProperty(type=T2VZ_Words)


def unregister() -> None:
    for owner in OWNERS:
        del owner.t2vz_words
    for kind in reversed(CLASSES):
        bpy.utils.unregister_class(kind)
