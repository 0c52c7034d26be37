"""Memory: of a worker and of a web process after long work, and of Redis per variant."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benches import load, sources
from benches.extent import choose
from benches.results import Part, Recorder, Row, make_row
from benches.service import NAME, Service, start_service
from benches.testbed import BOTH, open_testbed, wait_for
from faketelegram import FakeTelegram
from warmer.etag import HEADER_LENGTH
from warmer.settings import Settings

MB = 1_000_000
REDIS = "Redis, for a variant"
WARMINGS, REQUESTS = choose((20_000, 100_000), (3_000, 5_000))
# Warmings of heavy pictures come first, and Redis is measured with them; the others are cheap.
LIFELIKE, BLOCKS = choose(2_000, 300), 3  # Redis is measured after each block
WEBS = 3  # web processes: each gets a third of the warmings, and all of the requests
DIFFERENT = 24  # pictures of each kind
SOURCE = 320  # pixels of the download for the default sizes
SIZES: tuple[int, ...] = Settings.model_fields["photo_sizes"].default
SERVED = choose(5_000, 500)  # pictures to request, in all sizes: 50 MB, more than the cache of a web process
BATCH, UNDER_WAY_MAX = 100, 800  # pictures; above 1000 the service postpones them
WARMING_SECONDS = 300.0  # a slower machine warms fewer, and its rows say so
ROUND_SECONDS = choose(5.0, 1.0)
NO_GROWTH: dict[str, Any] = {"limit": 1.0, "limit_reason": "it has not grown"}
Sample = tuple[int, float]  # warmings so far, MB


@dataclass(frozen=True)
class Deployment:
    """The service with one worker process, web tiers of one process each, and a Telegram without latency."""

    service: Service
    webs: list[Service]  # the same service, each with another web tier
    telegram: FakeTelegram

    def used_memory(self) -> int:
        """Bytes that Redis has allocated."""
        memory: Any = self.service.redis.info("memory")
        return int(memory["used_memory"])


def run(say: Callable[[str], None]) -> Part:
    """20,000 warmings by one worker, then 100,000 requests to each of three web processes for the stored pictures."""
    part, recorder = Part("memory"), Recorder()
    with _start_deployment() as deployment:
        heavy = _add_files(deployment, LIFELIKE, sources.draw)
        light = _add_files(deployment, WARMINGS - LIFELIKE, sources.make_plain)
        end = time.monotonic() + WARMING_SECONDS
        samples, ratios = [], []
        for number in range(BLOCKS):
            before, block = deployment.used_memory(), heavy[number::BLOCKS]
            samples += _warm(deployment, block, end, say)
            _wait_for_previews(deployment.service, block)
            ratios.append(_measure_redis(recorder, deployment, block, before))
        part.rows.append(make_row(REDIS, "1.15 × its bytes + 300", ratios, 1.0, is_floor=False))
        samples += _warm(deployment, light, end, say)
        part.rows += _measure_worker(recorder, samples)
        part.rows.append(_measure_webs(recorder, deployment, [*heavy, *light][:SERVED], say))
    part.measurements = recorder.list_measurements()
    return part


@contextmanager
def _start_deployment() -> Iterator[Deployment]:
    with open_testbed() as testbed:
        telegram = testbed.start_telegram()
        service = start_service(testbed, testbed.start_redis(), ["--workers", "1"], [[]])
        others = [service.start_another_web("--workers", "1") for _ in range(WEBS - 1)]
        yield Deployment(service, [service, *others], telegram)


def _add_files(deployment: Deployment, number: int, make: Callable[[int, int], bytes]) -> list[str]:
    """Add `number` files to the fake Telegram, made by `make`; their file ids."""
    pictures = [make(each, SOURCE) for each in range(DIFFERENT)]
    return [deployment.telegram.world.add_file(pictures[each % DIFFERENT]) for each in range(number)]


def _warm(deployment: Deployment, file_ids: Sequence[str], end: float, say: Callable[[str], None]) -> list[Sample]:
    """Warm these through the API, as fast as the queue takes them; samples of the worker's memory."""
    first = deployment.telegram.calls["download"]
    samples: list[Sample] = []
    [worker] = deployment.service.workers
    for start in range(0, len(file_ids), BATCH):
        web = deployment.webs[start // BATCH % len(deployment.webs)]
        web.ask_to_warm(file_ids[start : start + BATCH])
        is_last = start + BATCH >= len(file_ids)
        if not _wait_for_downloads(deployment, first + (len(file_ids) if is_last else start - UNDER_WAY_MAX), end):
            break
        samples.append((deployment.telegram.calls["download"], worker.memory_info().rss / MB))
        if start % (20 * BATCH) == 0:
            say(f"Warming, {samples[-1][0]:,} of {WARMINGS:,} done, the worker takes {samples[-1][1]:.0f} MB…")
    return samples


def _wait_for_downloads(deployment: Deployment, number: int, end: float) -> bool:
    """Returns True if that many downloads came before the end."""
    try:
        wait_for("the download", lambda: deployment.telegram.calls["download"] >= number, end - time.monotonic())
    except TimeoutError:
        return False
    return True


def _wait_for_previews(service: Service, file_ids: Sequence[str]) -> None:
    """They are stored last."""
    previews = [service.keys.preview(file_id) for file_id in file_ids]
    wait_for("the last picture", lambda: service.redis.exists(*previews) == len(previews))


def _measure_redis(recorder: Recorder, deployment: Deployment, file_ids: Sequence[str], before: int) -> float:
    """The growth of Redis, previews and paths included, compared with what the bytes of the variants allow."""
    grown = deployment.used_memory() - before
    pipe, keys = deployment.service.redis.pipeline(transaction=False), deployment.service.keys
    for file_id in file_ids:
        for size in SIZES:
            pipe.strlen(keys.variant(file_id, size, "webp"))
    lengths = [int(length) - HEADER_LENGTH for length in pipe.execute()]
    number = len(lengths)
    recorder.note(REDIS, NAME, {"bytes": grown / number})
    recorder.note(REDIS, "the picture alone", {"bytes": sum(lengths) / number})
    return grown / (1.15 * sum(lengths) + 300 * number)


def _measure_worker(recorder: Recorder, samples: Sequence[Sample]) -> list[Row]:
    done = samples[-1][0]
    work, half = f"a worker after {done:,} warmings", "the same worker at half"
    for number, rss in samples:
        if number >= 0.9 * done:
            recorder.note(work, NAME, {"RSS MB": rss})
        elif 0.45 * done <= number <= 0.55 * done:
            recorder.note(half, NAME, {"RSS MB": rss})
    late, middle = recorder.list_rounds(work, NAME, "RSS MB"), recorder.median(half, NAME, "RSS MB")
    options: dict[str, Any] = {"is_floor": False, "note": "samples of one process"}
    rows = [
        make_row(work, "a fixed size", late, 150, unit="MB", **options),
        make_row(work, "itself at half", [rss / middle for rss in late], 1.05, **options, **NO_GROWTH),
    ]
    if done < WARMINGS:
        note = f"stopped after {WARMING_SECONDS:.0f} s"
        rows.append(Row("warmings before a worker is measured", "a fixed number", done, WARMINGS, unit="", note=note))
    return rows


def _measure_webs(
    recorder: Recorder, deployment: Deployment, file_ids: Sequence[str], say: Callable[[str], None]
) -> Row:
    testbed, work = deployment.service.testbed, f"a web process after {REQUESTS:,} requests"
    paths = [(testbed.path_of(file_id, size), "") for file_id in file_ids for size in SIZES]
    file = load.write_requests(testbed.folder / "paths", paths)
    for service in deployment.webs:
        [web], done = service.web.children(), 0
        while done < REQUESTS:
            done += load.run(f"http://127.0.0.1:{service.port}", file, ROUND_SECONDS, BOTH).requests
        rss = web.memory_info().rss / MB
        say(f"Served {done:,} requests, the web process takes {rss:.0f} MB…")
        recorder.note(work, NAME, {"RSS MB": rss})
    return make_row(work, "a fixed size", recorder.list_rounds(work, NAME, "RSS MB"), 120, is_floor=False, unit="MB")
