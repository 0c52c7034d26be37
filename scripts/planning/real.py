"""Runs the trial on the real service: gunicorn, one worker, beat, Redis, and a fake Telegram with a known latency."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benches import sources
from benches.clients import Client, ask_all
from benches.service import Service, is_up, wait_for_pictures
from benches.testbed import BOTH, list_workers, open_testbed, wait_for
from faketelegram import FakeTelegram
from planning.trial import Figures, Trial
from runner.ports import free_loopback_port

SOURCE = 160  # pixels: small, since the trial is not about CPU
DIFFERENT = 8  # pictures
POLL_SECONDS = 0.005  # between reads of a queue's length
FLOOD_THREADS = 200  # more than the requests in flight
REST_SECONDS = 1.5  # fills the bucket, which holds the tokens of one second


@dataclass
class RunningService:
    """A running service, and the unused file ids of its Telegram."""

    service: Service
    telegram: FakeTelegram
    file_ids: list[str]

    def take(self, number: int) -> list[str]:
        """Take unused file ids."""
        taken, self.file_ids[:] = self.file_ids[:number], self.file_ids[number:]
        return taken

    def count_calls(self) -> int:
        """The calls to getFile and downloads so far."""
        return self.telegram.calls["getFile"] + self.telegram.calls["download"]


@contextmanager
def open_service(trial: Trial, runs: int) -> Iterator[RunningService]:
    """Start a service with enough pictures for `runs` trials."""
    settings = {"PHOTO_SIZES": "160", "PHOTO_FORMATS": "webp", "TELEGRAM_RATE": str(trial.telegram_rate)}
    settings["HOT_MAX"] = str(trial.hot_max)
    with TemporaryDirectory(prefix="aw-") as folder, open_testbed(Path(folder) / "t", **settings) as testbed:
        telegram = FakeTelegram(testbed.environment["TELEGRAM_BOT_TOKEN"], latency=trial.latency)
        testbed.stack.enter_context(telegram)
        testbed.environment["TELEGRAM_API_URL"] = telegram.url
        faces = [sources.make_plain(number, SOURCE) for number in range(DIFFERENT)]
        number = trial.threads + runs * (trial.missed + trial.warmed + trial.flooded)
        known = [telegram.world.add_file(faces[each % DIFFERENT]) for each in range(number)]
        redis, port = testbed.start_redis(), free_loopback_port()
        web = testbed.start_web(port, BOTH)
        worker = testbed.start_worker(BOTH, "--concurrency", str(trial.threads), name=next(iter(list_workers())))
        testbed.start_beat()
        service = Service(testbed, redis, port, web, [worker])
        wait_for("the web tier", lambda: is_up(port, "/healthz"))
        wait_for("the worker", lambda: service.count_processes() >= 1)
        running = RunningService(service, telegram, known)
        service.warm(running.take(trial.threads))  # opens the connections
        yield running


def run_trial(trial: Trial, running: RunningService) -> Figures:
    """Run the scenarios one after the other."""
    found = {**_let_clients_ask(trial, running), **_let_backend_ask(trial, running), **_let_flood_come(trial, running)}
    return Figures(**found)


def _let_clients_ask(trial: Trial, running: RunningService) -> dict[str, Any]:
    service, missed = running.service, running.take(trial.missed)
    queue = f"{service.keys.queue_prefix}hot"
    time.sleep(REST_SECONDS)
    calls, started = running.count_calls(), time.monotonic()
    with _polling(lambda: int(service.redis.llen(queue))) as seen:
        paths = [service.path_of(name) for name in missed]
        waits = ask_all(service.port, paths, clients=trial.clients, is_patient=True)
    seconds = time.monotonic() - started
    return {
        "miss_seconds": seconds,
        "miss_p50": median(waits),
        "miss_calls": running.count_calls() - calls,
        "miss_queue": max(seen),
    }


def _let_backend_ask(trial: Trial, running: RunningService) -> dict[str, Any]:
    service, warmed = running.service, running.take(trial.warmed)
    time.sleep(REST_SECONDS)
    calls, started = running.count_calls(), time.monotonic()
    with _polling(lambda: int(service.redis.zcard(service.keys.schedule))) as seen:
        service.ask_to_warm(warmed)
        wait_for_pictures(service.redis, service.keys, warmed)
    seconds = time.monotonic() - started
    return {"warm_seconds": seconds, "warm_calls": running.count_calls() - calls, "warm_due": max(seen)}


def _let_flood_come(trial: Trial, running: RunningService) -> dict[str, Any]:
    """Send each request on time and on its own connection, whatever happens to the others."""
    service, paths = running.service, [running.service.path_of(name) for name in running.take(trial.flooded)]
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


@contextmanager
def _polling(look: Callable[[], int]) -> Iterator[list[int]]:
    """Collect what `look` returns, again and again while the block runs."""
    seen, is_over = [0], threading.Event()

    def work() -> None:
        while not is_over.wait(POLL_SECONDS):
            seen.append(look())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()
