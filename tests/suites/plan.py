"""Which test suites there are, what each runs in, and their sum."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from installer.blenders import BPY_VERSIONS, Blender, bpy_maker, bpy_wheel, installed_blender
from installer.console import Stop, say
from installer.engine import provide_engine
from installer.environment import Environment
from installer.extension import OWN, build_extension, install_extension
from installer.lock import requirements
from installer.process import child
from installer.wheel import BUILD, ROOT
from tests.suites.runner import Result, Suite, run_all

_IN_BLENDER = ROOT / "tests/blender"
_RUN = _IN_BLENDER / "run.py"
_ALL = ("-m", "slow or not slow")  # what pyproject.toml leaves out of a plain run too


def run_suites(folder: Path, blender: Path | None, backend: str | None = None) -> int:
    """Installs what the tests need, runs all that can run here; the number of failures."""
    started = time.monotonic()
    installed = installed_blender(blender)
    engine = provide_engine(folder, "train", "farm", "test", backend=backend)
    results = [_check(engine, "ruff", "check", "."), _check(engine, "basedpyright")]
    with tempfile.TemporaryDirectory(prefix="t2vz-") as profiles:
        suites = []
        for found in _suites(engine, installed, Path(profiles)):
            (suites if isinstance(found, Suite) else results).append(found)
        results += run_all(suites, BUILD / "reports", ROOT)
    say("\n".join(map(str, results)))
    passed, failed, skipped = (
        sum(getattr(r, kind) for r in results) for kind in ("passed", "failed", "skipped")
    )
    say(
        f"== {passed} passed, {failed} failed, {skipped} skipped in "
        f"{time.monotonic() - started:.0f} s =="
    )
    return failed


def _check(engine: Environment, tool: str, *arguments: str) -> Result:
    """A checker of the code, which reads its settings in pyproject.toml."""
    said = ["--pythonpath", engine.python] if tool == "basedpyright" else []
    with child([engine.python, "-m", tool, *said, *arguments], cwd=ROOT) as process:
        return Result(tool, *((0, 1) if process.wait() else (1, 0)))


def _suites(
    engine: Environment, blender: Blender | None, profiles: Path
) -> Iterator[Suite | Result]:
    """Every suite, ready to run; or, in its place, why it cannot run here."""
    yield Suite("engine", (engine.python, "-m", "pytest", *_ALL, "tests"))
    for version in BPY_VERSIONS:
        yield _in_wheel(version, engine, profiles)
    yield from _in_blender(engine, blender, profiles)


def _in_wheel(version: str, engine: Environment, profiles: Path) -> Suite | Result:
    name = f"bpy {version}"
    if bpy_maker() is None:
        return Result(name, skipped=1, remark="no Python 3.11 for this module")
    try:
        wheel = bpy_wheel(version, *requirements("test-blender"))
    except Stop as reason:
        return Result(name, failed=1, remark=str(reason))
    return _blender_suite(name, [*wheel.command(_RUN)], engine, profiles / name)


def _in_blender(
    engine: Environment, blender: Blender | None, profiles: Path
) -> Iterator[Suite | Result]:
    """The tests on the checkout's add-on, and on the one that Blender installed from the zip."""
    if blender is None:
        yield Result(
            "Blender", skipped=1, remark="none found; name one with --blender or T2VZ_BLENDER"
        )
        return
    name, site = f"Blender {blender.version}", f"--site={_site(engine, blender)}"
    start = [blender.program, "-b", "--python-exit-code", "1"]
    yield _blender_suite(
        name, [*start, "--factory-startup", "-P", _RUN, "--", site], engine, profiles / name
    )
    profile = profiles / "installed"
    try:
        module = install_extension(blender, build_extension(OWN), profile)
    except Stop as reason:
        yield Result(f"{name}, installed zip", failed=1, remark=str(reason))
        return
    run = [*start, "-P", _RUN, "--", site, f"--installed={module}"]
    yield _blender_suite(f"{name}, installed zip", run, engine, profile)


def _site(engine: Environment, blender: Blender) -> Path:
    """A folder with pytest for Blender's own Python, which has none; pytest and what it needs are
    pure Python."""
    site = BUILD / f"site-{blender.version}"
    if not site.exists():
        part = site.with_suffix(".part")
        engine.install("--upgrade", "--target", str(part), requirements("test-blender")[0])
        part.replace(site)
    return site


def _blender_suite(
    name: str, command: list[str | Path], engine: Environment, profile: Path
) -> Suite:
    profile.mkdir(exist_ok=True)
    variables = {"BLENDER_USER_RESOURCES": profile, "T2VZ_ENGINE": engine.python}
    return Suite(name, (*command, *_ALL, _IN_BLENDER), variables)
