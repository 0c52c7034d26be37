"""A phone opens the app: the list of the newest partners, then the first four pictures at once.

A call to Telegram takes 50 ms, so a miss takes 100 ms at least; a new connection costs 100 ms more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis

from benches.clients import ask_all, ask_at_once
from benches.phone import PARTNERS, SHOWN, App, Phone, app_of_original, app_of_service
from benches.results import Part, Recorder, Row, percentile
from benches.rivals import AFTER, BEFORE, start_originals
from benches.service import NAME, SETTINGS, Service, measure_memory, start_service
from benches.testbed import open_testbed
from benches.upstream import Upstream, start_upstream

BLOCKS = 5
CACHED, MISS, MIXED = "open the app, all cached", "open the app, all miss", "open the app, two of four cached"
TIMES = {CACHED: 20, MISS: 3, MIXED: 3}  # openings per block
FRESH = {CACHED: 0, MISS: SHOWN, MIXED: 2}  # cold pictures among the four
CROWD, CROWD_ROUNDS = 100, 3
LIST, LISTS = "the list, everything warm", 300
FILES = 2000  # file ids of the fake Telegram
Say = Callable[[str], None]


def run(say: Say) -> Part:
    """Measure alternating openings, then the list alone, then a crowd on one cold picture."""
    part, recorder = Part("open-app"), Recorder()
    with open_testbed(**SETTINGS) as testbed:
        redis = testbed.start_redis()
        upstream = start_upstream(testbed, FILES)
        known = upstream.take(PARTNERS)
        service = start_service(testbed, redis)
        apps = [app_of_original(rival, redis, known) for rival in start_originals(testbed)]
        apps.insert(0, app_of_service(service, known))
        service.warm(known)
        for app in apps:
            ask_all(app.port, list(map(app.path_of, known)), clients=SHOWN)
        measure_openings(apps, known, upstream, recorder, say)
        part.rows = list_rows(recorder) + measure_list(apps[0], service, recorder, say)
        measure_crowds(apps, upstream, recorder, say)
        for app in apps:
            recorder.note(CACHED, app.name, {"RSS MB": measure_memory(app.processes)})
    part.skipped = [f"{name}: not installed" for name in (BEFORE, AFTER) if not recorder.has(CACHED, name)]
    part.measurements = recorder.list_measurements()
    return part


def measure_openings(
    apps: Sequence[App], known: Sequence[str], upstream: Upstream, recorder: Recorder, say: Say
) -> None:
    """Alternate blocks of openings, each with every state of the pictures."""
    for block in range(BLOCKS):
        for app in apps:
            say(f"open-app, block {block + 1} of {BLOCKS}: {app.name}")
            phone = Phone(app)
            for work, times in TIMES.items():
                app.show(known[:SHOWN])
                phone.open_app()
                for _ in range(times):
                    app.show(_mix(upstream.take(FRESH[work]), known))
                    recorder.note(work, app.name, {"ms": phone.open_app()})
            app.show(known[:SHOWN])
            phone.close()


def list_rows(recorder: Recorder) -> list[Row]:
    """The targets of the openings."""
    rows = []
    if recorder.has(CACHED, AFTER):
        ratio = recorder.median(CACHED, NAME, "ms") / recorder.median(CACHED, AFTER, "ms")
        note = "the list through Flask, and gunicorn's hand-over between threads"
        rows.append(Row(CACHED, AFTER, ratio, 1.15, is_floor=False, note=note))
    for work in (MISS, MIXED):
        took = recorder.median(work, NAME, "ms")
        note = f"{AFTER}: {recorder.median(work, AFTER, 'ms'):.0f} ms" if recorder.has(work, AFTER) else ""
        rows.append(Row(work, "Telegram alone: 100 ms", took, 120, is_floor=False, unit="ms", note=note))
    return rows


def measure_crowds(apps: Sequence[App], upstream: Upstream, recorder: Recorder, say: Say) -> None:
    """A hundred clients request one cold picture at once: how many calls does that make?"""
    work = f"{CROWD} clients on one cold picture"
    for number in range(CROWD_ROUNDS):
        say(f"open-app, {work}, round {number + 1} of {CROWD_ROUNDS}")
        for app in apps:
            calls = upstream.count_calls()
            statuses = ask_at_once(app.port, app.path_of(upstream.take(1)[0]), CROWD)
            figures = {"upstream calls": upstream.count_calls() - calls, "answered 200": statuses.count(200)}
            recorder.note(work, app.name, figures)


def measure_list(app: App, service: Service, recorder: Recorder, say: Say) -> list[Row]:
    """Read the list of the newest partners with one client; its targets."""
    say(f"open-app: the list {LISTS} times")
    phone = Phone(app)
    phone.open_app()
    published = _count_published(service.redis)
    milliseconds = [phone.clients[0].time(app.list_path) * 1000 for _ in range(LISTS)]
    published = _count_published(service.redis) - published
    phone.close()
    p50 = percentile(milliseconds, 50)
    figures = {"p50 ms": p50, "p99 ms": percentile(milliseconds, 99), "published messages": published}
    recorder.note(LIST, NAME, figures)
    return [
        Row(LIST, "p50", p50, 3, is_floor=False, unit="ms"),
        Row(LIST, "published messages", published, 0, is_floor=False, unit=""),
    ]


def _count_published(redis: Redis) -> int:
    """Messages published since the server started: kombu pushes them to lists."""
    commands: Any = redis.info("commandstats")
    return int(commands.get("cmdstat_lpush", {}).get("calls", 0))


def _mix(fresh: Sequence[str], known: Sequence[str]) -> list[str]:
    """Four pictures: the fresh ones between the known ones."""
    mixed = list(known[:SHOWN])
    for place, file_id in zip((0, 2, 1, 3), fresh, strict=False):
        mixed[place] = file_id
    return mixed
