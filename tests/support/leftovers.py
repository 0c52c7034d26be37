"""Fails a test that leaves a thread or a process behind, and names it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

END_SECONDS = 60.0  # for threads that end on their own, such as a server's thread of a closed connection
WHOLE_SERVICES = {"service", "browser", "faults"}  # their fixtures live for a module or longer and restart processes

_processes: dict[subprocess.Popen[Any], str] = {}  # each with the test that started it


class _NotedPopen(subprocess.Popen[Any]):
    """Records every process; searching all processes of the machine after each test would take too long."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _processes[self] = os.environ.get("PYTEST_CURRENT_TEST", "")


@pytest.fixture(scope="session", autouse=True)
def _no_process_outlives_the_run() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", _NotedPopen)
        yield
    left = [f"{process.args!r} of {test}" for process, test in _processes.items() if process.poll() is None]
    assert not left, f"left behind: {left}"


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compares before and after: wider fixtures start earlier, and the test's other fixtures end first."""
    before = _list_running()
    yield
    if WHOLE_SERVICES & set(Path(request.node.path).parts):
        return
    deadline = time.monotonic() + END_SECONDS
    while left := _list_running() - before:
        assert time.monotonic() < deadline, f"left behind: {sorted(left)}"
        time.sleep(0.01)


def _list_running() -> set[str]:
    for process in [process for process in _processes if process.returncode is not None]:
        del _processes[process]
    # A server's thread for a connection ends with its server, which has its own fixture.
    threads = [thread for thread in threading.enumerate() if "process_request_thread" not in thread.name]
    processes = {f"process {process.pid}: {process.args!r}" for process in _processes}
    return processes | {f"thread {thread.name} ({thread.ident})" for thread in threads}
