"""Arrays and settings become a job folder on disk, which the engine can repeat without Blender."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import numpy as np

from t2vz_core.wire.job import Frame, JobSpec, Passes, frame_file, write_job
from t2vz_core.wire.passes import PASSES
from t2vz_core.wire.rendered import SUFFIX, Rendered, write_rendered

PANEL = "settings.json"  # the panel's settings, beside job.json
# letters that Unicode does not take apart
LETTERS = {
    "ß": "ss",
    "æ": "ae",
    "Æ": "Ae",
    "œ": "oe",
    "Œ": "Oe",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ı": "i",
}
LONGEST_BYTES = 120  # of a folder's name; an encrypted home allows 143
MARKS = re.compile("[\u0300-\u036f]")  # accents, umlauts and the like, once taken apart


@dataclasses.dataclass(frozen=True)
class RenderedFile:
    """A rendered multilayer EXR, what is said beside it, and the names of the passes that are read
    out of it."""

    path: Path
    said: Rendered
    passes: frozenset[str]

    @staticmethod
    def name_of(number: int) -> str:
        """The name that a frame's file has in the job folder."""
        return f"{number:04d}{SUFFIX}"


@dataclasses.dataclass(frozen=True)
class FrameArrays:
    """What the scene tells of one frame; arrays as `t2vz_core.wire.passes.PASSES` describes them,
    None if unread."""

    number: int
    is_anchor: bool = False
    shift_px: tuple[float, float] = (0.0, 0.0)
    image: np.ndarray | None = None
    depth: np.ndarray | None = None
    normal: np.ndarray | None = None
    ids: np.ndarray | None = None
    pose: np.ndarray | None = None
    hands: np.ndarray | None = None
    mask: np.ndarray | None = None
    map: np.ndarray | None = None
    visible: np.ndarray | None = None
    disturbed: np.ndarray | None = None
    flow_back: np.ndarray | None = None
    flow_here: np.ndarray | None = (
        None  # the flow_ahead of the frame before, which leads to this one
    )
    file: RenderedFile | None = None
    region_strengths: tuple[float, ...] = ()
    start_strengths: tuple[float, ...] = ()


def check(spec: JobSpec, number: int) -> None:
    """Refuses settings before any frame, of which `number` is the first, is captured with them.

    Raises:
        WireError: a setting the engine would refuse, by its field's path.
    """
    JobSpec.from_json(dataclasses.replace(spec, frames=(Frame(number),)).to_json())


def new_folder(home: Path, prompt: str, now: datetime) -> Path:
    """Makes a folder of its own for one job, named after the time and the prompt; never one that is
    there.

    Raises:
        OSError: it cannot be made.
    """
    words = re.findall(r"[^\W_]+", _plain(prompt))
    name = "-".join([now.strftime("%Y%m%d-%H%M%S"), *words[:5]])
    name = name[:60].encode()[:LONGEST_BYTES].decode(errors="ignore").rstrip("-")
    home.mkdir(parents=True, exist_ok=True)
    free = (
        home / f"{name}{tail}"
        for tail in itertools.chain([""], (f"-{n}" for n in itertools.count(2)))
    )
    folder = next(path for path in free if not path.exists())
    folder.mkdir()
    return folder


def _plain(text: str) -> str:
    """The text in small letters without marks on them; other scripts stay as they are."""
    for letter, plain in LETTERS.items():
        text = text.replace(letter, plain)
    bare = MARKS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", bare).lower()


