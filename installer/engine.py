"""The engine's environment: torch in the right build, the libraries, our own wheel."""

from __future__ import annotations

import platform
import sys
import tomllib
from pathlib import Path

from .accelerator import torch_build, torch_index
from .console import Stop, say
from .environment import Environment
from .wheel import ROOT, built_wheel


def requirements(extra: str) -> list[str]:
    """What pyproject.toml asks for under this extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["optional-dependencies"][extra]


def provide_engine(folder: Path, *extras: str) -> Environment:
    """The environment in `folder`, complete, with the wheel of what stands in this checkout.

    Raises:
        Stop: it cannot be made.
    """
    environment, build = Environment(folder), torch_build()
    wanted = [item for extra in ("engine", *extras) for item in requirements(extra)]
    torch = [next(item for item in wanted if item.startswith("torch==")), f"torch build {build}"]
    things = [*wanted, *torch]
    if not environment.holds(things):
        has_torch = environment.holds(torch)
        with environment.change(things):
            if not has_torch:
                _install_torch(environment, torch[0], build)
            say("Installing the engine's libraries")
            environment.install(*wanted)
    environment.provide_wheel(built_wheel())
    return environment


def _install_torch(environment: Environment, torch: str, build: str) -> None:
    say(f"Installing torch ({'the build for processors' if build == 'cpu' else build})")
    if index := torch_index(build):
        try:
            return environment.install(torch, "--index-url", index)
        except Stop as failure:
            say(f"  {failure}")
    if build != "mac":
        say(
            "  PyTorch's own index does not serve it; taking it from the package "
            f"index{_what_that_means(build)}"
        )
    environment.install(torch)


def _what_that_means(build: str) -> str:
    if build == "cpu" and (sys.platform, platform.machine()) == ("linux", "x86_64"):
        return (
            ", where it usually is the build for NVIDIA cards:\n"
            "  that works without one, but is 2.9 GB to download. Interrupt it and try later if "
            "that is too much."
        )
    return ""
