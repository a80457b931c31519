"""Where models lie: the demo inside the package, the models folder, any path, the hub's cache."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .weights import ModelError
from .wire.job import DEMO_MODEL

DEMO_WEIGHTS = Path(__file__).parent / "demo" / "weights"
MODELS_VARIABLE = "T2VZ_MODELS"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
HUB_FILES = ("*.json", "*.txt", "*.safetensors", "*/*.json", "*/*.txt", "*/*.safetensors")
HUB_PICKLES = ("*.bin", "*/*.bin")


def models_folder() -> Path:
    """The folder in which models are looked for by name: the variable T2VZ_MODELS, else `t2vz-models` at home."""
    return Path(os.environ.get(MODELS_VARIABLE) or Path.home() / "t2vz-models")


def find(name: str, demo: str, allow_network: bool = False, allow_pickle: bool = False) -> Path:
    """The file or folder a job's model name means; `demo` is the demo model's folder for it.

    Raises:
        ModelError: nothing of that name is here, nor may it be fetched.
    """
    if name == DEMO_MODEL:
        if (DEMO_WEIGHTS / demo).is_dir():
            return DEMO_WEIGHTS / demo
        raise ModelError(f"{DEMO_WEIGHTS / demo}: this installation's demo model has none; choose a model of your own.")
    for path in (Path(name).expanduser(), models_folder() / name):
        if name and path.exists():
            return path
    if HUB_NAME.fullmatch(name):
        return _from_hub(name, allow_network, allow_pickle)
    raise ModelError(f"{name!r}: there is no such file or folder, here or in {models_folder()}; choose a model again.")


def _from_hub(name: str, allow_network: bool, allow_pickle: bool) -> Path:
    from huggingface_hub import snapshot_download

    patterns = [*HUB_FILES, *(HUB_PICKLES if allow_pickle else ())]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=not allow_network))
    except Exception as error:  # a missing model, no network, a full disk: the hub's client has no common exception
        if allow_network:
            raise ModelError(f"{name}: could not be fetched from the model hub ({_first_line(error)}).") from error
        raise ModelError(
            f"{name}: is neither a path nor a model fetched before; download it, or allow the network."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def models_found(folder: Path | None = None) -> list[str]:
    """One line per model that lies here: the demo's, then those of the models folder."""
    folder = folder or models_folder()
    demo = [DEMO_WEIGHTS, *DEMO_WEIGHTS.iterdir()] if DEMO_WEIGHTS.is_dir() else []
    mine = sorted(folder.iterdir()) if folder.is_dir() else []
    return [str(path) for path in (*demo, *mine) if _is_model(path)]


def _is_model(path: Path) -> bool:
    if path.is_dir():
        return (path / "model_index.json").is_file() or (path / "config.json").is_file()
    return path.suffix == ".safetensors"
