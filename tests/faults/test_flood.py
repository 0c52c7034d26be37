"""A flood of misses: hits continue, memory and queues stay bounded, and no registered picture is lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from faketelegram.pictures import drawn
from tests.conftest import wait_until
from tests.support.faults import DEADLINE, Figure, Stage, let_pass
from tests.support.running import ROOT

MISSES_A_SECOND, CONNECTIONS, SECONDS, RATE = 240, 64, 30, 4
SETTINGS = {"TELEGRAM_RATE": str(RATE)}
HOT_MAX = 8  # RATE × PHOTO_WAIT: waiting tasks above which a miss gets 503
GROWTH_MB = 60  # in the second half; keeping 20 kB of each miss would be 70


@contextmanager
def load(folder: Path, name: str, urls: list[str], connections: int, rate: float, seconds: float) -> Iterator[Any]:
    """Run the load in its own process, which ends with the block."""
    (folder / name).write_text("\n".join(urls))
    command = [
        sys.executable, "-m", "tests.support.flood", str(folder / name), str(connections), str(rate), str(seconds),
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_result(process: Any) -> dict[str, Any]:
    output, _ = process.communicate(timeout=SECONDS + DEADLINE)
    return dict(json.loads(output))


def memory_mb(processes: list[psutil.Process]) -> float:
    return sum(process.memory_info().rss for process in processes) / 2**20


def metric(stage: Stage, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", stage.service.ask("GET", "/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_hits_continue_through_a_flood_of_misses(stage: Stage, tmp_path: Path, figure: Figure) -> None:
    picture = drawn("flood")[320]
    cold = [stage.url(stage.fake.world.add_file(picture)) for _ in range(MISSES_A_SECOND * SECONDS)]
    registered = stage.add_people(30)
    hot = [stage.url(stage.keep_in_memory(file_id)) for file_id in stage.warm(4).values()]  # for twice the flood's time
    with (
        load(tmp_path, "cold", cold, CONNECTIONS, MISSES_A_SECOND, SECONDS) as flood,
        load(tmp_path, "hot", hot, 4, 100, SECONDS - 1) as hits,
    ):
        stage.register(registered)
        longest, growth_mb = watch(stage, flood)
        ended_at = time.monotonic()
        flooded, served = read_result(flood), read_result(hits)
    figure("flood: growth of web, workers and Redis in its second half, MB", growth_mb)
    figure("flood: p99 of a hit", served["p99"])
    figure("flood: longest hot queue", longest)
    (late_id,) = (late := stage.add_people(1))
    wait_until(lambda: stage.get(late[late_id]).status == 200, DEADLINE)
    figure("flood: a new picture is served again", time.monotonic() - ended_at)
    wait_until(lambda: all(map(stage.is_ready, registered)), DEADLINE)
    figure("flood: partners registered meanwhile are warm", time.monotonic() - ended_at)
    assert growth_mb < GROWTH_MB
    assert longest <= HOT_MAX + CONNECTIONS
    assert set(flooded["statuses"]) <= {"200", "404", "503"}
    assert served["statuses"].keys() == {"200"}  # they come from memory
    assert flooded["statuses"].get("503")  # there were more misses than Telegram allows


def watch(stage: Stage, flood: Any) -> tuple[float, float]:
    """Returns the longest hot queue during the flood, and the memory growth since its middle in MB."""
    processes = stage.processes("web", "worker", "worker2", "redis")
    longest, started, half_mb = 0.0, time.monotonic(), 0.0
    while flood.poll() is None:
        longest = max(longest, metric(stage, 'avatar_queue_length{queue="hot"}'))
        if not half_mb and time.monotonic() > started + SECONDS / 2:
            half_mb = memory_mb(processes)
        let_pass(1)
    return longest, memory_mb(processes) - half_mb
