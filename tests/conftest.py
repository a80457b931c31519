"""Leaves out the suites whose libraries this Python lacks, so that plain `pytest` runs anywhere;
keeps the diary by which a suite that was cut off is judged."""

import os
from importlib.util import find_spec

# Before torch is loaded, here and in the engines that tests start: for networks this small, several
# threads take longer than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SUITES = {"core": "torch", "reference": "torch", "benchmarks": "torch", "blender": "bpy"}
collect_ignore = [suite for suite, library in SUITES.items() if find_spec(library) is None]


def pytest_runtest_logstart(nodeid):
    note("began", nodeid)


def pytest_runtest_logreport(report):
    if report.when == "teardown" or report.outcome != "passed":
        note(report.outcome, report.nodeid)


def note(outcome, nodeid):
    """A line for the runner, written at once: this process may be killed."""
    if path := os.environ.get("T2VZ_TEST_DIARY"):
        with open(path, "a", encoding="utf-8") as diary:
            diary.write(f"{outcome} {nodeid}\n")
