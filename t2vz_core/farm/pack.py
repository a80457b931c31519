"""A job folder as one zip file, and back; what no honest job holds is refused before it is written.

A zip may be hostile: names that lead out of the folder, links, bombs, files that share their bytes.
`job.json` is read and checked first; after that only files that it names are taken, each no larger
than a pass of its picture can be.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import stat
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from ..fault import Fault
from ..wire.job import JobSpec, frame_file, read_job
from ..wire.parse import WireError
from ..wire.rendered import SUFFIX as RENDERED

JOB, MODELS, STAMP = "job.json", "models.json", "frames/made_from"
JOB_BYTES = 256 << 20
SMALL_BYTES = 1 << 20  # of every file beside its pixels
PIXEL_BYTES = 512  # of one pixel in a rendered file with all its layers
ANCHOR_BYTES = 1024  # of one latent cell in an anchor's file
BARRED = re.compile(r'[\x00-\x1f<>:"|?*\\]|[. ]$|^$')
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def pack(job: Path, to: Path, has_frames: bool) -> int:
    """Writes the zip of a job folder; returns its size in bytes.

    Raises:
        WireError: the folder holds no job.
        Fault: there is such a file already, or a pass is missing.
        OSError: the disk is full or the zip cannot be written.
    """
    spec = read_job(job)
    if to.exists():
        raise Fault(f"{to} is there already: name another file, nothing is overwritten.")
    part = to.with_name(f".{to.name}.{uuid.uuid4().hex}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
            for name in _there(job, _wanted(spec, has_frames)):
                is_packed = name.endswith((".png", RENDERED))
                out.write(job / name, name, zipfile.ZIP_STORED if is_packed else None)
        part.rename(to)
    finally:
        part.unlink(missing_ok=True)
    return to.stat().st_size


def unpack(file: Path, to: Path) -> JobSpec:
    """Makes the job folder `to`, which must not exist, of a zip.

    Raises:
        Fault: the zip is damaged, hostile or no job, or the disk has no room; nothing is left.
        OSError: the disk cannot be written.
    """
    if to.exists():
        raise Fault(f"{to} is there already: name a new folder, nothing is overwritten.")
    part = to.with_name(f".{to.name}.{uuid.uuid4().hex}.part")
    try:
        with zipfile.ZipFile(file) as body:
            spec = _checked(body, file, to.parent)
            for entry in body.infolist():
                _extract(body, entry, part)
        part.rename(to)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as bad:
        raise Fault(f"{file} is damaged or no zip ({bad}): have it packed again.") from bad
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return spec


def _wanted(spec: JobSpec, has_frames: bool) -> Iterator[str]:
    """The names that a packed job may have."""
    yield JOB
    yield MODELS
    if has_frames:
        yield STAMP
    for frame in spec.frames:
        paths = {path for path in vars(frame.passes).values() if path is not None}
        for path in sorted(paths):
            yield path
            if path.endswith(RENDERED):
                yield str(PurePosixPath(path).with_suffix(".json"))
        yield from (f"anchors/{frame.number:04d}{suffix}" for suffix in (".safetensors", ".png"))
        if has_frames:
            yield frame_file(frame.number)


def _there(job: Path, names: Iterable[str]) -> Iterator[str]:
    """The names of files in the folder, each once; a pass that is missing is a Fault."""
    for name in dict.fromkeys(names):
        if (job / name).is_file():
            yield name
        elif not name.startswith(("anchors/", "frames/")) and name != MODELS:
            raise Fault(f"{job / name} is missing: capture the shot again.")


def _checked(body: zipfile.ZipFile, file: Path, home: Path) -> JobSpec:
    entries = body.infolist()
    for entry in entries:
        _check_name(entry, file)
    _check_apart(entries, file)
    spec = _job_of(body, file)
    known, pixels = set(_wanted(spec, True)), spec.shot.width_px * spec.shot.height_px
    for entry in entries:
        if entry.filename not in known:
            raise Fault(f"{file} holds {entry.filename!r}, which its job does not name: refused.")
        if entry.file_size > _most_bytes(entry.filename, pixels):
            raise Fault(
                f"{file}: {entry.filename} would be {entry.file_size} bytes, more than any file of "
                f"this picture's size: refused."
            )
    needed, free = sum(entry.file_size for entry in entries), shutil.disk_usage(home).free
    if needed > free:
        raise Fault(f"{file} unpacks to {needed >> 20} MiB, {home} has {free >> 20}: make room.")
    return spec


def _check_name(entry: zipfile.ZipInfo, file: Path) -> None:
    name, parts = entry.orig_filename, entry.orig_filename.split("/")
    if any(BARRED.search(part) or DEVICES.match(part) or part == ".." for part in parts):
        raise Fault(f"{file} holds the name {name!r}, which no job folder has: refused.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise Fault(f"{file}: {name!r} is a link or no plain file: refused.")
    if entry.flag_bits & 1:
        raise Fault(f"{file}: {name!r} is encrypted; pack the job without a password.")


def _check_apart(entries: list[zipfile.ZipInfo], file: Path) -> None:
    """No two entries of one name or of shared bytes."""
    names = [entry.filename.casefold() for entry in entries]
    if len(set(names)) < len(names):
        raise Fault(f"{file} holds a name twice: refused.")
    in_order = sorted(entries, key=lambda entry: entry.header_offset)
    for one, two in itertools.pairwise(in_order):
        if one.header_offset + one.compress_size > two.header_offset:
            raise Fault(f"{file}: {one.filename!r} and {two.filename!r} share bytes: refused.")


def _job_of(body: zipfile.ZipFile, file: Path) -> JobSpec:
    try:
        entry = body.getinfo(JOB)
    except KeyError:
        raise Fault(f"{file} holds no {JOB} at its top: it is no packed job.") from None
    if entry.file_size > JOB_BYTES:
        raise Fault(f"{file}: {JOB} would be {entry.file_size} bytes: refused.")
    try:
        return JobSpec.from_json(json.loads(body.read(entry)))
    except WireError as error:
        raise Fault(f"{file}: {JOB}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise Fault(f"{file}: {JOB} is not JSON, or not whole ({error}).") from error


def _most_bytes(name: str, pixels: int) -> int:
    if name == JOB:
        return JOB_BYTES
    if name.startswith("anchors/"):
        return SMALL_BYTES + pixels * ANCHOR_BYTES // 64
    return SMALL_BYTES + pixels * PIXEL_BYTES


def _extract(body: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """Writes one entry, no byte beyond its declared size."""
    path = folder / entry.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    with body.open(entry) as source, path.open("xb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
        if out.tell() != entry.file_size:
            raise zipfile.BadZipFile(f"{entry.filename} is not as long as declared")
