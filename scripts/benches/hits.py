"""Hits: stored pictures, requested on sixteen connections; a server on one core, wrk and Redis on the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from redis import Redis

from benches import load, servers
from benches.avatars import Avatar, store_avatars
from benches.clients import ACCEPT
from benches.results import Measurement, Part, Recorder, Row
from benches.rivals import AFTER, THUMBOR
from benches.servers import Server
from benches.service import measure_memory
from benches.testbed import Testbed, open_testbed
from runner.ports import free_loopback_port

OTHER_CORE = (1,)
AVATARS = 24
ROUNDS = 3
SECONDS, WARM_UP = 3, 1
HIT, NOT_MODIFIED = "hit", "304"
RATE, FROM_REDIS = "requests/s", "bytes from Redis"
BOOKKEEPING = 64  # bytes that Redis may send for a 304: a picture's header, a counter
OURS, GRANIAN = "this service, gunicorn", "this service, granian"
CEILING, NGINX = "gunicorn, constant answer", "nginx, static files"


@dataclass(frozen=True)
class Contestant:
    """A server and the requests of its rounds."""

    work: str
    server: Server
    requests: Path  # file of wrk's requests


def run(say: Callable[[str], None]) -> Part:
    """Alternate the rounds of all contestants."""
    part = Part("hits")
    with TemporaryDirectory(prefix="bench-") as folder, open_testbed(Path(folder) / "testbed") as testbed:
        say("Starting the servers…")
        port = free_loopback_port()
        redis = testbed.start_redis(OTHER_CORE, port=port)
        avatars = store_avatars(redis, testbed.keys, AVATARS)
        found = {
            NGINX: servers.start_nginx(testbed, avatars),
            CEILING: servers.start_constant(testbed, avatars),
            **{server.who: server for server in servers.start_ours(testbed, avatars)},
            AFTER: servers.start_original(testbed, redis, avatars),
            THUMBOR: servers.start_thumbor(testbed, redis, port, avatars),
        }
        part.skipped += [f"{who}: not installed" for who, server in found.items() if not server]
        contestants = _list_contestants(testbed, [server for server in found.values() if server], avatars)
        recorder = _measure(contestants, redis, say)
        for server in filter(None, found.values()):
            recorder.note(HIT, server.who, {"RSS MB": measure_memory([server.process])})
    part.measurements = recorder.list_measurements()
    part.rows = make_rows(part.measurements)
    return part


def _list_contestants(testbed: Testbed, found: Sequence[Server], avatars: Sequence[Avatar]) -> list[Contestant]:
    """Requests for each server, and with ETags for this service; each is checked once."""
    contestants = []
    for number, server in enumerate(found):
        _check(server, avatars)
        asked = load.write_requests(testbed.folder / f"hits-{number}", [(path, "") for path in server.paths])
        contestants.append(Contestant(HIT, server, asked))
        if server.who in (OURS, GRANIAN):
            known = zip(server.paths, [avatar.etag for avatar in avatars], strict=True)
            asked = load.write_requests(testbed.folder / f"304s-{number}", known)
            contestants.append(Contestant(NOT_MODIFIED, server, asked))
    return contestants


def _check(server: Server, avatars: Sequence[Avatar]) -> None:
    """Raises BrokenRound unless the server sends the expected bytes."""
    with requests.Session() as session:
        session.headers.update(ACCEPT)
        for path, avatar in zip(server.paths, avatars, strict=True):
            answer = session.get(server.url + path, timeout=5)
            if answer.status_code != 200 or (answer.content != avatar.body and server.who != CEILING):
                raise load.BrokenRound(f"{server.who}: {answer.status_code} and other bytes for {path}")
            if server.who in (OURS, GRANIAN):
                answer = session.get(server.url + path, headers={"If-None-Match": avatar.etag}, timeout=5)
                if answer.status_code != 304:
                    raise load.BrokenRound(f"{server.who}: {answer.status_code} instead of 304 for {path}")


def _measure(contestants: Sequence[Contestant], redis: Redis, say: Callable[[str], None]) -> Recorder:
    recorder = Recorder()
    own_bytes = -_count_sent(redis) + _count_sent(redis)  # of one call of _count_sent
    for one in contestants:
        load.run(one.server.url, one.requests, WARM_UP, OTHER_CORE)
    for number in range(ROUNDS):
        say(f"Round {number + 1} of {ROUNDS}…")
        for one in contestants:
            sent = _count_sent(redis)
            measured = load.run(one.server.url, one.requests, SECONDS, OTHER_CORE)
            figures = {
                RATE: measured.rate,
                "p50 ms": measured.p50,
                "p99 ms": measured.p99,
                "bytes each": measured.bytes_each,
            }
            if one.server.who in (OURS, GRANIAN):
                figures[FROM_REDIS] = (_count_sent(redis) - sent - own_bytes) / measured.requests
            recorder.note(one.work, one.server.who, figures)
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
    rows = [
        Row(
            name,
            "its own hit" if peer == who else peer,
            ratio(work, who, peer),
            target,
            note=notes.get((who, peer), ""),
        )
        for name, work, who, peer, target in targets
        if (HIT, peer, RATE) in value
    ]
    photo_bytes = max(0.0, value[NOT_MODIFIED, OURS, FROM_REDIS] - BOOKKEEPING)
    return [*rows, Row("304, gunicorn", "photo bytes from Redis", photo_bytes, 0.0, is_floor=False, unit="B")]
