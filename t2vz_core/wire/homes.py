"""Where models lie on this machine, for both sides alike."""

import os
from pathlib import Path

MODELS_VARIABLE = "T2VZ_MODELS"


def models_folder() -> Path:
    """The folder in which models are looked for by name: the variable T2VZ_MODELS, else
    `t2vz-models` at home."""
    return Path(os.environ.get(MODELS_VARIABLE) or Path.home() / "t2vz-models")
