"""Memory: of a worker and of a web process after long work, and of Redis for each variant."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import requests
from redis import Redis

from benches import load, sources
from benches.book import Book
from benches.rows import Part, Row
from benches.stage import BOTH, Stage, list_workers, stage, wait_for
from faketelegram import FakeTelegram
from runner.ports import free_loopback_port
from warmer.keys import Keys
from warmer.photo import HEADER_LENGTH
from warmer.settings import Settings
from web.photos.urls import sign

MB = 1_000_000
OURS = "this service"
WARMINGS, REQUESTS = 20_000, 100_000
LIFELIKE = 2_000  # warmings of heavy pictures come first, and Redis is weighed with them; the others are cheap
DIFFERENT = 24  # pictures of each kind
SOURCE = 320  # pixels: what is downloaded for the default sizes
SIZES: tuple[int, ...] = Settings.model_fields["photo_sizes"].default
SERVED = 5_000  # pictures asked for, in all sizes: 50 MB, more than a web process keeps for itself
BATCH, UNDER_WAY_MAX = 100, 800  # pictures; what is more than 1000 the service puts off
WARMING_SECONDS = 300.0  # a slower machine warms less, and its rows say so
ROUND_SECONDS = 5.0
Sample = tuple[int, float]  # warmings so far, MB


@dataclass(frozen=True)
class Scene:
    """The service with one process of each kind, and a Telegram that keeps nobody waiting."""

    stage: Stage
    redis: Redis
    telegram: FakeTelegram
    worker: psutil.Process
    web: psutil.Process
    url: str

    @property
    def keys(self) -> Keys:
        return Keys(self.stage.environment["TELEGRAM_BOT_TOKEN"].partition(":")[0])

    def used_memory(self) -> int:
        """Bytes that Redis has allocated."""
        memory: Any = self.redis.info("memory")
        return int(memory["used_memory"])


def run(say: Callable[[str], None]) -> Part:
    """20,000 warmings by one worker, then 100,000 requests to one web process for what they stored."""
    part, book = Part("memory"), Book()
    with _set_scene() as scene:
        heavy = _add_files(scene, LIFELIKE, sources.draw)
        light = _add_files(scene, WARMINGS - LIFELIKE, sources.make_plain)
        before = scene.used_memory()
        end = time.monotonic() + WARMING_SECONDS
        samples = _warm(scene, heavy, end, say)
        previews = [scene.keys.preview(file_id) for file_id in heavy]
        wait_for("the last picture", lambda: scene.redis.exists(*previews) == len(previews))
        part.rows.append(_weigh_redis(book, scene, heavy, before))
        samples += _warm(scene, light, end, say)
        part.rows += _weigh_worker(book, samples)
        part.rows.append(_weigh_web(book, scene, [*heavy, *light][:SERVED], say))
    part.measurements = book.list_measurements()
    return part


@contextmanager
def _set_scene() -> Iterator[Scene]:
    with TemporaryDirectory(prefix="aw-") as folder, stage(Path(folder) / "m") as it:
        token = it.environment["TELEGRAM_BOT_TOKEN"]
        telegram = it.stack.enter_context(FakeTelegram(token))
        it.environment["TELEGRAM_API_URL"] = telegram.url
        redis = it.start_redis()
        worker = it.start_worker(BOTH, name=next(iter(list_workers())))
        port = free_loopback_port()
        url = f"http://127.0.0.1:{port}"
        master = it.start_web(port, BOTH, "--workers", "1")
        wait_for("the service", lambda: _is_ready(url))
        yield Scene(it, redis, telegram, worker, master.children()[0], url)


def _is_ready(url: str) -> bool:
    try:
        checks = requests.get(f"{url}/readyz", timeout=5).json()["checks"]
    except requests.RequestException:
        return False
    return set(checks.values()) == {"ok"}


def _add_files(scene: Scene, number: int, make: Callable[[int, int], bytes]) -> list[str]:
    """So many file ids at the fake Telegram's, each of one of the pictures that `make` makes."""
    pictures = [make(each, SOURCE) for each in range(DIFFERENT)]
    return [scene.telegram.world.add_file(pictures[each % DIFFERENT]) for each in range(number)]


