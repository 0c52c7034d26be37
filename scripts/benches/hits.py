"""Hits: stored pictures, requested on sixteen connections; a server on one core, wrk and Redis on the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from redis import Redis

from benches import load, paced, rivals
from benches.avatars import Avatar, store_avatars
from benches.clients import ACCEPT
from benches.extent import choose
from benches.results import Part, Recorder, Row, make_row
from benches.rivals import AFTER, CEILING, GRANIAN, NGINX, OURS, THUMBOR, Rival
from benches.service import measure_memory
from benches.testbed import Testbed, open_testbed
from runner.ports import free_loopback_port

CORE, OTHER_CORE = (0,), (1,)
WEEK = 604_800  # seconds
AVATARS = 24
ROUNDS = choose(5, 1)
SECONDS, WARM_UP = choose(3, 1), 1
HIT, NOT_MODIFIED = "hit", "304"
PACED = "hit, at half of this service's highest rate"  # with gunicorn; nginx shows what the client itself adds
RATE, FROM_REDIS = "requests/s", "bytes from Redis"
MOONSHOT = "hit, gunicorn: the moonshot"
BOOKKEEPING = 64  # bytes that Redis may send for a 304: a picture's header, a counter


@dataclass(frozen=True)
class Contestant:
    """A server and the requests of its rounds."""

    work: str
    rival: Rival
    requests: Path  # file of wrk's requests

    def load(self, seconds: int) -> load.Load:
        """One round."""
        return load.run(f"http://127.0.0.1:{self.rival.port}", self.requests, seconds, OTHER_CORE)

    def pace(self, rate: float) -> dict[str, float]:
        """One round at a constant rate."""
        measured = paced.run(self.rival.port, self.requests, rate, SECONDS, OTHER_CORE)
        return {"requests/s at a constant rate": measured.rate, "p50 ms": measured.p50, "p99 ms": measured.p99}


def run(say: Callable[[str], None]) -> Part:
    """Alternate the rounds of all contestants."""
    part = Part("hits")
    with open_testbed(TELEGRAM_API_URL="http://127.0.0.1:1") as testbed:  # all pictures are stored
        say("Starting the servers…")
        port = free_loopback_port()
        redis = testbed.start_redis(OTHER_CORE, port=port)
        avatars = store_avatars(redis, testbed.keys, AVATARS)
        found = {
            NGINX: rivals.start_nginx(testbed, CORE, avatars),
            CEILING: rivals.start_constant(testbed, CORE, sum(len(avatar.body) for avatar in avatars) // AVATARS),
            **{rival.name: rival for rival in rivals.start_ours(testbed, CORE)},
            AFTER: rivals.start_original(testbed, AFTER, cores=CORE),
            THUMBOR: rivals.start_thumbor(testbed, port, cores=CORE),
        }
        part.skipped += [f"{who}: not installed" for who, rival in found.items() if not rival]
        running = [rival for rival in found.values() if rival]
        _store(redis, running, avatars)
        recorder = _measure(_list_contestants(testbed, running, avatars), redis, say)
    part.measurements = recorder.list_measurements()
    part.rows = make_rows(recorder)
    return part


def _store(redis: Redis, running: Sequence[Rival], avatars: Sequence[Avatar]) -> None:
    """Store the pictures as the original and thumbor do."""
    for rival in running:
        for avatar in avatars if rival.name in (AFTER, THUMBOR) else ():
            name = f"photo:{avatar.file_id}" if rival.name == AFTER else f"result:{rival.path_of(avatar.file_id)}"
            redis.setex(name, WEEK, avatar.body)


def _list_contestants(testbed: Testbed, running: Sequence[Rival], avatars: Sequence[Avatar]) -> list[Contestant]:
    """Requests for each server, and with ETags for this service; each is checked once."""
    contestants = []
    for number, rival in enumerate(running):
        _check(rival, avatars)
        for work in (HIT, NOT_MODIFIED) if rival.name in (OURS, GRANIAN) else (HIT,):
            asked = [(rival.path_of(one.file_id), one.etag if work == NOT_MODIFIED else "") for one in avatars]
            file = load.write_requests(testbed.folder / f"{work}-{number}", asked)
            contestants.append(Contestant(work, rival, file))
    return contestants


def _check(rival: Rival, avatars: Sequence[Avatar]) -> None:
    """Raises BrokenRound unless the server sends the expected bytes."""
    with requests.Session() as session:
        session.headers.update(ACCEPT)
        for avatar in avatars:
            url = f"http://127.0.0.1:{rival.port}{rival.path_of(avatar.file_id)}"
            answer = session.get(url, timeout=5)
            if answer.status_code != 200 or (answer.content != avatar.body and rival.name != CEILING):
                raise load.BrokenRound(f"{rival.name}: {answer.status_code} and other bytes for {url}")
            if rival.name in (OURS, GRANIAN):
                answer = session.get(url, headers={"If-None-Match": avatar.etag}, timeout=5)
                if answer.status_code != 304:
                    raise load.BrokenRound(f"{rival.name}: {answer.status_code} instead of 304 for {url}")


def _measure(contestants: Sequence[Contestant], redis: Redis, say: Callable[[str], None]) -> Recorder:
    recorder = Recorder()
    own_bytes = -_count_sent(redis) + _count_sent(redis)  # of one call of _count_sent
    for one in contestants:
        one.load(WARM_UP)
    for number in range(ROUNDS):
        say(f"Round {number + 1} of {ROUNDS}…")
        for one in contestants:
            sent = _count_sent(redis)
            measured = one.load(SECONDS)
            figures = {RATE: measured.rate, "p50 ms": measured.p50, "p99 ms": measured.p99}
            figures["bytes each"] = measured.bytes_each
            if one.work == HIT:
                figures["RSS MB"] = measure_memory([one.rival.process])
            if one.rival.name in (OURS, GRANIAN):
                figures[FROM_REDIS] = (_count_sent(redis) - sent - own_bytes) / measured.requests
            recorder.note(one.work, one.rival.name, figures)
        half = recorder.list_rounds(HIT, OURS, RATE)[-1] / 2
        for one in contestants:
            if one.work == HIT and one.rival.name in (OURS, NGINX):
                recorder.note(PACED, one.rival.name, one.pace(half))
    return recorder


def _count_sent(redis: Redis) -> int:
    """All bytes that Redis has sent since it started."""
    stats: Any = redis.info("stats")  # its type includes awaitables
    return int(stats["total_net_output_bytes"])


# The row's name, the work and contestant, the peer, and the least ratio of their rates.
TARGETS = (
    ("hit, gunicorn", (HIT, OURS), CEILING, 5.0),
    ("hit, gunicorn", (HIT, OURS), AFTER, 6.0),
    ("hit, gunicorn", (HIT, OURS), THUMBOR, 15.0),
    ("hit, gunicorn", (HIT, OURS), NGINX, 0.35),
    (MOONSHOT, (HIT, OURS), NGINX, 0.5),
    ("hit, granian", (HIT, GRANIAN), NGINX, 0.35),
    ("hit, granian", (HIT, GRANIAN), AFTER, 5.0),
    ("304, gunicorn", (NOT_MODIFIED, OURS), OURS, 1.0),
)


def make_rows(recorder: Recorder) -> list[Row]:
    """The targets of these rounds; a missing peer has no target."""
    rows = []
    for name, ours, peer, target in TARGETS:
        if recorder.has(HIT, peer):
            against = "its own hit" if peer == ours[1] else peer
            ratios = recorder.list_ratios(RATE, ours, (HIT, peer))
            rows.append(make_row(name, against, ratios, target, is_moonshot=name == MOONSHOT))
    photo_bytes = [max(0.0, sent - BOOKKEEPING) for sent in recorder.list_rounds(NOT_MODIFIED, OURS, FROM_REDIS)]
    none: dict[str, Any] = {"is_floor": False, "unit": "B", "limit": 0.0, "limit_reason": "a 304 has no bytes"}
    rows.append(make_row("304, gunicorn", "photo bytes from Redis", photo_bytes, 0.0, max, **none))
    return [*rows, _make_paced_row(recorder)]


def _make_paced_row(recorder: Recorder) -> Row:
    note = ""
    if recorder.has(PACED, NGINX):
        note = f"{NGINX}, at the same rate: {recorder.median(PACED, NGINX, 'p99 ms'):.2f} ms"
    waits = recorder.list_rounds(PACED, OURS, "p99 ms")
    return make_row("hit, gunicorn, at half of its rate", "p99", waits, 2.0, is_floor=False, unit="ms", note=note)
