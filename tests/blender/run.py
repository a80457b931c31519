"""Runs pytest inside Blender: `blender -b -P tests/blender/run.py -- [--site DIR] [--installed
MODULE] [PYTEST …]`.

--site: a folder with pytest, which Blender's own Python lacks. --installed: test the add-on as it
was installed from its zip, in place of the checkout's `blender_addon`.
"""

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def stand_in(installed: str) -> None:
    """Makes `import blender_addon…` mean the installed add-on, which Blender has loaded with its
    wheel."""
    package = importlib.import_module(installed)
    sys.modules["blender_addon"] = package
    for found in pkgutil.walk_packages(package.__path__, f"{installed}."):
        sys.modules["blender_addon" + found.name.removeprefix(installed)] = importlib.import_module(
            found.name
        )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--site", type=Path)
    parser.add_argument("--installed")
    asked, rest = parser.parse_known_args(arguments)
    if asked.site:
        sys.path.insert(0, str(asked.site))
    if asked.installed:
        stand_in(asked.installed)
    import pytest

    return int(pytest.main(["--rootdir", str(ROOT), *rest]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("--") + 1 :]))
