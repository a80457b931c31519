"""The viewport's scene is made to show what a render would show, and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import bpy

from . import simulations
from .animated_values import is_animated
from .meshes import is_hair

Difference = tuple[
    object, str, object
]  # owner, its property for the viewport, the value a render would use

# Of a modifier, by its type: how fine it is in the viewport, and in a render.
DETAIL = {
    "SUBSURF": ("levels", "render_levels"),
    "MULTIRES": ("levels", "render_levels"),
    "SCREW": ("steps", "render_steps"),
    "OCEAN": ("viewport_resolution", "resolution"),
}
SWITCHES = {"hide_viewport", "show_viewport", *(viewport for viewport, _ in DETAIL.values())}


class RenderState:
    """Switches that differ between viewport and render, turned to the render's side until
    `restore`.

    The evaluated scene that Blender gives to scripts is the viewport's; a render hides other
    objects, has other modifiers and finer subdivision. What appears and disappears in renders is in
    sight all the time: whoever reads leaves it out, and so is `target`. `note` is told of
    simulations that must be left alone.
    """

    def __init__(
        self,
        scene: bpy.types.Scene,
        view_layer: bpy.types.ViewLayer,
        note: Callable[[str], None] = print,
        target: bpy.types.Object | None = None,
    ):
        self.scene, self.view_layer, self.note, self.target = scene, view_layer, note, target
        self.before: dict[tuple[object, str], tuple[bpy.types.ID, object]] = {}
        self.opened: list[bpy.types.Object] = []
        self.shown: int | None = None
        self.selected = [item for item in self._objects() if item.select_get(view_layer=view_layer)]

    def steps_to(self, number: int) -> Iterator[None]:
        """Plays the frames before one that simulations which are not baked must be led through."""
        start = simulations.first_frame(self.scene)
        if start is None:
            return
        is_on_the_way = self.shown is not None and start <= self.shown < number
        for between in range(self.shown + 1 if is_on_the_way else start, number):
            self.show_frame(between)
            yield

    def show_frame(self, number: int) -> None:
        """Goes to a frame, where any of the switches may be animated."""
        self.shown = number
        self.scene.frame_set(number)
        if self._apply():
            self.scene.frame_set(number)  # Blender does not animate what is hidden
            self._apply()

    def _apply(self) -> bool:
        """Whether it turned something that was not turned before."""
        known = len(self.before) + len(self.opened)
        for item in self._objects():
            if item.hide_get(view_layer=self.view_layer):
                item.hide_set(False, view_layer=self.view_layer)
                self.opened.append(item)
        for owner, name, value in self._wanted():
            if (now := getattr(owner, name)) != value:
                self.before.setdefault((owner, name), (owner.id_data, now))
                setattr(owner, name, value)
        return len(self.before) + len(self.opened) > known

    def restore(self) -> None:
        for (owner, name), (holder, value) in reversed(self.before.items()):
            with suppress(ReferenceError):  # another add-on's handler may have removed it
                holder.name  # noqa: B018 (raises where the owner is gone with its holder)
                setattr(owner, name, value)
        for item in self.opened:
            with suppress(ReferenceError):
                item.hide_set(True, view_layer=self.view_layer)
        self.before, self.opened = {}, []
        self.view_layer.update()  # only what is in sight can be selected
        for item in self.selected:
            with suppress(ReferenceError, RuntimeError):  # or has taken it out of the view layer
                item.select_set(True, view_layer=self.view_layer)

    def _objects(self) -> Iterator[bpy.types.Object]:
        """Those of the view layer, which holds None for one that has just been removed."""
        return filter(None, self.view_layer.objects)

    def _wanted(self) -> Iterator[Difference]:
        yield from _of_objects(self.target)
        for item in bpy.data.objects:
            yield from self._of_modifiers(item)
        yield from _of_data(self.scene, self.view_layer)

    def _of_modifiers(self, item: bpy.types.Object) -> Iterator[Difference]:
        """A simulation that is not baked starts anew at any change of its object, and would be
        lost."""
        unbaked = simulations.unbaked(item)
        if not unbaked:
            yield from _of_modifiers(item)
        elif not item.hide_render:
            self.note(
                f"{unbaked}: the simulation is not baked, so it is captured as the viewport plays "
                "it."
            )


def _of_objects(target: bpy.types.Object | None) -> Iterator[Difference]:
    for item in bpy.data.objects:
        for driver in item.animation_data.drivers if item.animation_data else ():
            if driver.data_path.rpartition(".")[2] in SWITCHES:
                yield driver, "mute", True
        # Hidden, it would not be animated any more, and never appear again.
        yield (
            item,
            "hide_viewport",
            item.hide_render and not (item == target or is_animated(item, "hide_render")),
        )
        yield item, "show_instancer_for_viewport", item.show_instancer_for_render


def _of_modifiers(item: bpy.types.Object) -> Iterator[Difference]:
    for modifier in item.modifiers:
        yield modifier, "show_viewport", modifier.show_render
        if modifier.type in DETAIL:
            viewport, render = DETAIL[modifier.type]
            yield modifier, viewport, getattr(modifier, render)
    for system in item.particle_systems:
        if is_hair(system) and not _copies_hair():
            continue  # it is not captured, and its children would take long
        yield system.settings, "display_percentage", 100
        yield system.settings, "display_method", "RENDER"
        yield system.settings, "child_percent", system.settings.rendered_child_count


def _copies_hair() -> bool:
    """Whether any modifier puts meshes on particles, it may be on hair."""
    return any(
        modifier.type == "PARTICLE_INSTANCE"
        for item in bpy.data.objects
        for modifier in item.modifiers
    )


def _of_data(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> Iterator[Difference]:
    for collection in bpy.data.collections:
        yield collection, "hide_viewport", collection.hide_render
    for layer in _layers(view_layer.layer_collection):
        yield layer, "hide_viewport", False
    for curve in bpy.data.curves:
        yield curve, "resolution_u", curve.render_resolution_u or curve.resolution_u
        yield curve, "resolution_v", curve.render_resolution_v or curve.resolution_v
    for meta in bpy.data.metaballs:
        yield meta, "resolution", meta.render_resolution
    for tree in bpy.data.node_groups:
        for node in tree.nodes if tree.type == "GEOMETRY" else ():
            if node.bl_idname == "GeometryNodeIsViewport":
                yield node, "mute", True  # a mute one says no
    for name in ("simplify_subdivision", "simplify_child_particles"):
        yield scene.render, name, getattr(scene.render, f"{name}_render")


def _layers(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    yield layer
    for child in layer.children:
        yield from _layers(child)
