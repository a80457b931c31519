"""Whether the model files of this machine are those that a job was made with, by their SHA-256.

`models.json` in a job folder tells, for each name in the job's `model` and controls, the size and
the hash of every weight file that may be read of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..job_folder.frames import write_whole
from ..models.locate import find, hub_files
from ..wire.job import JobSpec

FILE = "models.json"
SHOWN = 12  # hexadecimal digits, as model sites show them
BLOCK_BYTES = 1 << 20


def write_hashes(job: Path, spec: JobSpec) -> None:
    """Writes the job folder's models.json.

    Raises:
        ModelError: a model is not on this machine.
        OSError: a file cannot be read or written.
    """
    said = {name: _told(path) for name, path in _models(spec)}
    write_whole(job / FILE, json.dumps(said, indent=1, ensure_ascii=False).encode() + b"\n")


def differences(job: Path, spec: JobSpec) -> list[str]:
    """A sentence for each model that is found here elsewhere, or is not the file that the job was
    made with; none for a job without models.json.

    Raises:
        ModelError: a model is not on this machine.
    """
    models = dict(_models(spec))
    moved = [
        f"{name} is not on this machine: {path}, of the same name, is used."
        for name, path in models.items()
        if is_path(name) and not Path(name).expanduser().exists()
    ]
    said = _read(job / FILE)
    return moved + [
        sentence for name, path in models.items() for sentence in _differing(path, said.get(name))
    ]


def is_path(name: str) -> bool:
    """Whether a model's name is a path of this or another machine."""
    return PureWindowsPath(name).is_absolute() or PurePosixPath(name).is_absolute()


def _models(spec: JobSpec) -> Iterator[tuple[str, Path]]:
    model = spec.model
    yield model.base, find(model.base, "stable-diffusion", model)
    for lora in (*model.loras, *spec.prompt.loras()):
        yield lora.path, find(lora.path, "style", model)
    for inversion in model.inversions:
        yield inversion.path, find(inversion.path, "inversion", model)
    for reference in spec.references:
        for name in filter(None, (reference.adapter, reference.encoder)):
            yield name, find(name, "reference", model)
    for control in spec.controls:
        demo = f"controlnet-{control.kind}"
        name = f"{control.model}/{demo}" if control.model == "demo" else control.model
        yield name, find(control.model, demo, model)


def _told(path: Path) -> dict[str, Any]:
    return {
        name: {"bytes": file.stat().st_size, "sha256": sha256(file)}
        for name, file in _weights(path).items()
    }


def _weights(path: Path) -> dict[str, Path]:
    """The weight files of a model by their names in it; of a folder all that may be read."""
    if path.is_file():
        return {path.name: path}
    files = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    read = {name for half in (False, True) for name in hub_files(files, half, allow_pickle=True)}
    small = (".json", ".txt")
    return {name: path / name for name in sorted(read) if not name.endswith(small)}


def _differing(path: Path, said: Any) -> Iterator[str]:
    weights = _weights(path) if isinstance(said, dict) else {}
    for name, file in weights.items():
        made_with = said.get(name)
        if not isinstance(made_with, dict):
            continue
        is_same_size = made_with.get("bytes") == file.stat().st_size
        here, there = sha256(file) if is_same_size else "", str(made_with.get("sha256"))
        if here != there:
            found = here[:SHOWN] or f"{file.stat().st_size} bytes"
            yield (
                f"{file} is not the file that this job was made with (SHA-256 {there[:SHOWN]}, "
                f"here {found}): its pictures will be others."
            )


def sha256(file: Path) -> str:
    """The SHA-256 of a file; read once for as long as its size and time stay."""
    seen = file.stat()
    return _sha256(file, seen.st_size, seen.st_mtime_ns)


@cache
def _sha256(file: Path, _size: int, _time: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as body:
        while block := body.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
