"""This service on a stage, as the Procfile runs it: the web tier and every worker."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psutil
import requests
from redis import Redis

from benches.stage import BOTH, Stage, list_workers, wait_for
from runner.ports import free_loopback_port
from warmer.keys import Keys
from warmer.state.workers import list_pulses
from web.photos.urls import sign

NAME = "this service"
SIZE, FORMAT = 160, "webp"
SETTINGS = {"PHOTO_SIZES": str(SIZE), "PHOTO_FORMATS": FORMAT}  # one picture, as the peers make it
BATCH = 100  # file ids that one call may warm


@dataclass
class Service:
    """The running service."""

    stage: Stage
    redis: Redis
    port: int
    web: psutil.Process
    workers: list[psutil.Process]

    @property
    def keys(self) -> Keys:
        return Keys(self.stage.environment["TELEGRAM_BOT_TOKEN"].partition(":")[0])

    @property
    def headers(self) -> dict[str, str]:
        """What a server of one's own sends."""
        return {"Authorization": f"Bearer {self.stage.environment['API_KEYS']}"}

    def path_of(self, file_id: str) -> str:
        """The signed URL of a picture, without the host."""
        signature = sign(self.stage.environment["URL_SIGNING_KEYS"], f"file:{file_id}")
        return f"/api/photos/file/{file_id}?size={SIZE}&sig={signature}"

    def warm(self, file_ids: Sequence[str]) -> None:
        """Ask for these as a backend does, and wait until all of them are stored."""
        with requests.Session() as session:
            for start in range(0, len(file_ids), BATCH):
                body = {"photo_file_ids": file_ids[start : start + BATCH]}
                url = f"http://127.0.0.1:{self.port}/api/photos/warm"
                session.post(url, json=body, headers=self.headers, timeout=30).raise_for_status()
        wait_for_pictures(self.redis, self.keys, file_ids)

    def count_processes(self) -> int:
        """How many worker processes say that they live."""
        return len(list_pulses(self.redis, self.keys))


def start_service(stage: Stage, redis: Redis) -> Service:
    """Start it on both cores, and wait until it serves."""
    port = free_loopback_port()
    service = Service(stage, redis, port, stage.start_web(port, BOTH), stage.start_workers(BOTH))
    wait_for("the web tier", lambda: is_up(port, "/healthz"))
    wait_for("the workers", lambda: service.count_processes() >= len(service.workers))
    return service


def wait_for_pictures(redis: Redis, keys: Keys, file_ids: Iterable[str]) -> None:
    """Wait until all of them are stored."""
    for file_id in file_ids:  # they come about in this order, so that looking takes next to nothing
        name = keys.variant(file_id, SIZE, FORMAT)
        wait_for("every picture", lambda name=name: redis.exists(name), patience=60)  # type: ignore[misc]  # bound now


def count_threads() -> int:
    """How many threads each worker process of the Procfile has."""
    found = re.search(r"(?:--concurrency|-c)[ =](\d+)", " ".join(list_workers().values()))
    if not found:
        raise LookupError("Procfile: no worker line says --concurrency")
    return int(found[1])


def is_up(port: int, path: str) -> bool:
    """Whether a server there answers 200."""
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def measure_memory(processes: Iterable[psutil.Process]) -> float:
    """The resident memory of these and their children, in MB."""
    family = [one for process in processes for one in (process, *process.children(recursive=True))]
    return sum(one.memory_info().rss for one in family) / 1e6
