"""A phone opens the app: the list of the newest partners, then the first four pictures at once.

A call to Telegram takes 50 ms, so a miss takes 100 ms at least; a new connection costs 100 ms more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import requests
from redis import Redis

from benches.clients import ask_all, ask_at_once
from benches.extent import choose
from benches.phone import PARTNERS, SHOWN, App, Phone, app_of_original, app_of_service
from benches.results import Part, Recorder, Row, make_row, percentile
from benches.rivals import AFTER, BEFORE, start_originals
from benches.service import NAME, SETTINGS, Service, measure_memory, start_service
from benches.testbed import open_testbed
from benches.upstream import Upstream, start_upstream

BLOCKS = choose(5, 1)
CACHED, MISS, MIXED = "open the app, all cached", "open the app, all miss", "open the app, two of four cached"
JUST_WARMED = "open the app, all cached a moment ago"
TIMES = {CACHED: 20, MISS: 3, MIXED: 3}  # openings per block
FRESH = {CACHED: 0, MISS: SHOWN, MIXED: 2}  # cold pictures among the four
OPENINGS_AFTER = 20  # at once after a warming of the whole list
CROWD, CROWD_ROUNDS = 100, choose(3, 1)
LIST, LISTS, LIST_ROUNDS = "the list, everything warm", 300, choose(3, 1)
UPSTREAM, CALLS, MORE = "Telegram's two calls", 10, 15  # the floor of a miss; its rounds per block; ms on top of it
NONE: dict[str, Any] = {"limit": 0.0, "limit_reason": "none is published"}
FILES = 3000  # file ids of the fake Telegram
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
        measure_floor(upstream, testbed.environment["TELEGRAM_BOT_TOKEN"], recorder)
        measure_openings(apps, known, upstream, recorder, say)
        part.rows = list_rows(recorder) + measure_list(apps[0], service, recorder, say)
        measure_crowds(apps, upstream, recorder, say)
    part.skipped = [f"{name}: not installed" for name in (BEFORE, AFTER) if not recorder.has(CACHED, name)]
    part.measurements = recorder.list_measurements()
    return part


def measure_openings(
    apps: Sequence[App], known: Sequence[str], upstream: Upstream, recorder: Recorder, say: Say
) -> None:
    """Alternate blocks of openings, each with every state of the pictures."""
    for block in range(BLOCKS):
        for app in reversed(apps) if block % 2 else apps:
            say(f"block {block + 1} of {BLOCKS}: {app.name}")
            phone = Phone(app)
            for work, times in TIMES.items():
                app.show(known[:SHOWN])
                phone.open_app()
                for _ in range(times):
                    app.show(_mix(upstream.take(FRESH[work]), known))
                    recorder.note(work, app.name, {"ms": phone.open_app()})
            measure_just_warmed(app, phone, upstream, recorder)
            app.show(known)
            phone.close()
            recorder.note(CACHED, app.name, {"RSS MB": measure_memory(app.processes)})


def measure_just_warmed(app: App, phone: Phone, upstream: Upstream, recorder: Recorder) -> None:
    """The openings of the first seconds after the whole list was warmed."""
    fresh = upstream.take(PARTNERS)
    app.show(fresh)
    app.warm(fresh)
    for _ in range(OPENINGS_AFTER):
        recorder.note(JUST_WARMED, app.name, {"ms": phone.open_app()})


def measure_floor(upstream: Upstream, token: str, recorder: Recorder) -> None:
    """Telegram's two calls alone."""
    with requests.Session() as session:
        upstream.time_alone(session, token)  # opens the connection
        for _ in range(CALLS):
            recorder.note(UPSTREAM, "nothing else", {"ms": upstream.time_alone(session, token) * 1000})


def list_rows(recorder: Recorder) -> list[Row]:
    """The targets of the openings."""
    rows = []
    for work in (CACHED, JUST_WARMED, MISS, MIXED):
        if recorder.has(work, AFTER):
            ratios = recorder.list_ratios("ms", (work, NAME), (work, AFTER), BLOCKS)
            rows.append(make_row(work, AFTER, ratios, 1.0, is_floor=False))
    floor = recorder.median(UPSTREAM, "nothing else", "ms")
    for work in (MISS, MIXED):
        more = [took - floor for took in recorder.list_blocks(work, NAME, "ms", BLOCKS)]
        note = f"{AFTER}: {recorder.median(work, AFTER, 'ms') - floor:.0f} ms" if recorder.has(work, AFTER) else ""
        rows.append(make_row(work, f"on top of {UPSTREAM}", more, MORE, is_floor=False, unit="ms", note=note))
    return rows


def measure_crowds(apps: Sequence[App], upstream: Upstream, recorder: Recorder, say: Say) -> None:
    """A hundred clients request one cold picture at once: how many calls does that make?"""
    work = f"{CROWD} clients on one cold picture"
    for number in range(CROWD_ROUNDS):
        say(f"{work}, round {number + 1} of {CROWD_ROUNDS}")
        for app in apps:
            calls = upstream.count_calls()
            statuses = ask_at_once(app.port, app.path_of(upstream.take(1)[0]), CROWD)
            figures = {"upstream calls": upstream.count_calls() - calls, "answered 200": statuses.count(200)}
            recorder.note(work, app.name, figures)


def measure_list(app: App, service: Service, recorder: Recorder, say: Say) -> list[Row]:
    """Read the list of the newest partners with one client; its targets."""
    phone = Phone(app)
    phone.open_app()
    for number in range(LIST_ROUNDS):
        say(f"the list {LISTS} times, round {number + 1} of {LIST_ROUNDS}")
        published = _count_published(service.redis)
        milliseconds = [phone.clients[0].time(app.list_path) * 1000 for _ in range(LISTS)]
        figures = {"p50 ms": percentile(milliseconds, 50), "p99 ms": percentile(milliseconds, 99)}
        recorder.note(LIST, NAME, figures | {"published messages": _count_published(service.redis) - published})
    phone.close()
    published_in_all = recorder.list_rounds(LIST, NAME, "published messages")
    return [
        make_row(LIST, "p50", recorder.list_rounds(LIST, NAME, "p50 ms"), 3, is_floor=False, unit="ms"),
        make_row(LIST, "published messages", published_in_all, 0, max, is_floor=False, unit="", **NONE),
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
