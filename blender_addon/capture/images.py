"""Pictures rendered before: numbered files, a movie, or a strip of the sequencer that shows
either."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .cameras import CaptureError
from .strip_pictures import (
    all_strips,
    content_of,
    fps_of,
    movie_of,
    picture_index,
    rate_of,
    retiming_of,
    span_of,
)

SHOWN = {"IMAGE", "MOVIE"}  # types of strips


@dataclass(frozen=True)
class Place:
    """A picture file, or the movie and its frame, counted from 1."""

    path: Path
    movie_frame: int = 0


def place_of(scene: bpy.types.Scene, files: str, number: int) -> Place:
    """Where the picture of a frame is.

    Args:
        files: a path in which #### stands for the frame's number and {camera_name} and the like for
            what they do, as in Blender's own output path; the path of a movie, whose first picture
            is the scene's first frame; or the name of a strip in the scene's sequencer.

    Raises:
        CaptureError: there is none; one sentence.
    """
    strip = strip_named(scene, files)
    if strip is not None:
        place = _in_strip(scene, strip, number)
    elif _is_movie(files):
        place = Place(Path(bpy.path.abspath(files)), number - scene.frame_start + 1)
        if place.movie_frame < 1:
            raise CaptureError(
                f"Frame {number} comes before {files}, which begins at the scene's first frame."
            )
    else:
        place = Place(_numbered(scene, files, number))
    if not place.path.is_file():
        raise CaptureError(
            f"Frame {number} has no rendered file {place.path}: render it, or choose another range."
        )
    if place.movie_frame > 1 and place.movie_frame > (count := movie_of(place.path)[0]):
        raise CaptureError(f"{place.path} ends after {count} frames: choose another frame range.")
    return place


def check(scene: bpy.types.Scene, files: str, numbers: Iterable[int]) -> str:
    """Looks for the pictures of all these frames before the first is needed.

    Returns:
        What the artist should know of them; "" where there is nothing.

    Raises:
        CaptureError: a picture is missing; one sentence.
    """
    if "{camera_name}" in files and any(marker.camera for marker in scene.timeline_markers):
        return ""  # whose name it is, is known at the frame alone
    for number in numbers:
        place_of(scene, files, number)
    if strip_named(scene, files) is not None or not _is_movie(files):
        return ""
    fps, scene_fps = movie_of(Path(bpy.path.abspath(files)))[1], fps_of(scene)
    if math.isclose(fps, scene_fps, rel_tol=1e-3):
        return ""
    return (
        f"{Path(files).name} has {fps:g} pictures a second, the scene {scene_fps:g} frames: it is "
        f"taken picture by picture; as a strip of the sequencer it plays at its own speed."
    )


def strip_named(scene: bpy.types.Scene, name: str) -> Any:
    """The scene's image or movie strip of this name, or None."""
    return next((strip for strip in _strips(scene) if strip.name == name), None)


def strips_known(scene: bpy.types.Scene) -> list[str]:
    """Names of the strips that can be taken for pictures."""
    return [strip.name for strip in _strips(scene)]


def suffix_of(scene: bpy.types.Scene, files: str) -> str:
    """The kind of file that holds the pictures: `.png`, `.exr`, …"""
    strip = strip_named(scene, files)
    if strip is not None and strip.type == "IMAGE":
        files = strip.elements[0].filename
    return Path(files).suffix.lower()


def read(place: Place, size_px: tuple[int, int]) -> np.ndarray:
    """A picture (H, W, 3) uint8 at this width and height, in the colours it shows.

    Raises:
        CaptureError: it is no picture, or the movie is too short.
    """
    image = bpy.data.images.load(str(place.path))
    try:
        if not all(image.size):
            raise CaptureError(f"{place.path} is no picture that can be read.")
        colours = _of_movie(image, place, size_px) if place.movie_frame else _scaled(image, size_px)
        is_linear = image.is_float
    finally:
        bpy.data.images.remove(image)
    colours = colours[::-1, :, :3].clip(0, 1)  # Blender's rows go up
    if is_linear:
        colours = np.where(
            colours < 0.0031308, 12.92 * colours, 1.055 * colours ** (1 / 2.4) - 0.055
        )
    return np.ascontiguousarray(np.round(255 * colours).astype(np.uint8))


