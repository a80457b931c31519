"""The evaluated scene becomes bodies of triangles: what a render would show, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import bpy
import numpy as np

from ..geometry.projection import View
from ..geometry.surfaces import Body, Shape, Snapshot
from .materials import bends_normals, is_one_sided, is_volume, opacity

MESHED = {"MESH", "CURVE", "SURFACE", "FONT", "META"}
UNMESHED = {
    "CURVES": "hair", "VOLUME": "a volume", "POINTCLOUD": "a point cloud",
    "GREASEPENCIL": "Grease Pencil", "GPENCIL": "Grease Pencil",
}  # fmt: skip


@dataclass
class Reader:
    """Reads one frame after the other.

    subject: names of the objects that the mask shows; numbers: the number of each object, by name
    """

    view_layer: bpy.types.ViewLayer
    subject: Collection[str]
    with_normals: bool
    note: Callable[[str], None]
    numbers: dict[str, int] = field(default_factory=dict)

    def snapshot(self, depsgraph: bpy.types.Depsgraph, view: View) -> Snapshot:
        """All bodies of the evaluated scene; none where the view layer shows no surfaces."""
        if not self.view_layer.use_solid:
            self.note(
                f"Surfaces are switched off in the filter of the view layer {self.view_layer.name}."
            )
            return Snapshot(view, ())
        return Snapshot(view, tuple(self._bodies(depsgraph)))

    def _bodies(self, depsgraph: bpy.types.Depsgraph) -> Iterator[Body]:
        shapes: dict[tuple, Shape] = {}
        count: Counter = Counter()
        for instance in depsgraph.object_instances:
            if not self._is_rendered(instance):
                continue
            shape = self._shape(instance.object, shapes)
            if not len(shape.triangles):
                continue
            key = key_of(instance)
            count[key] += 1
            yield self._body(instance, (*key, count[key]), shape)

    def _is_rendered(self, instance: bpy.types.DepsgraphObjectInstance) -> bool:
        shown = instance.object
        if not shown.hide_render and any(map(is_hair, shown.particle_systems)):
            self.note(f"{shown.name} has hair, which is not captured.")
        if is_left_out(instance):
            return False
        if shown.type in UNMESHED and getattr(
            shown.data, "points", True
        ):  # nodes may have made a mesh of all points
            self.note(f"{shown.name} is {UNMESHED[shown.type]}, which is not captured.")
        if shown.type not in MESHED or self._is_smoke(shown):
            return False
        owner = instance.parent if instance.is_instance else shown
        if _original(owner).indirect_only_get(view_layer=self.view_layer):
            return False
        return shown.visible_camera and owner.visible_camera and not shown.is_shadow_catcher

    def _is_smoke(self, shown: bpy.types.Object) -> bool:
        """Whether it is the domain of smoke or fire, of which all engines but EEVEE show nothing
        else, whatever its material."""
        if self.view_layer.id_data.render.engine.startswith("BLENDER_EEVEE"):
            return False
        domains = (
            modifier.domain_settings
            for modifier in shown.modifiers
            if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN"
        )
        is_smoke = any(domain and domain.domain_type == "GAS" for domain in domains)
        if is_smoke:
            self.note(f"{shown.name} is smoke or fire, which is not captured.")
        return is_smoke

    def _body(self, instance: bpy.types.DepsgraphObjectInstance, key: tuple, shape: Shape) -> Body:
        shown = _original(instance.object)
        owner = _original(instance.parent) if instance.is_instance else shown
        number = self.numbers.setdefault(shown.name_full, len(self.numbers) + 1)
        is_subject = shown.name_full in self.subject or owner.name_full in self.subject
        is_holdout = shown.is_holdout or owner.holdout_get(view_layer=self.view_layer)
        return Body(
            key, shown.name, number, shape, np.array(instance.matrix_world), is_subject, is_holdout
        )

    def _shape(self, shown: bpy.types.Object, shapes: dict[tuple, Shape]) -> Shape:
        """The object's mesh, read once for all objects that share it with the same materials."""
        override = self.view_layer.material_override
        slots = tuple(override or slot.material for slot in shown.material_slots)
        source = (
            _original(shown) if shown.type == "META" else shown.data
        )  # each ball's mesh is its family's, or none
        key = (source.as_pointer(), *(m.as_pointer() if m else 0 for m in slots))
        if key not in shapes:
            mesh = shown.to_mesh()
            threshold, engine = (
                self.view_layer.pass_alpha_threshold,
                self.view_layer.id_data.render.engine,
            )
            if any(map(is_volume, slots)):
                self.note(f"{shown.name} is a volume, which is not captured.")
            for material in filter(bends_normals, slots if self.with_normals else ()):
                self.note(
                    f"The bump or normal map of the material {material.name} is not captured: its "
                    f"normals are the mesh's own."
                )
            seen = np.array([opacity(m, self.note) >= threshold for m in slots] or [True])
            one_sided = np.array([is_one_sided(m, engine) for m in slots] or [False])
            shapes[key] = _triangulated(mesh, seen, one_sided, self.with_normals)
            shown.to_mesh_clear()
        return shapes[key]


