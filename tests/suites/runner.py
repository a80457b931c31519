"""Test suites in processes of their own, several at a time, each judged by its report."""

from __future__ import annotations

import os
import subprocess
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from installer.console import say
from installer.process import child, clean_environment

LIMIT_S = 3600.0
# No single test takes a tenth of this on an idle machine: what does hangs, and is named.
TEST_LIMIT_S = 600.0
DIARY = "T2VZ_TEST_DIARY"  # tests/conftest.py notes there what has begun and how it ended
# pytest writes its report before the interpreter ends; a bpy module may then crash or hang, which
# is not our fault.
LEAVE_S = 10.0


@dataclass(frozen=True)
class Suite:
    """A pytest command without its options, and environment variables for it."""

    name: str
    command: tuple[str | Path, ...]
    variables: Mapping[str, str | Path] = field(default_factory=dict)


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
        return f"{self.name:<30}{figures}{f' ({self.remark})' if self.remark else ''}"


def run_all(suites: Iterable[Suite], reports: Path, cwd: Path) -> Iterator[Result]:
    """Runs the suites, as many at a time as there are processors; what each printed is shown when
    it ends."""
    processors = os.cpu_count() or 1
    if warning := busy_sentence(processors):
        say(warning)
    reports.mkdir(parents=True, exist_ok=True)
    waiting, running = list(suites), []
    threads = {"OMP_NUM_THREADS": str(max(1, processors // max(1, min(processors, len(waiting)))))}
    with ExitStack() as stack:
        while waiting or running:
            while waiting and len(running) < processors:
                running.append(stack.enter_context(Running(waiting.pop(0), reports, cwd, threads)))
            for one in [one for one in running if one.is_over()]:
                running.remove(one)
                yield one.result()
            time.sleep(0.05)


def busy_sentence(processors: int) -> str:
    """What to know of a machine that has more to do than it can; "" of an idle one."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load <= processors:
        return ""
    return (
        f"This machine is busy (load {load:.1f} on {processors} processors): the tests take "
        "longer, "
        f"and one that needs more than {TEST_LIMIT_S:.0f} s counts as failed. End what else runs "
        "here."
    )


class Running:
    """A suite under way; leaving the `with` ends it and all it has started."""

    def __init__(self, suite: Suite, reports: Path, cwd: Path, threads: Mapping[str, str]) -> None:
        self._suite = suite
        stem = suite.name.replace(" ", "-").replace(",", "")
        self._report, self._output = reports / f"{stem}.xml", reports / f"{stem}.txt"
        self._diary = Diary(reports / f"{stem}.diary")
        for path in (self._report, self._diary.path):
            path.unlink(missing_ok=True)
        self._last = time.monotonic() + LIMIT_S
        self._ended = f"took longer than {LIMIT_S:.0f} s"
        self._stack = ExitStack()
        variables = {**threads, **suite.variables, DIARY: self._diary.path}
        self._options = {"cwd": cwd, "env": clean_environment(variables)}

    def __enter__(self) -> Running:
        say(f"Testing: {self._suite.name}")
        output = self._stack.enter_context(self._output.open("wb"))
        command = [*self._suite.command, "-q", "--junitxml", self._report]
        talk = {"stdout": output, "stderr": subprocess.STDOUT}
        self._process = self._stack.enter_context(child(command, **self._options, **talk))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def is_over(self) -> bool:
        """The process has ended, or its report is there and it had its time to leave, or its time
        is up."""
        if self._process.poll() is not None:
            self._ended = f"ended with {self._process.returncode}"
            return True
        if self._report.exists() and self._report.stat().st_size:
            self._last = min(self._last, time.monotonic() + LEAVE_S)
        elif self._diary.silent_s > TEST_LIMIT_S:
            self._ended = f"took longer than {TEST_LIMIT_S:.0f} s"
            return True
        return time.monotonic() > self._last

    def result(self) -> Result:
        """Ends it, shows what it printed, counts."""
        self._stack.close()
        said = self._output.read_text(encoding="utf-8", errors="replace").strip()
        result = judged(self._suite.name, self._report, self._ended, self._diary)
        say(f"\n== {self._suite.name}\n{said}\n-- {result}\n")
        return result


class Diary:
    """What a suite's tests have come to so far: a line `outcome nodeid` for each that began or
    ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._since = time.time()

    @property
    def silent_s(self) -> float:
        """Since when no test has begun or ended."""
        written = self.path.stat().st_mtime if self.path.exists() else 0.0
        return time.time() - max(written, self._since)

    def read(self) -> tuple[Counter[str], str]:
        """How many tests have had each outcome, and the one that has begun and not ended, or ""."""
        outcomes: dict[str, str] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                outcome, _, test = line.partition(" ")
                if outcomes.get(test, "began") == "began":  # what came first is the worst
                    outcomes[test] = outcome
        begun = [test for test, outcome in outcomes.items() if outcome == "began"]
        return Counter(outcomes.values()), "".join(begun[-1:])


def judged(name: str, report: Path, ended: str, diary: Diary | None = None) -> Result:
    """The figures of pytest's report; without a whole one the suite has failed, and its diary tells
    what had passed."""
    try:
        suite = ET.parse(report).getroot().find("testsuite")
    except (OSError, ET.ParseError):
        return _cut(name, ended, *(diary.read() if diary else (Counter[str](), "")))
    assert suite is not None
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped = int(suite.get("skipped", 0))
    passed = int(suite.get("tests", 0)) - failed - skipped
    if not passed and not failed:
        return Result(name, 0, 1, skipped, "nothing was tested")
    return Result(name, passed, failed, skipped)


def _cut(name: str, ended: str, counts: Counter[str], hanging: str) -> Result:
    where = f" in {hanging}" if hanging else ""
    kept = "the tests after it were not run" if counts else "no report"
    remark = f"{kept}: the process {ended}{where}"
    return Result(name, counts["passed"], counts["failed"] + 1, counts["skipped"], remark)
