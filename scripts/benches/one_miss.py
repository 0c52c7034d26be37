"""One client requests one cold picture after another: how much longer does it wait than Telegram itself takes?"""

from __future__ import annotations

import time
from collections.abc import Callable

import requests

from benches.clients import Client
from benches.results import Recorder, Row, percentile
from benches.service import NAME, Service
from benches.upstream import Upstream

WORK = "miss, one client"
UPSTREAM = "Telegram's two calls"
MISSES = 100
WARM_UP = 5
ALLOWED = ((50, 15), (99, 40))  # percentile, milliseconds on top of Telegram's median


def measure_misses(service: Service, upstream: Upstream, recorder: Recorder, say: Callable[[str], None]) -> list[Row]:
    """Request from Telegram and from the service in turn, another picture each time."""
    say(f"cold: {MISSES} misses of one client")
    client, session = Client(service.port), requests.Session()
    token = service.testbed.environment["TELEGRAM_BOT_TOKEN"]
    ours, theirs = [], []
    for file_id, other in zip(upstream.take(WARM_UP + MISSES), upstream.take(WARM_UP + MISSES), strict=True):
        theirs.append(_time_upstream(session, upstream.url, token, other) * 1000)
        ours.append(client.time(service.testbed.path_of(file_id)) * 1000)
    client.close()
    session.close()
    waits = {NAME: ours[WARM_UP:], UPSTREAM: theirs[WARM_UP:]}
    for who, milliseconds in waits.items():
        recorder.note(WORK, who, {f"p{percent} ms": percentile(milliseconds, percent) for percent, _ in ALLOWED})
    base = recorder.median(WORK, UPSTREAM, "p50 ms")
    rows = []
    for percent, more in ALLOWED:
        measured = recorder.median(WORK, NAME, f"p{percent} ms")
        against = f"{UPSTREAM} + {more} ms, p{percent}"
        rows.append(Row(WORK, against, measured, base + more, is_floor=False, unit="ms"))
    return rows


def _time_upstream(session: requests.Session, url: str, token: str, file_id: str) -> float:
    """The seconds of getFile and download on a keep-alive connection."""
    started = time.perf_counter()
    answer = session.get(f"{url}/bot{token}/getFile", params={"file_id": file_id}, timeout=10).json()
    session.get(f"{url}/file/bot{token}/{answer['result']['file_path']}", timeout=10).raise_for_status()
    return time.perf_counter() - started
