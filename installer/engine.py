"""The engine's environment: torch in the right build, the libraries, our own wheel."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from . import lock
from .accelerator import has_index, torch_build
from .console import Stop, say
from .environment import Environment
from .lock import requirements
from .wheel import built_wheel


def provide_engine(folder: Path, *extras: str, backend: str | None = None) -> Environment:
    """The environment in `folder`, complete, with the wheel of what stands in this checkout.

    `backend` is the build of torch, as in `uv pip install --torch-backend`; None: the one that was
    asked for last time, else what this machine wants.

    Raises:
        Stop: it cannot be made.
    """
    environment = Environment(folder)
    asked = backend or environment.held("torch build, asked for:")
    build = asked or torch_build()
    wanted = [item for extra in ("engine", *extras) for item in requirements(extra)]
    wanted.append("pip")  # for people who add to it, as the sentence on GGUF files says
    things = [*wanted, f"torch build {build}", lock.name()]
    if asked:
        things.append(f"torch build, asked for: {asked}")
    if not environment.holds(things):
        arguments = ["--constraint", str(lock.FILE), *wanted]
        if environment.held("torch build") not in (None, build):
            arguments += ["--reinstall-package", "torch"]  # another build has the same version
        with environment.change(things):
            install(environment, arguments, build)
    environment.provide_wheel(built_wheel())
    return environment


def install(environment: Environment, arguments: list[str], build: str) -> None:
    """All at once, as the lock says; torch, which is not in it, from PyTorch's index of the build
    if that can be reached."""
    words = "for processors" if build == "cpu" else build
    say(f"Installing torch ({words}) and the engine's libraries")
    if has_index(build):
        try:
            return environment.install("--torch-backend", build, *arguments)
        except Stop as failure:
            say(f"  {failure}")
    if build != "mac":
        say(
            "  PyTorch's own index does not serve it; taking it from the package "
            f"index{_what_that_means(build)}"
        )
    environment.install(*arguments)


def _what_that_means(build: str) -> str:
    if build == "cpu" and (sys.platform, platform.machine()) == ("linux", "x86_64"):
        return (
            ", where it usually is the build for NVIDIA cards:\n"
            "  that works without one, but is 2.9 GB to download. "
            "Interrupt it and try later if that is too much."
        )
    return ""
