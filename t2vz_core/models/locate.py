"""Where models lie: the demo inside the package, the models folder, any path, the hub's cache."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..demo import WEIGHTS
from ..wire.homes import MODELS_VARIABLE, model_path, models_folder
from ..wire.job import DEMO_MODEL, Model
from .weights import PICKLE_STEMS, ModelError

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
HUB_PARTS = ("unet", "transformer", "vae", "text_encoder", "text_encoder_2")
USUAL = re.compile(r"^(ae|flux|qwen|z[_-]?image)", re.IGNORECASE)  # names of what is looked for


def find(name: str, demo: str, model: Model, prefers_half: bool = False) -> Path:
    """The file or folder that a name in a job's `model` or controls means.

    "demo" means the demo model's folder `demo`, "demo/style" its folder `style`.

    Raises:
        ModelError: nothing of that name is here, nor may it be fetched.
    """
    first, _, rest = name.partition("/")
    if first == DEMO_MODEL:
        path = WEIGHTS / (rest or demo)
        if rest not in ("..", ".") and path.parent == WEIGHTS and path.exists():  # nothing outside
            return path
        raise ModelError(
            f"{name}: the demo model has no {rest or demo}; choose a model of your own."
        )
    if found := model_path(name) or _by_stem(name) or _of_another_machine(name):
        return found
    if "://" in name:
        raise ModelError(
            f"{name!r}: is an address; download the file and choose it, or name the model as "
            "owner/model and allow the network."
        )
    if not HUB_NAME.fullmatch(name):
        raise ModelError(
            f"{name!r}: is no file or folder, neither in {models_folder()} nor here; choose "
            "a model "
            f"again, or say with {MODELS_VARIABLE} where yours lie."
        )
    return (
        _fetched(name, prefers_half, model.allow_pickle) if model.allow_network else _cached(name)
    )


def _of_another_machine(name: str) -> Path | None:
    """What the models folder has under the last part of a path that is not on this machine; a run
    notes it (farm/hashes.py)."""
    path = PureWindowsPath(name)  # parts at `/` too
    if not path.name or not (path.is_absolute() or PurePosixPath(name).is_absolute()):
        return None
    return model_path(path.name)


def _by_stem(name: str) -> Path | None:
    """The .safetensors file of the models folder that a name without its ending means, as prompts
    name LoRAs."""
    if not name or Path(name).is_absolute():
        return None
    try:
        found = sorted(models_folder().rglob(f"{glob.escape(name)}.safetensors"))
    except OSError:  # no name that a file can have
        return None
    if len(found) > 1:
        raise ModelError(f"{name}: may be {found[0]} or {found[1]}; name it by its path.")
    return found[0] if found else None


def companion(
    path: Path, part: str, chosen: str, model: Model, fits: Callable[[Path], bool]
) -> Path:
    """The file of a part that the model file `path` lacks: the one `chosen`, or the only one that
    fits, beside the model, in the folders beside its folder, or in the models folder.

    Raises:
        ModelError: none fits, or several do.
    """
    what = part.replace("_", " ")
    if chosen:
        found = find(chosen, part, model)
        if not fits(found):
            raise ModelError(f"{found}: is not the {what} that {path.name} needs; choose another.")
        return found
    folders = (
        path.parent,
        *inside(path.parent.parent),
        models_folder(),
        *inside(models_folder()),
    )
    files = {file.resolve(): file for folder in folders for file in inside(folder)}
    fitting = [file for file in files.values() if file != path and _may_fit(file, fits)]
    usual = [file for file in fitting if USUAL.match(file.name)]
    best = fitting if len(fitting) == 1 else usual
    if len(best) == 1:
        return best[0]
    if not fitting:
        raise ModelError(
            f"{path}: has no {what} in it, and none that fits lies beside it; put its file there."
        )
    names = ", ".join(file.name for file in fitting)
    raise ModelError(
        f"{path}: has no {what} in it, and several lie beside it ({names}); "
        f"name one in model.{part} of the job, or leave only one there."
    )


def _may_fit(file: Path, fits: Callable[[Path], bool]) -> bool:
    try:
        return file.suffix.lower() == ".safetensors" and file.is_file() and fits(file)
    except ModelError:  # broken, but nobody asked for it
        return False


def _cached(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise ModelError(
            f"{name}: is neither a path nor a model fetched before; choose a path, "
            "or allow the network."
        ) from error


def _fetched(name: str, prefers_half: bool, allow_pickle: bool) -> Path:
    from huggingface_hub import list_repo_files, snapshot_download

    try:
        files = hub_files(list_repo_files(name), prefers_half, allow_pickle)
        return Path(snapshot_download(name, allow_patterns=files))
    except (
        Exception
    ) as error:  # no such model, no network, a full disk: the hub's client has no common exception
        raise ModelError(
            f"{name}: could not be fetched from the model hub ({_first_line(error)})."
        ) from error


def hub_files(files: Iterable[str], prefers_half: bool, allow_pickle: bool) -> list[str]:
    """Of a repository's files those that are read: configurations, and of each network's weights
    one variant."""
    paths = [PurePosixPath(file) for file in files]
    is_model = PurePosixPath("model_index.json") in paths
    small = [path for path in paths if path.suffix in (".json", ".txt") and len(path.parts) <= 2]
    weights = []
    for folder in HUB_PARTS if is_model else (".",):
        here = [
            path
            for path in paths
            if path.parent == PurePosixPath(folder) and "non_ema" not in path.name
        ]
        named = [path for path in here if path.name.startswith(PICKLE_STEMS)]
        found = [path for path in named or here if path.suffix == ".safetensors"]
        if not named and (
            is_model or len(found) > 1
        ):  # one file of any name is a LoRA; of several, none is meant
            found = []
        if not found and allow_pickle:
            found = [path for path in named if path.suffix == ".bin"]
        half = [path for path in found if ".fp16" in path.name]
        full = [path for path in found if path not in half]
        weights += (half or full) if prefers_half else (full or half)
    return [str(path) for path in (*small, *weights)]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def inside(folder: Path) -> list[Path]:
    """What lies in a folder, in order; nothing of one that is not there or may not be read."""
    return sorted(folder.iterdir()) if folder.is_dir() and os.access(folder, os.R_OK) else []
