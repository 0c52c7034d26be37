"""The trial on the running service: gunicorn, one worker, beat, Redis, and a fake Telegram of a known latency."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import requests

from benches import sources
from benches.clients import ask_all
from benches.service import Service, is_up, wait_for_pictures
from benches.stage import BOTH, list_workers, stage, wait_for
from faketelegram import FakeTelegram
from planning.trial import BATCH, Figures, Trial
from runner.ports import free_loopback_port

SOURCE = 160  # pixels: no CPU is what is looked at
DIFFERENT = 8  # pictures
LOOK_SECONDS = 0.005  # between looks at a queue
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
    with TemporaryDirectory(prefix="aw-") as folder, stage(Path(folder) / "t", **settings) as it:
        telegram = FakeTelegram(it.environment["TELEGRAM_BOT_TOKEN"], latency=trial.latency)
        it.stack.enter_context(telegram)
        it.environment["TELEGRAM_API_URL"] = telegram.url
        faces = [sources.make_plain(number, SOURCE) for number in range(DIFFERENT)]
        number = trial.threads + runs * (trial.missed + trial.warmed)
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
    """Both scenarios, one after the other."""
    service = ground.service
    queue, due = f"{service.keys.queue_prefix}hot", service.keys.due
    time.sleep(REST_SECONDS)
    missed, calls, started = ground.take(trial.missed), ground.count_calls(), time.monotonic()
    with _watching(lambda: int(service.redis.llen(queue))) as queue_lengths:
        waits = ask_all(service.port, [service.path_of(name) for name in missed], clients=trial.clients)
    miss_seconds, miss_calls = time.monotonic() - started, ground.count_calls() - calls
    time.sleep(REST_SECONDS)
    warmed, calls, started = ground.take(trial.warmed), ground.count_calls(), time.monotonic()
    with _watching(lambda: int(service.redis.zcard(due))) as due_numbers:
        _ask_to_warm(service, warmed)
        wait_for_pictures(service.redis, service.keys, warmed)
    return Figures(
        miss_seconds=miss_seconds,
        miss_p50=median(waits),
        miss_calls=miss_calls,
        miss_queue=max(queue_lengths),
        warm_seconds=time.monotonic() - started,
        warm_calls=ground.count_calls() - calls,
        warm_due=max(due_numbers),
    )


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