def claimed(folder: Path) -> Path:
    """Makes this folder for one job, or takes it if it is empty.

    Raises:
        ValueError: something is in it.
        OSError: it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty and holds no job: name a new folder, nothing is overwritten."
        )
    return folder


def twin(folder: Path, spec: JobSpec, now: datetime) -> Path:
    """A new job beside a captured one, with its passes and other settings; the passes are one file
    on disk where the disk can.

    Raises:
        OSError: it cannot be made.
    """
    other = new_folder(folder.parent, spec.prompt.text, now)
    parts = (*(folder / "passes").rglob("*"), *(folder / "references").rglob("*"))
    for path in [*parts, folder / PANEL]:
        if path.is_file():
            target = other / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(path, target)
    write_job(other, spec)
    return other


def adopt_frames(folder: Path, donor: Path, numbers: Iterable[int]) -> None:
    """Takes these finished frames over from another job; the engine keeps what is there.

    Raises:
        OSError: one cannot be written.
    """
    for number in numbers:
        path = donor / frame_file(number)
        if path.is_file():
            target = folder / frame_file(number)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, target)


def keep_pictures(folder: Path, spec: JobSpec) -> JobSpec:
    """The job with its reference pictures copied into the folder, so that it travels.

    Raises:
        OSError: one is missing, or the folder cannot be written.
    """
    kept = []
    for i, one in enumerate(spec.references, 1):
        path = Path(one.picture)
        name = f"references/{i:02d}{path.suffix.lower()}"
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / name)
        kept.append(dataclasses.replace(one, picture=name))
    return dataclasses.replace(spec, references=tuple(kept))


def is_job(folder: Path) -> bool:
    """A job was captured there to its end."""
    return (folder / "job.json").is_file()


def write_frame(folder: Path, arrays: FrameArrays) -> Frame:
    """Saves one frame's arrays as `passes/<name>/0001.npy`, its file as `passes/rendered/0001.exr`;
    says where.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    paths = {}
    for name in PASSES:
        if (array := getattr(arrays, name, None)) is not None:
            paths[name] = _saved(folder, name, arrays.number, array)
    if arrays.file is not None:
        paths |= dict.fromkeys(arrays.file.passes, _copied(folder, arrays.number, arrays.file))
    x, y = (round(float(value), 6) + 0.0 for value in arrays.shift_px)
    strengths = (
        tuple(round(float(value), 6) for value in each)
        for each in (arrays.region_strengths, arrays.start_strengths)
    )
    return Frame(int(arrays.number), bool(arrays.is_anchor), (x, y), Passes(**paths), *strengths)


def with_flow_ahead(folder: Path, frame: Frame, flow: np.ndarray) -> Frame:
    """The frame with its flow to the next one, which is known only then, saved like its other
    passes.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    path = _saved(folder, "flow_ahead", frame.number, flow)
    return dataclasses.replace(frame, passes=dataclasses.replace(frame.passes, flow_ahead=path))


def _saved(folder: Path, name: str, number: int, array: np.ndarray) -> str:
    path = f"passes/{name}/{number:04d}.npy"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(_npy(np.asarray(array, PASSES[name].dtype)))
    return path


def _copied(folder: Path, number: int, file: RenderedFile) -> str:
    path = f"passes/rendered/{RenderedFile.name_of(number)}"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file.path, folder / path)
    write_rendered(folder / path, file.said)
    return path


def _npy(array: np.ndarray) -> bytes:
    # Not saved by numpy itself: on a full disk it does not say that the disk is full.
    body = io.BytesIO()
    np.save(body, array)
    return body.getvalue()


def copy_passes(job: Path, folder: Path) -> None:
    """Gives a new job the passes of another; on one disk they are the same files.

    Raises:
        OSError: they cannot be read or written.
    """
    shutil.copytree(job / "passes", folder / "passes", copy_function=_linked)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(source, target)


def finish(folder: Path, spec: JobSpec, frames: list[Frame]) -> JobSpec:
    """Writes job.json, the last file of a captured job: a folder without it is not a job.

    Raises:
        WireError: a setting the engine would refuse, by its field's path.
        OSError: the folder cannot be written.
    """
    whole = dataclasses.replace(spec, frames=tuple(frames))
    write_job(folder, whole)
    return whole


def discard(folder: Path) -> None:
    """Takes away what a capture that did not come to its end has written; a whole job is left
    alone."""
    if not is_job(folder):
        shutil.rmtree(folder / "passes", ignore_errors=True)
        (folder / PANEL).unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def finished_frames(folder: Path, spec: JobSpec) -> list[tuple[int, Path]]:
    """Number and path of the job's frames on disk; the engine gives a frame its name when it is
    complete."""
    paths = [(frame.number, folder / frame_file(frame.number)) for frame in spec.frames]
    return [(number, path) for number, path in paths if path.is_file()]


def provenance(folder: str, spec: JobSpec) -> str:
    """What a strip remembers of its making, as JSON: the job's folder and its settings without the
    frames."""
    settings = dataclasses.replace(spec, frames=()).to_json()
    del settings["frames"]
    return json.dumps({"folder": folder, **settings}, ensure_ascii=False)
