"""Where models lie on this machine, for both sides alike."""

import os
from pathlib import Path

MODELS_VARIABLE = "T2VZ_MODELS"


def models_folder() -> Path:
    """The folder in which models are looked for by name: the variable T2VZ_MODELS, else
    `t2vz-models` at home."""
    return Path(os.environ.get(MODELS_VARIABLE) or Path.home() / "t2vz-models")


def model_path(name: str, home: Path | None = None) -> Path | None:
    """Where a model that is named by its place in the models folder `home`, or by any path, lies;
    None where nothing is. A folder of the hub's cache means the model in it."""
    name = name.strip().strip('"')  # a path copied in Windows' Explorer comes in quotes
    if not name or "\0" in name:
        return None
    for path in ((home or models_folder()) / name, Path(os.path.expanduser(name))):
        if os.path.exists(path):
            return snapshot(path)
    return None


def snapshot(path: Path) -> Path:
    """A folder of the hub's cache holds the model of a name in a snapshot of its own."""
    ref = path / "refs" / "main"
    if not os.path.exists(ref):
        return path
    return path / "snapshots" / ref.read_text(encoding="utf-8").strip()


def hub_snapshot(name: str) -> Path | None:
    """Where the hub's client has put a model that was fetched before under `owner/model`."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    found = snapshot(cache / f"models--{name.replace('/', '--')}")
    return found if os.path.exists(found) else None


def name_in(home: Path, path: Path) -> str | None:
    """The name that a path has in the models folder `home`, with `/` on every system; None outside
    of it."""
    inside, outside = os.path.normcase(path.absolute()), os.path.normcase(home.absolute())
    if not Path(inside).is_relative_to(outside) or inside == outside:
        return None
    return Path(*path.absolute().parts[len(home.absolute().parts) :]).as_posix()
