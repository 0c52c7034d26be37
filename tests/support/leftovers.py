"""Fails a test that leaves a thread or a process behind, and names it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

END_SECONDS = 60.0  # for threads that end on their own, such as a server's thread of a closed connection
WHOLE_SERVICES = {"service", "browser", "faults"}  # their fixtures live for a module or longer, and restart parts
LASTING = ("package", "session")

_processes: dict[subprocess.Popen[Any], str] = {}  # each with the test that started it
_lasting: set[int] = set()  # the processes among them that a fixture of a package or of the session has started
_lasting_threads: set[threading.Thread] = set()  # those that such a fixture has started
_scopes: list[str] = []  # of the fixtures that are being set up


class _NotedPopen(subprocess.Popen[Any]):
    """Records every process; searching all processes of the machine after each test would take too long."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _processes[self] = os.environ.get("PYTEST_CURRENT_TEST", "")
        if _scopes and _scopes[-1] in LASTING:
            _lasting.add(self.pid)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Notes the scope of the fixture, for the processes that it starts, and the threads of one that lasts."""
    _scopes.append(fixturedef.scope)
    before = set(threading.enumerate())
    try:
        return (yield)
    finally:
        _scopes.pop()
        if fixturedef.scope in LASTING:
            _lasting_threads.update(set(threading.enumerate()) - before)


@pytest.fixture(scope="session", autouse=True)
def _no_process_outlives_the_run() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", _NotedPopen)
        yield
    left = [f"{process.args!r} of {test}" for process, test in _processes.items() if process.poll() is None]
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="module", autouse=True)
def _nothing_outlives_its_module(request: pytest.FixtureRequest) -> Iterator[None]:
    """Checks a module of whole services, also for the processes that other processes have started."""
    if not _runs_whole_services(request) or "browser" in Path(request.node.path).parts:  # a browser's modules share it
        yield
        return
    before, threads = _list_descendants(), set(threading.enumerate())
    yield

    def list_left() -> list[str]:
        left = {f"thread {thread.name}" for thread in set(_list_threads()) - threads - _lasting_threads}
        return sorted(left | (_list_descendants() - before))

    _wait_for_the_end(list_left)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compares before and after: wider fixtures start earlier, and the test's other fixtures end first."""
    before = _list_running()
    yield
    if not _runs_whole_services(request):
        _wait_for_the_end(lambda: sorted(_list_running() - before))


def _runs_whole_services(request: pytest.FixtureRequest) -> bool:
    return bool(WHOLE_SERVICES & set(Path(request.node.path).parts))


def _wait_for_the_end(list_left: Callable[[], list[str]]) -> None:
    deadline = time.monotonic() + END_SECONDS
    while left := list_left():
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.01)


def _list_running() -> set[str]:
    for process in [process for process in _processes if process.returncode is not None]:
        del _processes[process]
    processes = {f"process {process.pid}: {process.args!r}" for process in _processes}
    return processes | {f"thread {thread.name} ({thread.ident})" for thread in _list_threads()}


def _list_threads() -> list[threading.Thread]:
    # A server's thread for a connection ends with its server, which has its own fixture.
    return [thread for thread in threading.enumerate() if "process_request_thread" not in thread.name]


def _list_descendants() -> set[str]:
    """Lists the running processes below this one, except those of fixtures that outlive a module."""
    found, waiting = set(), psutil.Process().children()
    while waiting:
        process = waiting.pop()
        with suppress(psutil.NoSuchProcess):
            if process.pid not in _lasting and process.status() != psutil.STATUS_ZOMBIE:
                found.add(f"process {process.pid}: {' '.join(process.cmdline())}")
                waiting += process.children()
    return found
