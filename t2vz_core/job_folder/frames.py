"""The finished frames of a job on disk: which are there, which are wanted, and how one is written
whole."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import __version__
from ..fault import Fault
from ..wire import rendered
from ..wire.job import JobSpec, frame_file
from ..wire.ranges import numbers_in
from .claims import Claims

SEEN = "passes.json"


class Frames:
    """`frames/` of one job folder; frames of another spec are never mixed in or overwritten."""

    def __init__(self, folder: Path, spec: JobSpec) -> None:
        self.job, self._spec = folder, spec
        stamp, ours = folder / "frames" / "made_from", known_fingerprint(folder, spec)
        self.made_from = ours
        if (
            stamp.exists()
            and stamp.read_bytes() != ours.encode()
            and any(stamp.parent.glob("*.png"))
        ):
            raise Fault(
                f"{folder / 'frames'} holds frames of an earlier version of this job: "
                "move or delete that folder, then run again."
            )
        stamp.parent.mkdir(exist_ok=True)
        write_whole(stamp, ours.encode())

    def numbers(self, first: int | None, last: int | None, only: str = "") -> list[int]:
        """The frame numbers of the job within `first`..`last`, bounds included, and within the
        range expression `only`, where it is not empty."""
        known = [frame.number for frame in self._spec.frames]
        low, high = known[0] if first is None else first, known[-1] if last is None else last
        asked = set(numbers_in(only)) if only else known
        wanted = [number for number in known if low <= number <= high and number in asked]
        if not wanted:
            where = only or f"{low}-{high}"
            raise Fault(f"The job has no frame within {where}; it has {known[0]}-{known[-1]}.")
        return wanted

    def missing(self, wanted: list[int]) -> list[int]:
        """Those of `wanted` that do not lie complete on disk."""
        return [number for number in wanted if not (self.job / self.path(number)).exists()]

    def take(self, numbers: list[int], claims: Claims) -> list[int]:
        """Those of `numbers` that are missing and that no other process makes: this run's."""
        mine = {number: claim_name(number) for number in numbers}
        taken = set(claims.take(list(mine.values())))
        claimed = [number for number, name in mine.items() if name in taken]
        missing = self.missing(claimed)  # looked for after the claim: it may just be finished
        for number in set(claimed) - set(missing):
            claims.release(mine[number])
        return missing

    def path(self, number: int) -> str:
        """The file of a frame, relative to the job folder."""
        return frame_file(number)

    def picture(self, number: int) -> Any:
        """A frame (H, W, 3) uint8 sRGB that was made before; None where it was not."""
        from .passes import load_picture

        path = self.job / self.path(number)
        return load_picture(path) if path.exists() else None

    def write(self, number: int, picture: Any) -> None:
        """Writes one frame, (H, W, 3) uint8 sRGB."""
        write_png(self.job / self.path(number), picture)


def claim_name(number: int) -> str:
    """What a frame is called among claims and anchors."""
    return f"{number:04d}"


def fingerprint(folder: Path, spec: JobSpec) -> str:
    """A hash of everything that makes the frames what they are: the engine's version, the spec, the
    passes."""
    digest = _of_spec(spec)
    for path, number in _files(folder, spec):
        digest.update(_bytes(path, number))
    return digest.hexdigest()


def known_fingerprint(folder: Path, spec: JobSpec) -> str:
    """As `fingerprint`, which is read from the folder's passes.json while no file's size and time
    have changed: a farm's tasks need not all read a whole shot."""
    seen, memory = _seen(folder, spec), folder / SEEN
    try:
        known = json.loads(memory.read_bytes())
        if known["seen"] == seen:
            return str(known["made_from"])
    except (OSError, ValueError, TypeError, KeyError):
        pass  # not there, or not whole: it is only a memory
    found = {"seen": seen, "made_from": fingerprint(folder, spec)}
    write_whole(memory, json.dumps(found).encode())
    return found["made_from"]


def _seen(folder: Path, spec: JobSpec) -> str:
    """A hash of the spec, and of name, size and time of every file."""
    digest = _of_spec(spec)
    for path, number in _files(folder, spec):
        try:
            found = path.stat()
        except FileNotFoundError:
            raise _missing(path, number) from None
        digest.update(f"{path.name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _of_spec(spec: JobSpec) -> Any:
    return hashlib.sha256(f"{__version__}\n{json.dumps(spec.to_json())}".encode())


def _files(folder: Path, spec: JobSpec) -> Iterator[tuple[Path, int]]:
    """Every file of the passes, and its frame's number."""
    for frame in spec.frames:
        for path in vars(frame.passes).values():
            if path is not None:
                yield folder / path, frame.number
            if path is not None and path.endswith(rendered.SUFFIX):
                yield (folder / path).with_suffix(".json"), frame.number


def write_png(path: Path, picture: Any) -> None:
    """Writes (H, W, 3) uint8 RGB as a PNG, whole or not at all."""
    import cv2

    _, png = cv2.imencode(".png", picture[..., ::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, png.tobytes())


def write_whole(path: Path, body: bytes) -> None:
    """Writes a file whole or not at all, though several machines write into its folder and one of
    them may lose its power."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())  # a network's disk may say only now that it is full
        _rename(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        error.filename = str(path)
        raise


def _rename(part: Path, path: Path) -> None:
    try:
        os.replace(part, path)
    except FileNotFoundError:  # a server that renamed, and whose answer was lost, was asked again
        if not path.exists():
            raise


def _bytes(path: Path, number: int) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise _missing(path, number) from None


def _missing(path: Path, number: int) -> Fault:
    return Fault(f"{path} of frame {number} is missing: capture the scene again.")
