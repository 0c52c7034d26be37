"""The trial on the running service: gunicorn, one worker, beat, Redis, and a fake Telegram of a known latency."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import requests

from benches import sources
from benches.clients import Client, ask_all
from benches.service import Service, is_up, wait_for_pictures
from benches.stage import BOTH, list_workers, stage, wait_for
from faketelegram import FakeTelegram
from planning.trial import BATCH, Figures, Trial
from runner.ports import free_loopback_port

SOURCE = 160  # pixels: no CPU is what is looked at
DIFFERENT = 8  # pictures
LOOK_SECONDS = 0.005  # between looks at a queue
FLOOD_THREADS = 200  # more than requests can be under way
REST_SECONDS = 1.5  # fills the bucket, which holds a second's worth


@dataclass
class Ground:
    """A running service, and the pictures that nobody has asked for yet."""

    service: Service
    telegram: FakeTelegram
    file_ids: list[str]

    def take(self, number: int) -> list[str]:
        """So many of them."""
        taken, self.file_ids[:] = self.file_ids[:number], self.file_ids[number:]
        return taken

    def count_calls(self) -> int:
        """getFile and downloads so far."""
        return self.telegram.calls["getFile"] + self.telegram.calls["download"]


@contextmanager
def open_ground(trial: Trial, runs: int) -> Iterator[Ground]:
    """A service that can go through the trial so many times."""
    settings = {"PHOTO_SIZES": "160", "PHOTO_FORMATS": "webp", "TELEGRAM_RATE": str(trial.telegram_rate)}
    settings["HOT_MAX"] = str(trial.hot_max)
    with TemporaryDirectory(prefix="aw-") as folder, stage(Path(folder) / "t", **settings) as it:
        telegram = FakeTelegram(it.environment["TELEGRAM_BOT_TOKEN"], latency=trial.latency)
        it.stack.enter_context(telegram)
        it.environment["TELEGRAM_API_URL"] = telegram.url
        faces = [sources.make_plain(number, SOURCE) for number in range(DIFFERENT)]
        number = trial.threads + runs * (trial.missed + trial.warmed + trial.flooded)
        known = [telegram.world.add_file(faces[each % DIFFERENT]) for each in range(number)]
        redis, port = it.start_redis(), free_loopback_port()
        web = it.start_web(port, BOTH)
        worker = it.start_worker(BOTH, "--concurrency", str(trial.threads), name=next(iter(list_workers())))
        it.start_beat()
        service = Service(it, redis, port, web, [worker])
        wait_for("the web tier", lambda: is_up(port, "/healthz"))
        wait_for("the worker", lambda: service.count_processes() >= 1)
        ground = Ground(service, telegram, known)
        service.warm(ground.take(trial.threads))  # opens the connections
        yield ground


def run_trial(trial: Trial, ground: Ground) -> Figures:
    """Every scenario, one after the other."""
    found = {**_let_clients_ask(trial, ground), **_let_backend_ask(trial, ground), **_let_flood_come(trial, ground)}
    return Figures(**found)


def _let_clients_ask(trial: Trial, ground: Ground) -> dict[str, Any]:
    service, missed = ground.service, ground.take(trial.missed)
    queue = f"{service.keys.queue_prefix}hot"
    time.sleep(REST_SECONDS)
    calls, started = ground.count_calls(), time.monotonic()
    with _watching(lambda: int(service.redis.llen(queue))) as seen:
        paths = [service.path_of(name) for name in missed]
        waits = ask_all(service.port, paths, clients=trial.clients, is_patient=True)
    seconds = time.monotonic() - started
    return {
        "miss_seconds": seconds,
        "miss_p50": median(waits),
        "miss_calls": ground.count_calls() - calls,
        "miss_queue": max(seen),
    }


def _let_backend_ask(trial: Trial, ground: Ground) -> dict[str, Any]:
    service, warmed = ground.service, ground.take(trial.warmed)
    time.sleep(REST_SECONDS)
    calls, started = ground.count_calls(), time.monotonic()
    with _watching(lambda: int(service.redis.zcard(service.keys.due))) as seen:
        _ask_to_warm(service, warmed)
        wait_for_pictures(service.redis, service.keys, warmed)
    seconds = time.monotonic() - started
    return {"warm_seconds": seconds, "warm_calls": ground.count_calls() - calls, "warm_due": max(seen)}


def _let_flood_come(trial: Trial, ground: Ground) -> dict[str, Any]:
    """Each request on time and on a connection of its own, whatever became of those before."""
    service, paths = ground.service, [ground.service.path_of(name) for name in ground.take(trial.flooded)]
    time.sleep(REST_SECONDS)
    started = time.monotonic()

    def ask(place: int) -> tuple[int, float]:
        client, asked_at = Client(service.port), started + place / trial.flood
        time.sleep(max(0.0, asked_at - time.monotonic()))
        client.send(paths[place])
        status, _ = client.receive_any()
        client.close()
        return status, time.monotonic() - asked_at

    with ThreadPoolExecutor(FLOOD_THREADS) as threads:
        answers = list(threads.map(ask, range(len(paths))))
    waits = [seconds for status, seconds in answers if status == HTTPStatus.OK]
    return {"flood_served": len(waits), "flood_p50": median(waits) if waits else 0.0}


def _ask_to_warm(service: Service, file_ids: Sequence[str]) -> None:
    with requests.Session() as session:
        for start in range(0, len(file_ids), BATCH):
            body = {"photo_file_ids": file_ids[start : start + BATCH]}
            url = f"http://127.0.0.1:{service.port}/api/photos/warm"
            session.post(url, json=body, headers=service.headers, timeout=30).raise_for_status()


@contextmanager
def _watching(look: Callable[[], int]) -> Iterator[list[int]]:
    """What is seen again and again while the block runs."""
    seen, is_over = [0], threading.Event()

    def work() -> None:
        while not is_over.wait(LOOK_SECONDS):
            seen.append(look())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()
