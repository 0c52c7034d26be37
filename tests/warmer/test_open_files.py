"""The limit of open files, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.running import ROOT

LIMIT = """
from resource import RLIMIT_NOFILE, getrlimit
from warmer.open_files import raise_open_files_limit_or_exit
print(min(raise_open_files_limit_or_exit(1024), getrlimit(RLIMIT_NOFILE)[0]))
"""
SERVER = "import runpy; print(runpy.run_path('gunicorn.conf.py')['worker_connections'])"


def run(limits: str, code: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'{limits}; exec "$@"', "sh", sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("limits", "limit"), [("ulimit -n 256", 256), ("ulimit -S -n 64", 1024), ("ulimit -n 2000", 1024)]
)
def test_the_limit_is_raised_as_far_as_it_may_be(limits: str, limit: int) -> None:
    assert run(limits, LIMIT).stdout == f"{limit}\n"


@pytest.mark.parametrize("code", [LIMIT, SERVER])
def test_too_low_a_limit_ends_a_process_with_one_line(code: str) -> None:
    ended = run("ulimit -n 255", code)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == ("avatar-warmer: ulimit -n: 255 open files are too few for a process: allow 256 or more\n")


def test_the_server_leaves_open_files_for_its_threads() -> None:
    assert run("ulimit -n 256", SERVER).stdout == "64\n"
    assert run("ulimit -n 4096", SERVER).stdout == "3904\n"
