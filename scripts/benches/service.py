"""This service on a testbed, as the Procfile runs it: the web tier and every worker."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import psutil
import requests
from redis import Redis

from benches.testbed import BOTH, FORMAT, SIZE, Testbed, list_workers, wait_for
from runner.ports import free_loopback_port
from warmer.keys import Keys
from warmer.state.workers import list_worker_statuses

NAME = "this service"
SETTINGS = {"PHOTO_SIZES": str(SIZE), "PHOTO_FORMATS": FORMAT}  # one variant, as the peers make it
BATCH = 100  # file ids per call


@dataclass
class Service:
    """The running service."""

    testbed: Testbed
    redis: Redis
    port: int
    web: psutil.Process
    workers: list[psutil.Process]

    @property
    def keys(self) -> Keys:
        return self.testbed.keys

    def warm(self, file_ids: Sequence[str]) -> None:
        """Warm these as a backend does, and wait until all of them are stored."""
        self.ask_to_warm(file_ids)
        wait_for_pictures(self.redis, self.keys, file_ids)

    def ask_to_warm(self, file_ids: Sequence[str]) -> None:
        """Send the requests of `warm`."""
        with requests.Session() as session:
            for start in range(0, len(file_ids), BATCH):
                body = {"photo_file_ids": file_ids[start : start + BATCH]}
                url = f"http://127.0.0.1:{self.port}/api/photos/warm"
                session.post(url, json=body, headers=self.testbed.headers, timeout=30).raise_for_status()

    def start_another_web(self, *options: str) -> Service:
        """The same service, seen through one more web tier, which serves once this returns."""
        port = free_loopback_port()
        web = self.testbed.start_web(port, BOTH, *options)
        wait_for("another web tier", lambda: is_up(port, "/healthz"))
        return replace(self, port=port, web=web)

    def count_processes(self) -> int:
        """How many worker processes send heartbeats."""
        return len(list_worker_statuses(self.redis, self.keys))


def start_service(
    testbed: Testbed, redis: Redis, web: Sequence[str] = (), workers: Sequence[Sequence[str]] | None = None
) -> Service:
    """Start the service on both cores, and wait until it serves.

    `web`: more options of the web tier. `workers`: those of each worker; without them, every worker of the Procfile.
    """
    port = free_loopback_port()
    started = testbed.start_web(port, BOTH, *web)
    if workers is None:
        running = testbed.start_workers(BOTH)
    else:
        running = [testbed.start_worker(BOTH, *options, name=next(iter(list_workers()))) for options in workers]
    service = Service(testbed, redis, port, started, running)
    wait_for("the web tier", lambda: is_up(port, "/healthz"))
    wait_for("the workers", lambda: service.count_processes() >= len(service.workers))
    return service


def wait_for_pictures(redis: Redis, keys: Keys, file_ids: Iterable[str]) -> None:
    """Wait until all of these are stored."""
    for file_id in file_ids:  # they arrive roughly in this order, so polling costs next to nothing
        name = keys.variant(file_id, SIZE, FORMAT)
        wait_for("every picture", lambda name=name: redis.exists(name), patience=60)  # type: ignore[misc]  # bound now


def count_threads() -> int:
    """The threads of a worker process, from the Procfile."""
    found = re.search(r"(?:--concurrency|-c)[ =](\d+)", " ".join(list_workers().values()))
    if not found:
        raise LookupError("Procfile: no worker line has --concurrency")
    return int(found[1])


def is_up(port: int, path: str) -> bool:
    """Returns True if the server at this port answers 200."""
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def measure_memory(processes: Iterable[psutil.Process]) -> float:
    """The resident memory of these processes and their children, in MB."""
    return sum(one.memory_info().rss for one in _list_family(processes)) / 1e6


def measure_cpu(processes: Iterable[psutil.Process]) -> float:
    """CPU seconds of these processes and their children."""
    return sum(sum(one.cpu_times()[:2]) for one in _list_family(processes))


def _list_family(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    return [one for process in processes for one in (process, *process.children(recursive=True))]