def _strips(scene: bpy.types.Scene) -> list[Any]:
    return [strip for strip in all_strips(scene) if strip.type in SHOWN]


def _in_strip(scene: bpy.types.Scene, strip: Any, number: int) -> Place:
    first, end = span_of(strip)
    if not first <= number < end:
        raise CaptureError(
            f"Frame {number} is not in the strip {strip.name}, which shows {first} to {end - 1}."
        )
    if fault := retiming_of(scene, strip):
        raise CaptureError(f"{fault}: render it to image files and take those.")
    if strip.type == "IMAGE":
        names = [element.filename for element in strip.elements]
        name = names[picture_index(content_of(strip, len(names), 1.0), number)]
        return Place(Path(bpy.path.abspath(strip.directory)) / name)
    path = Path(bpy.path.abspath(strip.filepath))
    if not path.is_file():
        return Place(path)
    count, fps = movie_of(path)
    content = content_of(strip, count, rate_of(scene, strip, count, fps))
    return Place(path, picture_index(content, number) + 1)


def _is_movie(files: str) -> bool:
    return Path(files).suffix.lower() in bpy.path.extensions_movie


def _numbered(scene: bpy.types.Scene, files: str, number: int) -> Path:
    if "#" not in re.split(r"[/\\]", files)[-1]:
        raise CaptureError(
            f"{files} is no movie and no strip: put #### where the frame's number stands."
        )
    if "{" in files:
        with suppress(RuntimeError):  # no such name: the braces are the file's own
            return Path(_filled_in(scene, files, number))
    return Path(with_number(bpy.path.abspath(files), number))


def _filled_in(scene: bpy.types.Scene, files: str, number: int) -> str:
    """The path with Blender's own {camera_name}, {blend_name} … as they are now, and the number.

    Raises:
        RuntimeError: Blender knows no such name.
    """
    render, form = scene.render, scene.render.image_settings
    wanted = [(form, "media_type", "IMAGE")] if hasattr(form, "media_type") else []
    wanted += [(form, "file_format", "PNG")]  # a movie's name would get its range
    wanted += [(render, "filepath", files), (render, "use_file_extension", False)]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in wanted]
    try:
        for owner, name, value in wanted:
            setattr(owner, name, value)
        return render.frame_path(frame=number)
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def with_number(files: str, number: int) -> str:
    """The path with the frame's number in it as Blender writes it: in the last row of # of the
    file's own name, of as many digits, a minus not counted."""
    start = max(files.rfind("/"), files.rfind("\\")) + 1
    found = list(re.finditer("#+", files[start:]))
    if not found:
        return files
    first, end = (start + place for place in found[-1].span())
    digits = f"{abs(number):0{end - first}d}"
    return f"{files[:first]}{'-' if number < 0 else ''}{digits}{files[end:]}"


def _of_movie(image: bpy.types.Image, place: Place, size_px: tuple[int, int]) -> np.ndarray:
    """The pixels of a movie's frame, which Blender gives once somebody, such as a texture, has
    looked at it."""
    texture = bpy.data.textures.new("T2VZ", "IMAGE")
    still = bpy.data.images.new("T2VZ", *image.size)  # scaled, the movie would forget the frame
    try:
        texture.image = image
        texture.image_user.frame_duration = image.frame_duration
        texture.image_user.frame_current = place.movie_frame
        texture.evaluate((0.0, 0.0, 0.0))
        still.pixels.foreach_set(_pixels(image).ravel())
        return _scaled(still, size_px)
    finally:
        bpy.data.textures.remove(texture)
        bpy.data.images.remove(still)


def _scaled(image: bpy.types.Image, size_px: tuple[int, int]) -> np.ndarray:
    if tuple(image.size) != size_px:
        image.scale(*size_px)
    return _pixels(image)


def _pixels(image: bpy.types.Image) -> np.ndarray:
    """(H, W, 4) float32, from the lowest row up."""
    pixels = np.empty((image.size[1], image.size[0], 4), np.float32)
    image.pixels.foreach_get(pixels.ravel())
    return pixels
