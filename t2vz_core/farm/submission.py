"""Writes what a farm needs of a job into a new folder, and says how it is handed over."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..fault import Fault
from ..job_folder.frames import write_whole
from ..wire.job import JobSpec, read_job
from ..wire.ranges import numbers_in
from . import flamenco, openjd
from .parts import EVERY, shots, starts, stepped

RETRIES = 3


def submit(asked: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Writes the files and says what to do with them.

    Raises:
        Fault: the folder has something in it, or the job and what was asked do not fit.
        WireError: the folder holds no job.
        OSError: the folder cannot be written.
    """
    job, scene = asked.job.absolute(), asked.blend and asked.blend.absolute()
    wanted = _wanted(asked, job, scene)
    if not scene:
        note_models(job, say)
    _make_empty(asked.out)
    if asked.engine == "flamenco":
        _write_flamenco(asked.out, wanted, job, scene, say)
    else:
        _write_openjd(asked.out, wanted, _paths(asked, job, scene), say)


def note_models(job: Path, say: Callable[[str], None]) -> None:
    """Writes into the job which model files it is made with; says what is not here or only here."""
    from ..models.weights import ModelError
    from .hashes import is_path, write_hashes

    spec = read_job(job)
    for name in filter(is_path, _models(spec)):
        say(
            f"{name} is a path of this machine: others look for the file's name in their models "
            f"folder. Choose the model by its name to be sure."
        )
    try:
        write_hashes(job, spec)
    except ModelError as error:
        say(f"{error} Other machines cannot tell whether theirs is the same.")


def _models(spec: JobSpec) -> list[str]:
    files = (*spec.model.loras, *spec.prompt.loras(), *spec.model.inversions)
    adapters = [name for one in spec.references for name in (one.adapter, one.encoder) if name]
    controls = [one.model for one in spec.controls]
    return [spec.model.base, *(one.path for one in files), *controls, *adapters]


def _wanted(asked: argparse.Namespace, job: Path, scene: Path | None) -> openjd.Wanted:
    if scene:
        parts, name = _parts_of_scene(asked, scene), scene.stem
        first = str(numbers_in(parts)[0])  # where its cuts are is not known yet
    else:
        spec, name = read_job(job), job.name
        parts, first = stepped(starts(spec)), stepped(shots(spec))
    for option in ("parts", "hours", "fps"):
        if getattr(asked, option) <= 0:
            raise Fault(f"--{option}: must be more than 0.")
    return openjd.Wanted(
        name=name,
        shots=first,
        parts=parts,
        each=asked.parts,
        python=asked.python or sys.executable,
        blender=asked.blender,
        fps=asked.fps,
        hours=asked.hours,
        needs_gpu=not asked.cpu,
        has_models=asked.models is not None,
        frames=asked.frames if scene else "",
    )


def _parts_of_scene(asked: argparse.Namespace, scene: Path) -> str:
    if not scene.is_file():
        raise Fault(f"{scene} is not there: name a .blend file.")
    if not asked.frames:
        raise Fault("--blend needs --frames, such as 1-240: parts are counted before the capture.")
    if (asked.job / "job.json").exists():
        raise Fault(f"{asked.job} holds a job already: leave out --blend, or name a new folder.")
    return stepped(numbers_in(asked.frames)[::EVERY])


def _make_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Fault(f"{folder} is not empty: name a new folder, nothing is overwritten.")


def _paths(asked: argparse.Namespace, job: Path, scene: Path | None) -> dict[str, str]:
    models = asked.models and asked.models.absolute()
    found = {"JobFolder": job, "Models": models, "Scene": scene}
    return {name: str(path) for name, path in found.items() if path}


def _write_openjd(
    out: Path, wanted: openjd.Wanted, paths: dict[str, str], say: Callable[[str], None]
) -> None:
    template = openjd.template(wanted)
    _check(template, say)
    _write(out / "template.json", template)
    _write(out / "paths.json", paths)
    values: list[dict[str, str | int]] = [
        {"name": name, "value": value} for name, value in paths.items()
    ]
    values.append({"name": "deadline:maxRetriesPerTask", "value": RETRIES})
    _write(out / "parameter_values.json", {"parameterValues": values})
    _write(out / "asset_references.json", {"assetReferences": _assets(paths)})
    say(f"On this machine: openjd run {out / 'template.json'} -p file://{out / 'paths.json'}")
    say(f"On AWS Deadline Cloud: deadline bundle submit {out}")


def _assets(paths: dict[str, str]) -> dict[str, Any]:
    directories = [paths[name] for name in ("JobFolder", "Models") if name in paths]
    files = [paths["Scene"]] if "Scene" in paths else []
    if files:
        directories.remove(paths["JobFolder"])  # it is not there yet
    return {
        "inputs": {"filenames": files, "directories": directories},
        "outputs": {"directories": [paths["JobFolder"]]},
        "referencedPaths": [],
    }


def _check(template: dict[str, Any], say: Callable[[str], None]) -> None:
    """Has the template read by OpenJD itself where that is installed."""
    if importlib.util.find_spec("openjd") is None:
        say("OpenJD is not installed here: the template was not checked (pip install openjd-cli).")
        return
    from openjd.model import DecodeValidationError, decode_job_template

    try:
        decode_job_template(template=template, supported_extensions=["TASK_CHUNKING"])
    except DecodeValidationError as error:
        raise Fault(f"OpenJD refuses the template ({error}).") from error


def _write_flamenco(
    out: Path, wanted: openjd.Wanted, job: Path, scene: Path | None, say: Callable[[str], None]
) -> None:
    write_whole(out / flamenco.SCRIPT.name, flamenco.SCRIPT.read_bytes())
    _write(out / "job.json", flamenco.submission(wanted, job, scene))
    say(f"Once: put {out / flamenco.SCRIPT.name} into the Manager's folder `scripts`.")
    say(f"Then POST {out / 'job.json'} to http://MANAGER:8080/api/v3/jobs as application/json.")


def _write(path: Path, value: Any) -> None:
    write_whole(path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")
