"""Films made anew out of films: more seeds, more frames, other frames, and settings taken back."""

from __future__ import annotations

import dataclasses
import random
from datetime import datetime
from pathlib import Path

import bpy

from t2vz_core.wire.job import JobSpec, read_job

from ..job import folders, history
from ..job.generation import Generation
from . import scene_job, session, settings_file

LARGEST_SEED = 999_999  # short enough to be read out


def generate(scene: bpy.types.Scene, target: bpy.types.Scene) -> None:
    """Begins what the panel asks for: one film, or one for each of several seeds.

    Raises:
        ValueError, OSError: as `scene_job.generation_of`.
    """
    settings = scene.t2vz
    if settings.is_seed_new:
        throw_dice(settings)
    seeds = range(1, settings.takes)

    def others(first: Generation) -> None:
        for further in seeds:
            spec = _with_seed(first.spec, first.spec.sampling.seed + further)
            _begin_twin(first.folder, spec, scene, target)

    generation = scene_job.generation_of(scene, session.engine())
    session.begin(generation, scene, target=target, when_captured=others)


def throw_dice(settings: bpy.types.PropertyGroup) -> None:
    """Another seed for the panel."""
    settings.seed_high, settings.sampling.seed = 0, random_seed()


def random_seed() -> int:
    """Any seed."""
    return random.randint(0, LARGEST_SEED)


def again_with_new_seed(folder: Path, scene: bpy.types.Scene, target: bpy.types.Scene) -> None:
    """The take once more as it was captured, of other noise.

    Raises:
        ValueError, OSError: the folder holds no job, or another cannot be made.
    """
    _begin_twin(folder, _with_seed(read_job(folder), random_seed()), scene, target)


def load_settings(folder: Path, scene: bpy.types.Scene) -> list[str]:
    """Puts a take's settings into the panel; returns the names of those that found no place.

    Raises:
        ValueError: the take has kept none, or they cannot be read.
    """
    file = folder / folders.PANEL
    if not file.is_file():
        raise ValueError(f"{folder.name} was made before takes kept the panel's settings.")
    return settings_file.read(file, scene.t2vz)


def regenerate(folder: Path, scene: bpy.types.Scene, target: bpy.types.Scene) -> None:
    """The take's settings and frames with the scene as it is now; the settings come into the
    panel.

    Raises:
        ValueError, OSError: as `load_settings` and `scene_job.generation_of`.
    """
    load_settings(folder, scene)
    _capture(scene, target, _numbers(folder))


def extend(folder: Path, frames: int, scene: bpy.types.Scene, target: bpy.types.Scene) -> None:
    """The take and so many frames more; those that are done are taken over.

    Raises:
        ValueError, OSError: as `regenerate`.
    """
    numbers = _numbers(folder)
    every = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    more = [numbers[-1] + every * i for i in range(1, frames + 1)]
    load_settings(folder, scene)
    _capture(scene, target, numbers + more, (folder, set(numbers)))


def replace_frames(
    folder: Path, first: int, last: int, scene: bpy.types.Scene, target: bpy.types.Scene
) -> None:
    """The take with its frames `first`..`last` made anew as the panel says; the others are taken
    over.

    Raises:
        ValueError: it has no such frames, or as `scene_job.generation_of`.
    """
    numbers = _numbers(folder)
    kept = {number for number in numbers if not first <= number <= last}
    if len(kept) == len(numbers):
        raise ValueError(f"This take has the frames {numbers[0]} to {numbers[-1]}.")
    _capture(scene, target, numbers, (folder, kept))


def take_shown(context: bpy.types.Context) -> history.Take | None:
    """The take that buttons mean: the active strip's, else the last one made here."""
    from . import strips

    shown = getattr(context, "sequencer_scene", None) or context.scene
    editor = shown.sequence_editor
    strip = editor.active_strip if editor else None
    folder = strips.folder_of(strip) if strip is not None else None
    if folder is None and session.now.generation is not None:
        folder = session.now.generation.folder
    if folder is None or not folders.is_job(folder):
        return None
    return history.take_of(folder)


def _capture(
    scene: bpy.types.Scene,
    target: bpy.types.Scene,
    numbers: list[int],
    donor: tuple[Path, set[int]] | None = None,
) -> None:
    def adopt(generation: Generation) -> None:
        if donor is not None:
            folders.adopt_frames(generation.folder, *donor)

    generation = scene_job.generation_of(scene, session.engine(), numbers=numbers)
    session.begin(generation, scene, target=target, when_captured=adopt)


def _begin_twin(
    folder: Path, spec: JobSpec, scene: bpy.types.Scene, target: bpy.types.Scene
) -> None:
    other = folders.twin(folder, spec, datetime.now())
    session.begin(Generation(other, spec, session.engine()), scene, target=target)


def _with_seed(spec: JobSpec, seed: int) -> JobSpec:
    return dataclasses.replace(spec, sampling=dataclasses.replace(spec.sampling, seed=seed))


def _numbers(folder: Path) -> list[int]:
    return [frame.number for frame in read_job(folder).frames]