def is_hair(system: bpy.types.ParticleSystem) -> bool:
    """Whether it is rendered as strands, which have no surface."""
    return system.settings.type == "HAIR" and system.settings.render_type == "PATH"


def is_left_out(instance: bpy.types.DepsgraphObjectInstance) -> bool:
    """Whether it is not rendered, although the viewport may show it.

    What instances it must be rendered. Nodes and particles instance what is hidden itself;
    collections, vertices and faces do not.
    """
    if not instance.show_self:
        return True
    if not instance.is_instance:
        return instance.object.hide_render
    return instance.parent.hide_render or (
        instance.parent.instance_type != "NONE" and instance.object.hide_render
    )


def _triangulated(
    mesh: bpy.types.Mesh | None, seen: np.ndarray, one_sided: np.ndarray, with_normals: bool
) -> Shape:
    """The mesh's triangles whose material slot is seen; `one_sided` tells of which slots only the
    front is."""
    if mesh is None:
        return Shape(
            np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros(0, np.int32)
        )
    mesh.calc_loop_triangles()
    points = _read(mesh.vertices, "co", (-1, 3), np.float32)
    corners = _corners(mesh)
    cut = _read(mesh.loop_triangles, "loops", (-1, 3), np.int32)  # their vertices take longer
    triangles = corners[cut]
    is_sound = np.isfinite(points).all(1)
    points[~is_sound] = 0
    kept = slice(None) if is_sound.all() else is_sound[triangles].all(1)
    slot = None
    if not seen.all() or one_sided.any():
        slot = np.clip(
            _read(mesh.loop_triangles, "material_index", (-1,), np.int32), 0, len(seen) - 1
        )
        kept = seen[slot] & is_sound[triangles].all(1)
    return Shape(
        points,
        triangles[kept],
        corners,
        _corner_normals(mesh, cut)[kept] if with_normals else None,
        one_sided[slot][kept] if one_sided.any() else None,
    )


def _corners(mesh: bpy.types.Mesh) -> np.ndarray:
    """(c,) the vertex at each of the faces' corners."""
    stored = mesh.attributes.get(".corner_vert")  # where it lies as it is wanted
    if stored is None:
        return _read(mesh.loops, "vertex_index", (-1,), np.int32)
    return _read(stored.data, "value", (-1,), np.int32)


def _corner_normals(mesh: bpy.types.Mesh, cut: np.ndarray) -> np.ndarray:
    """(t, 3, 3) normals of the triangles' corners, of those numbers; 0 on flat faces, whose
    triangles have normals of their own."""
    normals = _read(mesh.corner_normals, "vector", (-1, 3), np.float32)[cut]
    if flat := mesh.attributes.get("sharp_face"):
        face = _read(mesh.loop_triangles, "polygon_index", (-1,), np.int32)
        normals[_read(flat.data, "value", (-1,), bool)[face]] = 0
    return normals


def _read(
    items: bpy.types.bpy_prop_collection, name: str, shape: tuple[int, ...], dtype: type
) -> np.ndarray:
    values = np.empty(len(items) * (3 if len(shape) == 2 else 1), dtype)
    items.foreach_get(name, values)
    return values.reshape(shape)


def key_of(instance: bpy.types.DepsgraphObjectInstance) -> tuple:
    """Names the instance in every frame; the object's own name comes first."""
    parent = instance.parent.name_full if instance.is_instance else ""
    return instance.object.name_full, parent, *instance.persistent_id


def _original(item: bpy.types.Object) -> bpy.types.Object:
    return item.original or item
