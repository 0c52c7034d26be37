"""Hits: stored pictures, requested on sixteen connections; a server on one core, wrk and Redis on the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from redis import Redis

from benches import load, rivals
from benches.avatars import Avatar, store_avatars
from benches.clients import ACCEPT
from benches.results import Measurement, Part, Recorder, Row
from benches.rivals import AFTER, CEILING, GRANIAN, NGINX, OURS, THUMBOR, Rival
from benches.service import measure_memory
from benches.testbed import Testbed, open_testbed
from runner.ports import free_loopback_port

CORE, OTHER_CORE = (0,), (1,)
WEEK = 604_800  # seconds
AVATARS = 24
ROUNDS = 3
SECONDS, WARM_UP = 3, 1
HIT, NOT_MODIFIED = "hit", "304"
RATE, FROM_REDIS = "requests/s", "bytes from Redis"
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
        for rival in running:
            recorder.note(HIT, rival.name, {"RSS MB": measure_memory([rival.process])})
    part.measurements = recorder.list_measurements()
    part.rows = make_rows(part.measurements)
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
            if one.rival.name in (OURS, GRANIAN):
                figures[FROM_REDIS] = (_count_sent(redis) - sent - own_bytes) / measured.requests
            recorder.note(one.work, one.rival.name, figures)
    return recorder


def _count_sent(redis: Redis) -> int:
    """All bytes that Redis has sent since it started."""
    stats: Any = redis.info("stats")  # its type includes awaitables
    return int(stats["total_net_output_bytes"])


def make_rows(measurements: Sequence[Measurement]) -> list[Row]:
    """The targets of these measurements; a missing peer has no target."""
    value = {(m.work, m.who, m.figure): m.value for m in measurements}

    def ratio(work: str, who: str, peer: str) -> float:
        return value[work, who, RATE] / value[HIT, peer, RATE]

    targets = [
        ("hit, gunicorn", HIT, OURS, CEILING, 0.75),
        ("hit, gunicorn", HIT, OURS, AFTER, 1.3),
        ("hit, gunicorn", HIT, OURS, THUMBOR, 4.0),
        ("hit, granian", HIT, GRANIAN, NGINX, 0.35),
        ("hit, granian", HIT, GRANIAN, AFTER, 5.0),
        ("304, gunicorn", NOT_MODIFIED, OURS, OURS, 1.0),
    ]
    notes = {
        (OURS, peer): f"gunicorn's own ceiling is {ratio(HIT, CEILING, peer):.2f} ×"
        for peer in (AFTER, THUMBOR)
        if (HIT, peer, RATE) in value
    }
    notes[GRANIAN, NGINX] = "most of a hit is granian itself"
    notes[OURS, OURS] = "one more header to parse, 6 kB less to send"
    rows = []
    for name, work, who, peer, target in targets:
        if (HIT, peer, RATE) in value:
            against = "its own hit" if peer == who else peer
            rows.append(Row(name, against, ratio(work, who, peer), target, note=notes.get((who, peer), "")))
    photo_bytes = max(0.0, value[NOT_MODIFIED, OURS, FROM_REDIS] - BOOKKEEPING)
    return [*rows, Row("304, gunicorn", "photo bytes from Redis", photo_bytes, 0.0, is_floor=False, unit="B")]
