"""A flood of misses: hits go on as before, nothing grows without bound, and nothing that was promised is lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from faketelegram.pictures import drawn
from tests.conftest import wait_until
from tests.support.faults import Figure, Stage, let_pass, run_stage
from tests.support.running import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.alone]
MISSES_A_SECOND, CONNECTIONS, SECONDS, RATE = 240, 64, 60, 12
HIT_SECONDS = 0.02
NORMAL_SECONDS = 10
GROWTH_MB = 20  # in its second half


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("flood"), TELEGRAM_RATE=str(RATE)) as stage:
        yield stage


def start_load(folder: Path, name: str, urls: list[str], connections: int, rate: float, seconds: float) -> Any:
    (folder / name).write_text("\n".join(urls))
    command = [
        sys.executable,
        "-m",
        "tests.support.flood",
        str(folder / name),
        str(connections),
        str(rate),
        str(seconds),
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def told(load: Any) -> dict[str, Any]:
    output, _ = load.communicate(timeout=SECONDS + 30)
    return dict(json.loads(output))


def memory_mb(processes: list[psutil.Process]) -> float:
    return sum(process.memory_info().rss for process in processes) / 2**20


def metric(stage: Stage, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", stage.service.call("GET", "/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_hits_go_on_through_a_flood_of_misses(stage: Stage, tmp_path: Path, figure: Figure) -> None:
    hot = [stage.url(file_id) for file_id in stage.warm(4).values()]
    picture = drawn("flood")[320]
    files = [stage.fake.world.add_file(picture) for _ in range(MISSES_A_SECOND * SECONDS)]
    processes = stage.processes("web", "worker", "worker2", "redis")
    unloaded = told(start_load(tmp_path, "hot", hot, 4, 100, 8))
    longest, started, half_mb = 0.0, time.monotonic(), 0.0
    flood = start_load(tmp_path, "cold", [stage.url(one) for one in files], CONNECTIONS, MISSES_A_SECOND, SECONDS)
    hits = start_load(tmp_path, "hot", hot, 4, 100, SECONDS - 1)
    registered = stage.add_people(30)
    for user_id, file_id in registered.items():
        assert stage.put(user_id, file_id).status == 201
    while flood.poll() is None:
        longest = max(longest, metric(stage, 'avatar_queue_length{queue="hot"}'))
        if not half_mb and time.monotonic() > started + SECONDS / 2:
            half_mb = memory_mb(processes)
        let_pass(1)
    ended_at, full_mb = time.monotonic(), memory_mb(processes)
    flooded, served = told(flood), told(hits)
    figure("flood: growth of web, workers and Redis in its second half, MB", full_mb - half_mb, GROWTH_MB)
    figure("flood: p99 of a hit", served["p99"], max(3 * unloaded["p99"], HIT_SECONDS))
    (late_id,) = (late := stage.add_people(1))
    wait_until(lambda: stage.get(late[late_id]).status == 200, 20)
    figure("flood: a new picture is served again", time.monotonic() - ended_at, NORMAL_SECONDS)
    wait_until(lambda: all(map(stage.is_ready, registered)), 30)
    figure("flood: who registered meanwhile is warm", time.monotonic() - ended_at, NORMAL_SECONDS)
    figure("flood: longest queue of hot tasks", longest, 200 + CONNECTIONS)
    assert set(flooded["statuses"]) <= {"200", "404", "503"}
    assert served["statuses"].keys() == {"200"}
    assert metric(stage, "avatar_shed_total") > 0
