"""Hits: stored pictures, asked for on sixteen connections; a server on one core, wrk and Redis on the other."""

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
from benches.book import Book
from benches.rivals import AFTER, THUMBOR
from benches.rows import Measurement, Part, Row
from benches.servers import Server
from benches.stage import Stage, stage
from runner.ports import free_loopback_port
from warmer.keys import Keys

OTHER_CORE = (1,)
AVATARS = 24
ROUNDS = 3
SECONDS, WARM_UP = 3, 1
HIT, NOT_MODIFIED = "hit", "304"
RATE, FROM_REDIS = "requests/s", "bytes from Redis"
BOOKKEEPING = 64  # bytes of Redis' answers that one 304 may take: a picture's header, a counter
OURS, GRANIAN = "this service, gunicorn", "this service, granian"
CEILING, NGINX = "gunicorn, constant answer", "nginx, static files"


@dataclass(frozen=True)
class Contestant:
    """Who does what in a round."""

    work: str
    server: Server
    requests: Path  # what wrk asks for


def run(say: Callable[[str], None]) -> Part:
    """Alternating rounds of all contestants."""
    part = Part("hits")
    with TemporaryDirectory(prefix="bench-") as folder, stage(Path(folder) / "stage") as it:
        say("Starting the servers…")
        port = free_loopback_port()
        redis = it.start_redis(OTHER_CORE, port=port)
        avatars = store_avatars(redis, Keys(it.environment["TELEGRAM_BOT_TOKEN"].partition(":")[0]), AVATARS)
        found = {
            NGINX: servers.start_nginx(it, avatars),
            CEILING: servers.start_constant(it, avatars),
            **{server.who: server for server in servers.start_ours(it, avatars)},
            AFTER: servers.start_original(it, redis, avatars),
            THUMBOR: servers.start_thumbor(it, redis, port, avatars),
        }
        part.skipped += [f"{who}: is not installed here" for who, server in found.items() if not server]
        contestants = _line_up(it, [server for server in found.values() if server], avatars)
        book = _play(contestants, redis, say)
        for server in filter(None, found.values()):
            book.note(HIT, server.who, {"RSS MB": server.count_memory()})
    part.measurements = book.list_measurements()
    part.rows = make_rows(part.measurements)
    return part


def _line_up(it: Stage, found: Sequence[Server], avatars: Sequence[Avatar]) -> list[Contestant]:
    """A list of requests for each server, and the same with ETags for this service; all are tried once."""
    contestants = []
    for number, server in enumerate(found):
        _check(server, avatars)
        asked = load.write_requests(it.folder / f"hits-{number}", [(path, "") for path in server.paths])
        contestants.append(Contestant(HIT, server, asked))
        if server.who in (OURS, GRANIAN):
            known = zip(server.paths, [avatar.etag for avatar in avatars], strict=True)
            asked = load.write_requests(it.folder / f"304s-{number}", known)
            contestants.append(Contestant(NOT_MODIFIED, server, asked))
    return contestants


def _check(server: Server, avatars: Sequence[Avatar]) -> None:
    """Raises BrokenRound unless the server answers what it is meant to."""
    with requests.Session() as session:
        for path, avatar in zip(server.paths, avatars, strict=True):
            answer = session.get(server.url + path, timeout=5)
            if answer.status_code != 200 or (answer.content != avatar.body and server.who != CEILING):
                raise load.BrokenRound(f"{server.who}: {answer.status_code} and other bytes for {path}")
            if server.who in (OURS, GRANIAN):
                answer = session.get(server.url + path, headers={"If-None-Match": avatar.etag}, timeout=5)
                if answer.status_code != 304:
                    raise load.BrokenRound(f"{server.who}: {answer.status_code} instead of 304 for {path}")


def _play(contestants: Sequence[Contestant], redis: Redis, say: Callable[[str], None]) -> Book:
    book = Book()
    asking = -_count_sent(redis) + _count_sent(redis)  # bytes that the count itself takes
    for one in contestants:
        load.run(one.server.url, one.requests, WARM_UP, OTHER_CORE)
    for number in range(ROUNDS):
        say(f"Round {number + 1} of {ROUNDS}…")
        for one in contestants:
            sent = _count_sent(redis)
            told = load.run(one.server.url, one.requests, SECONDS, OTHER_CORE)
            figures = {RATE: told.rate, "p50 ms": told.p50, "p99 ms": told.p99, "bytes each": told.bytes_each}
            if one.server.who in (OURS, GRANIAN):
                figures[FROM_REDIS] = (_count_sent(redis) - sent - asking) / told.requests
            book.note(one.work, one.server.who, figures)
    return book


def _count_sent(redis: Redis) -> int:
    """All bytes that Redis has sent since it started."""
    stats: Any = redis.info("stats")  # the client's type knows awaitables as well
    return int(stats["total_net_output_bytes"])


def make_rows(measurements: Sequence[Measurement]) -> list[Row]:
    """The targets that these measurements decide; a missing peer has none."""
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
    notes[GRANIAN, NGINX] = "granian itself takes most of a hit"
    notes[OURS, OURS] = "one header more to parse, 6 kB less to send"
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
