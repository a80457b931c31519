"""What a job's settings imply, on both sides: what follows the scene's map, and which passes are
read."""

from __future__ import annotations

from .job import CONTROLS, JobSpec


def has_scene_shapes(spec: JobSpec, is_instruct: bool) -> bool:
    """Whether the pictures show the scene's own shapes, so that its map fits them; a prompt alone
    invents others.

    Args:
        is_instruct: the model edits the scene's own pictures (InstructPix2Pix).
    """
    return bool(spec.controls) or is_instruct


def fused_part(spec: JobSpec, is_instruct: bool) -> float:
    """The first part (0..1) of the steps that are fused along the map.

    None in the faithful mode, and none where nothing is known of the motion: every frame would
    become the anchor.
    """
    has_maps = all(frame.passes.map for frame in spec.frames)
    is_moving = spec.motion.mode != "none" or (has_scene_shapes(spec, is_instruct) and has_maps)
    return spec.coherence.fusion if is_moving and not spec.motion.is_faithful else 0.0


def attends_to_keyframes(spec: JobSpec) -> bool:
    """Whether frames attend to key frames beside their anchor."""
    tied = spec.coherence
    return tied.anchor_weight > 0 and tied.attention != "self" and not spec.motion.is_faithful


def keyframe_every(spec: JobSpec, is_instruct: bool) -> int:
    """Every so many frames of a shot is a key frame; 0: none, since nobody looks at it."""
    is_seen = fused_part(spec, is_instruct) > 0 or attends_to_keyframes(spec)
    return spec.coherence.anchor_every if is_seen else 0


def passes_needed(spec: JobSpec, is_instruct: bool) -> set[str]:
    """Names of the passes that the engine reads of a job, whose frames need not be known yet."""
    tied, motion = spec.coherence, spec.motion
    is_scene = has_scene_shapes(spec, is_instruct)
    is_mapped = is_scene or motion.mode == "map"
    needed = {name for control in spec.controls for name in CONTROLS[control.kind]}
    if is_instruct:
        needed.add("image")
    if spec.regions:
        needed.add("ids")
    if tied.smoothing:
        needed.add("mask")
    if tied.fusion and tied.anchor_every and is_scene:
        needed.add("ids")  # who hides whom
    if tied.fusion > tied.fusion_disturbed and is_mapped:
        needed.add("disturbed")
    # By hand or without motion a prompt alone follows nothing of the scene.
    is_of_scene = is_scene or motion.mode in ("translation", "map")
    follows = tied.fusion or tied.anchor_weight or tied.smoothing_until
    follows = follows or tied.attention == "anchor+hidden"
    if (follows and is_of_scene) or motion.mode == "map":
        needed |= {"map", "visible"}
    return needed
