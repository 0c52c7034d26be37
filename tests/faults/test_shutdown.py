"""SIGTERM under load: running requests finish, no task is lost, and every process exits in time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Answer, Figure, Stage, run_stage_at


def count_clients(stage: Stage) -> int:
    """Returns the connections that the web processes have accepted."""
    port = urlsplit(stage.service.url).port
    sockets = [one for process in stage.processes("web") for one in process.net_connections("tcp")]
    return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in sockets)


def ask_until_it_stops(stage: Stage, file_id: str, stopping: threading.Event) -> Answer:
    """Request the picture; again if a busy machine refuses it."""
    while (answer := stage.get(file_id)).status == 503 and not stopping.wait(0.2):
        continue
    return answer


def test_sigterm_under_load_finishes_running_requests_and_loses_no_task(tmp_path: Path, figure: Figure) -> None:
    with FakeTelegram(latency=0.02) as fake, ThreadPoolExecutor(20) as clients:
        with run_stage_at(fake, tmp_path, PHOTO_WAIT="10") as stage:
            asked, queued, hanging = stage.add_people(20), stage.add_people(150), stage.add_people(1)
            fake.fail("download", "hang", file_id=next(iter(hanging.values())))
            stage.register(hanging | queued)
            fake.latency = 1.0
            calls, stopping = fake.calls["getFile"], threading.Event()
            answers = [clients.submit(ask_until_it_stops, stage, file_id, stopping) for file_id in asked.values()]
            wait_until(lambda: fake.calls["getFile"] > calls + 5, DEADLINE)
            wait_until(lambda: count_clients(stage) >= len(asked), DEADLINE)  # one that comes later is refused
            stopping.set()
            ended_at = time.monotonic()
        figure("SIGTERM under load: every process has exited", time.monotonic() - ended_at)
        assert "SIGKILL" not in stage.log("supervisord")  # every process exited on its own, within the grace period
        assert {answer.result().status for answer in answers} <= {200, 503}
        fake.latency = 0.02
        with run_stage_at(fake, tmp_path) as stage:
            started_at = time.monotonic()
            wait_until(lambda: all(map(stage.is_ready, queued | hanging)), LEASE_DEADLINE)
            seconds = time.monotonic() - started_at
            figure("SIGTERM under load: every queued picture is warm after the next start", seconds)
