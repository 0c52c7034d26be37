"""A disk without room: hits continue, writes get 503, no process ends, and everything recovers once there is room."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.support.crowd import crowd
from tests.support.disk import MEMORY, full, needs_mounts, read_only, small_disk, without_inodes
from tests.support.faults import DEADLINE, Clients, Figure, Stage, run_stage
from tests.support.running import ROOT

pytestmark = needs_mounts
SERVICES = ("redis", "web", "worker", "worker2", "beat", "flower")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("disk")
    with small_disk(folder / "data", inodes=300), run_stage(folder) as stage:
        yield stage


def list_pids(stage: Stage, *names: str) -> set[int]:
    return {process.pid for process in stage.processes(*names or SERVICES)}


def is_normal(stage: Stage) -> bool:
    """Returns True if all checks are fine, each web process accepts a registration, and its picture becomes warm."""
    if stage.service.ask("GET", "/readyz").json()["status"] != "ok":
        return False
    (new,) = stage.add_people(1).items()
    if {stage.put(*new).status for _ in range(6)} - {200, 201}:
        return False
    wait_until(lambda: stage.is_ready(new[0]), DEADLINE)
    return True


def kill_and_await(stage: Stage, name: str) -> None:
    """Kill the last process of this line, for gunicorn one of its children, and wait for the next one."""
    before = list_pids(stage, name)
    (killed := stage.processes(name)[-1]).kill()
    wait_until(lambda: not killed.is_running() and len(list_pids(stage, name)) == len(before), DEADLINE)


def check_logging(stage: Stage) -> None:
    """Check that a line of a request reaches the log of the web tier, which supervisord writes."""
    request_id = stage.service.ask("GET", "/api/partner/recent").headers["X-Request-ID"]
    wait_until(lambda: request_id in stage.log("web"), DEADLINE)


def count_served(hits: Clients, since: float) -> int:
    return sum(answer.status == 200 for answer in hits.since(since))


def check_disk(stage: Stage, name: str, figure: Figure, fault: AbstractContextManager[None], *, refuses: bool) -> None:
    """Check that hits continue and nothing ends, also that processes killed meanwhile start again."""
    (hot,) = stage.warm(1).values()
    wait_until(lambda: is_normal(stage), DEADLINE)
    running = list_pids(stage)
    with crowd(stage, hot, [], number=3, pause=0.1, answers=3) as (hits, others):
        with fault:
            started = time.monotonic()
            wait_until(lambda: count_served(hits, started) > 200 and len(others.since(started)) > 20, DEADLINE)
            if refuses:
                wait_until(lambda: len(others.refused_since(started)) > 20, DEADLINE)
                wait_until(lambda: stage.service.ask("GET", "/readyz").json()["checks"]["redis"] == "away", DEADLINE)
            assert list_pids(stage) == running
            for service in ("web", "worker"):
                kill_and_await(stage, service)
            restarted, again = list_pids(stage), time.monotonic()
            wait_until(lambda: count_served(hits, again) > 400, DEADLINE)
            assert list_pids(stage) == restarted
        mended = time.monotonic()
        wait_until(lambda: is_normal(stage), DEADLINE)
        figure(f"{name}: everything works again", time.monotonic() - mended)
    # 0: a connection of the killed web process; 503: the new one reads from Redis, which is late on a busy machine
    assert {answer.status for answer in hits.answers} <= {200, 0, 503}
    assert len(hits.refused_since(started)) < count_served(hits, started)
    assert {answer.status for answer in others.answers} <= {200, 201, 503, 0}
    assert list_pids(stage) == restarted
    check_logging(stage)


def test_a_full_disk_refuses_writes_and_ends_no_process(stage: Stage, figure: Figure) -> None:
    check_disk(stage, "disk full", figure, full(stage.service.data_dir), refuses=True)


def test_a_disk_without_inodes_ends_no_process(stage: Stage, figure: Figure) -> None:
    """Redis appends to a file that it has, so that it accepts writes."""
    check_disk(stage, "disk without inodes", figure, without_inodes(stage.service.data_dir), refuses=False)


def test_a_log_folder_that_takes_no_file_ends_no_process(stage: Stage, figure: Figure) -> None:
    check_disk(stage, "log folder read-only", figure, read_only(stage.service.data_dir / "logs"), refuses=False)


def test_the_service_starts_with_a_full_metrics_folder_and_read_only_shared_memory(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("metrics")
    with small_disk(folder / "data" / "run" / "metrics", "2m") as metrics, read_only(MEMORY), ExitStack() as fault:
        fault.enter_context(full(metrics))
        with run_stage(folder) as stage:
            running = list_pids(stage)
            (hot,) = stage.warm(1).values()
            stage.keep_in_memory(hot)
            assert {stage.get(hot).status for _ in range(20)} == {200}
            assert stage.count_hits() == 0
            fault.close()
            wait_until(lambda: stage.get(hot).status == 200 and stage.count_hits() >= 20, DEADLINE)
            assert list_pids(stage) == running


def test_a_start_on_a_full_disk_ends_with_one_line_that_names_the_cause(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", "1m") as data, full(data):
        here = {"PATH": os.environ["PATH"], "DATA_DIR": str(data)}
        command = [sys.executable, str(ROOT / "scripts" / "runner")]
        done = subprocess.run(command, cwd=ROOT, env=here, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "avatar-warmer: DATA_DIR: No space left on device\n")
