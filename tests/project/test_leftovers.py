"""A test that leaves a thread or a process behind fails, in every folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import ROOT

CONFTEST = """
from tests.support import leftovers
leftovers.END_SECONDS = 0.1  # seconds
pytest_plugins = ["tests.support.leftovers"]
"""
CASES = """
import subprocess, threading
import pytest
ended, started = threading.Event(), []

@pytest.fixture(scope="session", autouse=True)
def owner():
    yield
    ended.set()

@pytest.fixture(scope="session")
def lasting():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process

def test_one_that_leaves_a_thread():
    threading.Thread(target=ended.wait, name="forgotten").start()

def test_one_that_leaves_nothing(lasting):
    with subprocess.Popen(["true"]):
        pass

def test_one_that_leaves_a_process():
    started.append(subprocess.Popen(["cat", "-u"], stdin=subprocess.PIPE))  # it ends with the run
"""


@pytest.mark.parametrize(("folder", "wrong"), [("web", ["a_thread", "a_process"]), ("faults", ["a_process"])])
def test_what_a_test_leaves_behind_is_an_error_with_its_name(tmp_path: Path, folder: str, wrong: list[str]) -> None:
    """A whole service is checked at the end of its module, so that the last test has the error."""
    (tmp_path / folder).mkdir()
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / folder / "test_cases.py").write_text(CASES)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null"]
    done = subprocess.run(
        [*command, "--rootdir", tmp_path, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    failed = re.findall(r"^ERROR \S+::test_one_that_leaves_(\w+)", done.stdout, re.MULTILINE)
    assert failed == wrong, done.stdout
    told = "".join(re.findall(r"left behind: (.*)", done.stdout))
    assert "forgotten" in told
    assert "cat" in told
