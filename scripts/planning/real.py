"""Runs the trial on the real service: gunicorn, one worker, beat, Redis, and a fake Telegram with a known latency."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median

from benches import sources
from benches.clients import Client, ask_all
from benches.service import Service, start_service, wait_for_pictures
from benches.testbed import open_testbed
from benches.upstream import Upstream
from planning.trial import Figures, Trial

SOURCE = 160  # pixels: small, since the trial is not about CPU
DIFFERENT = 8  # pictures
POLL_SECONDS = 0.005  # between reads of a queue's length
FLOOD_THREADS = 200  # more than the requests in flight
REST_SECONDS = 1.5  # fills the bucket, which holds the tokens of one second


@dataclass
class RunningService:
    """A running service, and its Telegram."""

    service: Service
    upstream: Upstream


@contextmanager
def open_service(trial: Trial, runs: int) -> Iterator[RunningService]:
    """Start a service with enough pictures for `runs` trials."""
    settings = {"PHOTO_SIZES": "160", "PHOTO_FORMATS": "webp", "TELEGRAM_RATE": str(trial.telegram_rate)}
    settings["HOT_MAX"] = str(trial.hot_max)
    with open_testbed(**settings) as testbed:
        telegram = testbed.start_telegram(trial.latency)
        faces = [sources.make_plain(number, SOURCE) for number in range(DIFFERENT)]
        number = trial.threads + runs * (trial.missed + trial.warmed + trial.flooded)
        known = [telegram.world.add_file(faces[each % DIFFERENT]) for each in range(number)]
        service = start_service(testbed, testbed.start_redis(), workers=[["--concurrency", str(trial.threads)]])
        testbed.start_beat()
        running = RunningService(service, Upstream(telegram.url, iter(known)))
        service.warm(running.upstream.take(trial.threads))  # opens the connections
        yield running


def run_trial(trial: Trial, running: RunningService) -> Figures:
    """Run the scenarios one after the other."""
    return _let_clients_ask(trial, running) | _let_backend_ask(trial, running) | _let_flood_come(trial, running)


def _let_clients_ask(trial: Trial, running: RunningService) -> Figures:
    service, missed = running.service, running.upstream.take(trial.missed)
    queue = f"{service.keys.queue_prefix}hot"
    time.sleep(REST_SECONDS)
    calls, started = running.upstream.count_calls(), time.monotonic()
    with _polling(lambda: int(service.redis.llen(queue))) as seen:
        paths = [service.testbed.path_of(name) for name in missed]
        waits = ask_all(service.port, paths, clients=trial.clients, is_patient=True)
    seconds = time.monotonic() - started
    return {
        "miss_seconds": seconds,
        "miss_p50": median(waits),
        "miss_calls": running.upstream.count_calls() - calls,
        "miss_queue": max(seen),
    }


def _let_backend_ask(trial: Trial, running: RunningService) -> Figures:
    service, warmed = running.service, running.upstream.take(trial.warmed)
    time.sleep(REST_SECONDS)
    calls, started = running.upstream.count_calls(), time.monotonic()
    with _polling(lambda: int(service.redis.zcard(service.keys.schedule))) as seen:
        service.ask_to_warm(warmed)
        wait_for_pictures(service.redis, service.keys, warmed)
    seconds = time.monotonic() - started
    return {"warm_seconds": seconds, "warm_calls": running.upstream.count_calls() - calls, "warm_due": max(seen)}


def _let_flood_come(trial: Trial, running: RunningService) -> Figures:
    """Send each request on time and on its own connection, whatever happens to the others."""
    service, paths = (
        running.service,
        [running.service.testbed.path_of(name) for name in running.upstream.take(trial.flooded)],
    )
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
