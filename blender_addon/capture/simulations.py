"""What is simulated frame after frame: where it begins, and whether its result is kept."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

CACHED = ("CLOTH", "SOFT_BODY")  # modifiers with a point cache of their own
Cache = tuple[str, int, bool]  # name, first frame, whether it is baked


def unbaked(item: bpy.types.Object) -> str:
    """The name of what is simulated of an object, the result lying in memory alone; "" if nothing
    is."""
    return next((name for name, _, is_baked in _caches(item) if not is_baked), "")


def first_frame(scene: bpy.types.Scene) -> int | None:
    """Where the first of the scene's simulations begins that must be played to be seen; None where
    there is none."""
    items = [item for item in scene.objects if not item.hide_render]
    starts = [start for item in items for _, start, is_baked in _caches(item) if not is_baked]
    starts += [scene.frame_start for item in items if _has_simulation_zone(item)]
    return min(starts, default=None)


def _caches(item: bpy.types.Object) -> Iterator[Cache]:
    for modifier in item.modifiers:
        if modifier.type in CACHED:
            yield _of_points(item.name, modifier.point_cache)
        elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings:
            for surface in modifier.canvas_settings.canvas_surfaces:
                yield _of_points(item.name, surface.point_cache)
        elif modifier.type == "FLUID" and _is_liquid(modifier.domain_settings):
            domain = modifier.domain_settings
            yield item.name, domain.cache_frame_start, domain.cache_type != "REPLAY"
    for system in item.particle_systems:
        if system.settings.type == "EMITTER" or system.use_hair_dynamics:
            yield _of_points(item.name, system.point_cache)
    for scene in item.users_scene if item.rigid_body else ():
        if scene.rigidbody_world is not None:
            yield _of_points("Rigid bodies", scene.rigidbody_world.point_cache)


def _is_liquid(domain: bpy.types.FluidDomainSettings | None) -> bool:
    """Of gas nothing is captured."""
    return domain is not None and domain.domain_type == "LIQUID"


def _of_points(name: str, cache: bpy.types.PointCache) -> Cache:
    return name, cache.frame_start, cache.is_baked


def _has_simulation_zone(item: bpy.types.Object) -> bool:
    """Its nodes keep a state from frame to frame; whether that is baked they do not tell."""
    trees = [modifier.node_group for modifier in item.modifiers if modifier.type == "NODES"]
    known = set()
    for tree in trees:
        if tree is None or tree in known:
            continue
        known.add(tree)
        for node in tree.nodes:
            if node.bl_idname == "GeometryNodeSimulationInput":
                return True
            if node.bl_idname == "GeometryNodeGroup":
                trees.append(node.node_tree)
    return False
