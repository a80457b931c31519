"""How install.py runs the suites: each judged by its report, and no process left."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from installer.process import child
from tests.suites import runner


def test_a_suite_without_a_report_counts_as_failed(tmp_path):
    assert runner.judged("bpy", tmp_path / "none.xml", "ended with -11").failed == 1


def test_a_suite_is_judged_by_its_report_though_its_process_hangs(monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "LEAVE_S", 0.2)
    xml = '<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1"/></testsuites>'
    code = f"import sys, time; open(sys.argv[-1], 'w').write({xml!r}); time.sleep(60)"
    suite = runner.Suite("hangs", (sys.executable, "-c", code))
    (result,) = runner.run_all([suite], tmp_path, tmp_path)
    assert (result.passed, result.failed, result.skipped) == (2, 2, 1)


def test_suites_of_like_names_have_a_report_each(tmp_path):
    xml = '<testsuites><testsuite tests="{}"/></testsuites>'
    code = "import sys; open(sys.argv[-1], 'w').write({!r})"
    names = ("Blender 5.2.2", "Blender 5.2.3", "Blender 5.2.2, installed zip")
    commands = [(sys.executable, "-c", code.format(xml.format(tests))) for tests in (1, 2, 3)]
    results = runner.run_all(list(map(runner.Suite, names, commands)), tmp_path, tmp_path)
    assert {result.name: result.passed for result in results} == dict(zip(names, (1, 2, 3)))


def test_a_suite_that_takes_too_long_has_failed_and_leaves_no_process(monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "LIMIT_S", 1.5)
    code = "import subprocess; subprocess.run(['sleep', '3.1415'])"
    (result,) = runner.run_all(
        [runner.Suite("slow", (sys.executable, "-c", code))], tmp_path, tmp_path
    )
    assert result.failed == 1 and "took longer" in result.remark
    assert soon_gone(b"sleep\x003.1415\x00")


def pytest_suite(folder, body):
    """A suite of one file, which keeps its diary as this project's tests do."""
    (folder / "conftest.py").write_text((Path(__file__).parents[1] / "conftest.py").read_text())
    (folder / "test_one.py").write_text(body)
    return runner.Suite("small", (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", folder))


def test_a_test_that_hangs_is_named_and_what_had_passed_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "TEST_LIMIT_S", 4.0)
    body = "import time\ndef test_a(): pass\ndef test_b(): time.sleep(60)\ndef test_c(): pass\n"
    (result,) = runner.run_all([pytest_suite(tmp_path, body)], tmp_path / "reports", tmp_path)
    assert (result.passed, result.failed) == (1, 1)
    assert "took longer than 4 s in test_one.py::test_b" in result.remark
    assert "were not run" in result.remark


def test_a_suite_that_dies_keeps_what_had_passed_and_failed(tmp_path):
    body = (
        "import os, pytest\ndef test_a(): pass\ndef test_b(): assert 0\n"
        "def test_c(): pytest.skip('no')\ndef test_d(): os._exit(7)\n"
    )
    (result,) = runner.run_all([pytest_suite(tmp_path, body)], tmp_path / "reports", tmp_path)
    assert (result.passed, result.failed, result.skipped) == (1, 2, 1)
    assert "ended with 7 in test_one.py::test_d" in result.remark


def test_a_busy_machine_is_said(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (19.2, 12.0, 8.0))
    assert "load 19.2 on 2 processors" in runner.busy_sentence(2)
    assert runner.busy_sentence(20) == ""


def test_neither_a_child_nor_its_own_children_outlive_the_block():
    code = (
        "import subprocess; subprocess.Popen(['sleep', '3.1416']); print('up', flush=True); input()"
    )
    with child(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
    assert process.returncode == -signal.SIGTERM and soon_gone(b"sleep\x003.1416\x00")


def soon_gone(command: bytes) -> bool:
    """Whether no process has this command line, within the moments that a killed one may take to
    end."""
    last = time.monotonic() + 5
    while is_running(command) and time.monotonic() < last:
        time.sleep(0.05)
    return not is_running(command)


def is_running(command: bytes) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes() == command:
                return True
    return False
