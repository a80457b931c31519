"""The viewport's scene is made to show what a render would show, and put back."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

Difference = tuple[object, str, object]  # owner, its property for the viewport, the value a render would use


class RenderState:
    """Switches that differ between viewport and render, turned to the render's side until `restore`.

    The evaluated scene that Blender gives to scripts is the viewport's; a render hides other objects, has other
    modifiers and finer subdivision.
    """

    def __init__(self, scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer):
        self.scene, self.view_layer = scene, view_layer
        self.before: list[Difference] = []
        self.opened: list[bpy.types.Object] = []

    def apply(self) -> None:
        """Called at every frame, because any of the switches can be animated."""
        for item in self.view_layer.objects:
            if item.hide_get(view_layer=self.view_layer):
                item.hide_set(False, view_layer=self.view_layer)
                self.opened.append(item)
        for owner, name, value in _wanted(self.scene, self.view_layer):
            if (now := getattr(owner, name)) != value:
                self.before.append((owner, name, now))
                setattr(owner, name, value)

    def restore(self) -> None:
        for owner, name, value in reversed(self.before):
            setattr(owner, name, value)
        for item in self.opened:
            item.hide_set(True, view_layer=self.view_layer)
        self.before, self.opened = [], []


def _wanted(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> Iterator[Difference]:
    for item in bpy.data.objects:
        yield item, "hide_viewport", item.hide_render
        yield item, "show_instancer_for_viewport", item.show_instancer_for_render
        for modifier in item.modifiers:
            yield modifier, "show_viewport", modifier.show_render
            if modifier.type in ("SUBSURF", "MULTIRES"):
                yield modifier, "levels", modifier.render_levels
    for collection in bpy.data.collections:
        yield collection, "hide_viewport", collection.hide_render
    for layer in _layers(view_layer.layer_collection):
        yield layer, "hide_viewport", False
    for curve in bpy.data.curves:
        yield curve, "resolution_u", curve.render_resolution_u or curve.resolution_u
        yield curve, "resolution_v", curve.render_resolution_v or curve.resolution_v
    for meta in bpy.data.metaballs:
        yield meta, "resolution", meta.render_resolution
    for particles in bpy.data.particles:
        yield particles, "display_percentage", 100
    yield scene.render, "simplify_subdivision", scene.render.simplify_subdivision_render


def _layers(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    yield layer
    for child in layer.children:
        yield from _layers(child)