def _warm(scene: Scene, file_ids: Sequence[str], end: float, say: Callable[[str], None]) -> list[Sample]:
    """Ask for these through the API, as fast as the queue takes them; the worker's memory meanwhile."""
    first = scene.telegram.calls["download"]
    samples: list[Sample] = []
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {scene.stage.environment['API_KEYS']}"
        for start in range(0, len(file_ids), BATCH):
            body = {"photo_file_ids": file_ids[start : start + BATCH]}
            session.post(f"{scene.url}/api/photos/warm", json=body, timeout=10).raise_for_status()
            is_last = start + BATCH >= len(file_ids)
            if not _wait_for_downloads(scene, first + (len(file_ids) if is_last else start - UNDER_WAY_MAX), end):
                break
            samples.append((scene.telegram.calls["download"], scene.worker.memory_info().rss / MB))
            if start % (20 * BATCH) == 0:
                say(f"Warming, {samples[-1][0]:,} of {WARMINGS:,} done, the worker takes {samples[-1][1]:.0f} MB…")
    return samples


def _wait_for_downloads(scene: Scene, number: int, end: float) -> bool:
    """Whether that many came before the end."""
    try:
        wait_for("the download", lambda: scene.telegram.calls["download"] >= number, end - time.monotonic())
    except TimeoutError:
        return False
    return True


def _weigh_redis(book: Book, scene: Scene, file_ids: Sequence[str], before: int) -> Row:
    """All that Redis has grown by, previews and paths included, against the bytes of the variants."""
    grown = scene.used_memory() - before
    pipe = scene.redis.pipeline(transaction=False)
    for file_id in file_ids:
        for size in SIZES:
            pipe.strlen(scene.keys.variant(file_id, size, "webp"))
    lengths = [int(length) - HEADER_LENGTH for length in pipe.execute()]
    work, number = "Redis, for a variant", len(lengths)
    book.note(work, OURS, {"bytes": grown / number})
    book.note(work, "the picture alone", {"bytes": sum(lengths) / number})
    return Row(work, "1.15 × its bytes + 300", grown / (1.15 * sum(lengths) + 300 * number), 1.0, is_floor=False)


def _weigh_worker(book: Book, samples: Sequence[Sample]) -> list[Row]:
    done = samples[-1][0]
    work, half = f"a worker after {done:,} warmings", "the same worker at half"
    for number, rss in samples:
        if number >= 0.95 * done:
            book.note(work, OURS, {"RSS MB": rss})
        elif 0.45 * done <= number <= 0.55 * done:
            book.note(half, OURS, {"RSS MB": rss})
    late, middle = (book.median(name, OURS, "RSS MB") for name in (work, half))
    rows = [
        Row(work, "a fixed size", late, 150, is_floor=False, unit="MB"),
        Row(work, "itself at half", late / middle, 1.05, is_floor=False),
    ]
    if done < WARMINGS:
        note = f"stopped after {WARMING_SECONDS:.0f} s"
        rows.append(Row("warmings before a worker is weighed", "a fixed number", done, WARMINGS, unit="", note=note))
    return rows


def _weigh_web(book: Book, scene: Scene, file_ids: Sequence[str], say: Callable[[str], None]) -> Row:
    key = scene.stage.environment["URL_SIGNING_KEYS"]
    paths = [
        f"/api/photos/file/{file_id}?size={size}&sig={sign(key, f'file:{file_id}')}"
        for file_id in file_ids
        for size in SIZES
    ]
    file = load.write_requests(scene.stage.folder / "paths", [(path, "") for path in paths])
    done = 0
    while done < REQUESTS:
        done += load.run(scene.url, file, ROUND_SECONDS, BOTH).requests
        rss = scene.web.memory_info().rss / MB
        say(f"Serving, {done:,} of {REQUESTS:,} requests done, the web process takes {rss:.0f} MB…")
    work = f"a web process after {REQUESTS:,} requests"
    book.note(work, OURS, {"RSS MB": rss})
    return Row(work, "a fixed size", rss, 120, is_floor=False, unit="MB")
