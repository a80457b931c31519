"""The test suites, each in the process it needs, and their sum."""

from __future__ import annotations

import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .blenders import BPY_VERSIONS, Blender, bpy_maker, bpy_wheel, installed_blender
from .console import Stop, say
from .engine import provide_engine, requirements
from .environment import Environment
from .extension import build_extension, install_extension
from .process import child, clean_environment
from .wheel import BUILD, ROOT

LIMIT_S = 900.0
# pytest writes its report before the interpreter ends; a bpy wheel may then crash or hang, which is not our fault.
_LEAVE_S = 10.0
_IN_BLENDER = ROOT / "tests/blender"
_RUN = _IN_BLENDER / "run.py"


@dataclass(frozen=True)
class Result:
    """What came of one suite."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    remark: str = ""

    def __str__(self) -> str:
        figures = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{self.name:<34}{figures}{f' ({self.remark})' if self.remark else ''}"


def run_suites(folder: Path, blender: Path | None) -> int:
    """Runs all tests; the number of failures."""
    started = time.monotonic()
    engine = provide_engine(folder, "test")
    results = []
    for result in _suites(engine, blender):
        results.append(result)
        say(f"-- {result}")
    say("\n" + "\n".join(map(str, results)))
    passed, failed, skipped = (sum(getattr(r, kind) for r in results) for kind in ("passed", "failed", "skipped"))
    say(f"== {passed} passed, {failed} failed, {skipped} skipped in {time.monotonic() - started:.0f} s ==")
    return failed


def _suites(engine: Environment, named: Path | None) -> Iterator[Result]:
    yield _lint(engine)
    yield _pytest("engine", [engine.python, "-m", "pytest", "tests"])
    for version in BPY_VERSIONS:
        yield _in_wheel(version, engine)
    yield from _in_blender(engine, named)


def _lint(engine: Environment) -> Result:
    say("\n== ruff")
    with child([engine.python, "-m", "ruff", "check", "."], cwd=ROOT) as process:
        return Result("ruff", *((0, 1) if process.wait() else (1, 0)))


def _in_wheel(version: str, engine: Environment) -> Result:
    name = f"bpy {version}"
    if bpy_maker() is None:
        return Result(name, skipped=1, remark="no Python 3.11 for this wheel")
    try:
        wheel = bpy_wheel(version, *requirements("test-blender"))
    except Stop as reason:
        return Result(name, failed=1, remark=str(reason))
    return _blender_suite(name, wheel.command(_RUN), engine)


def _in_blender(engine: Environment, named: Path | None) -> Iterator[Result]:
    """The tests of the checkout's add-on, and of the one that Blender installed from the zip."""
    blender = installed_blender(named)
    if blender is None:
        yield Result("Blender", skipped=1, remark="none found; name one with --blender or T2VZ_BLENDER")
        return
    name, site = f"Blender {blender.version}", _site(engine, blender)
    start = [blender.program, "-b", "--factory-startup", "--python-exit-code", "1"]
    yield _blender_suite(name, [*start, "-P", _RUN, "--", f"--site={site}"], engine)
    with tempfile.TemporaryDirectory(prefix="t2vz-") as profile:
        try:
            module = install_extension(blender, build_extension(BUILD / "extension"), Path(profile))
        except Stop as reason:
            yield Result(f"{name}, installed zip", failed=1, remark=str(reason))
            return
        start.remove("--factory-startup")
        run = [*start, "-P", _RUN, "--", f"--site={site}", f"--installed={module}"]
        yield _blender_suite(f"{name}, installed zip", run, engine, profile)


def _site(engine: Environment, blender: Blender) -> Path:
    """A folder with pytest for Blender's own Python, which has none; pytest and what it needs are pure Python."""
    site = BUILD / f"site-{blender.version}"
    if not site.exists():
        part = site.with_suffix(".part")
        engine.install("--upgrade", "--target", str(part), requirements("test-blender")[0])
        part.replace(site)
    return site


def _blender_suite(name: str, command: Sequence[str | Path], engine: Environment, profile: str = "") -> Result:
    with tempfile.TemporaryDirectory(prefix="t2vz-") as fresh:
        more = {"BLENDER_USER_RESOURCES": profile or fresh, "T2VZ_ENGINE": engine.python}
        return _pytest(name, [*command, _IN_BLENDER], more)


def _pytest(name: str, command: Sequence[str | Path], more: dict[str, str | Path] | None = None) -> Result:
    """Runs pytest and judges by its report, not by how the process ends."""
    report = BUILD / "reports" / f"{name.replace(' ', '-')}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    say(f"\n== {name}")
    full = [*command, "-q", "--junitxml", report]
    with child(full, cwd=ROOT, env=clean_environment(more), stdin=subprocess.DEVNULL) as process:
        ended = _wait(process, report)
    return _judged(name, report, ended)


def _wait(process: subprocess.Popen[str], report: Path) -> str:
    """Waits for the process, or for its report and a little longer; says how it went."""
    last = time.monotonic() + LIMIT_S
    while time.monotonic() < last:
        if process.poll() is not None:
            return f"ended with {process.returncode}"
        if report.exists() and report.stat().st_size:
            last = min(last, time.monotonic() + _LEAVE_S)
        time.sleep(0.05)
    return f"took longer than {LIMIT_S:.0f} s"


def _judged(name: str, report: Path, ended: str) -> Result:
    try:
        suite = ET.parse(report).getroot().find("testsuite")
    except (OSError, ET.ParseError):
        return Result(name, failed=1, remark=f"no report: the process {ended}")
    assert suite is not None
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped = int(suite.get("skipped", 0))
    passed = int(suite.get("tests", 0)) - failed - skipped
    if not passed and not failed:
        return Result(name, 0, 1, skipped, "nothing was tested")
    return Result(name, passed, failed, skipped)
