"""A test that leaves a thread or a process of its own behind fails, by name."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

END_SECONDS = 60.0  # for threads that end on their own, such as a server's for a connection that was closed

_processes: set[subprocess.Popen[Any]] = set()


class _NotedPopen(subprocess.Popen[Any]):
    """To walk through all processes of the machine after each test would take longer than the tests."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _processes.add(self)


@pytest.fixture(scope="session", autouse=True)
def _processes_are_noted() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", _NotedPopen)
        yield


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """What wider fixtures started is there before; the other fixtures of the test end what they started first."""
    before = _list_running()
    yield
    deadline = time.monotonic() + END_SECONDS
    while left := _list_running() - before:
        assert time.monotonic() < deadline, f"left behind: {sorted(left)}"
        time.sleep(0.01)


def _list_running() -> set[str]:
    _processes.difference_update([process for process in _processes if process.returncode is not None])
    # A server's thread for a connection ends with its server, which has a fixture of its own.
    threads = [thread for thread in threading.enumerate() if "process_request_thread" not in thread.name]
    processes = {f"process {process.pid}: {process.args!r}" for process in _processes}
    return processes | {f"thread {thread.name} ({thread.ident})" for thread in threads}
