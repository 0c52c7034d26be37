"""A hostile Telegram: malformed bodies, malformed HTTP and endless answers end in an outcome, in bounded memory."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import product, repeat
from typing import Any

from redis import Redis

from tests.conftest import wait_until
from tests.support.adversary import GOOD, MEBI, METHODS, PICTURE, Answer, Host, Say, Try, fails, run_task
from tests.support.servers import Pieces, reply
from tests.support.web_parts import new_file_id
from warmer.keys import Keys

# Bodies


ODD_BODIES = [
    b"",
    b"[" * 100_000,
    b'{"ok":true,"result":' + b'{"a":' * 50_000,
    b'{"ok":true,"result":{"file_path":' + b"9" * 10_000 + b"}}",
    b'{"ok":true,"result":{"file_path":1e999999,"photo":1e999999}}',
    b'{"ok":true,"result":{"file_path":"photos/\xff\xfe","photo":{"big_file_id":"\xff\xfe"}}}',
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'{"ok":true,"ok":false,"result":{}}',
    b'{"ok":false,"result":{"file_path":"photos/a.jpg"}}',
    b'{"ok":"true","result":{"file_path":"photos/a.jpg"}}',
    b'{"ok":true,"result":[{"file_path":"photos/a.jpg"}]}',
    b'{"ok":true,"result":NaN}',
    b"null",
    b"<html>",
]


def test_a_malformed_answer_is_retried(attempt: Try) -> None:
    rows = product(METHODS[:-1], ODD_BODIES)
    outcomes = [(method, body[:60], attempt(method, reply(body))) for method, body in rows]
    assert not [row for row in outcomes if not row[2].startswith("postponed")]


def test_a_success_body_with_another_status_is_a_failure(attempt: Try) -> None:
    statuses = (201, 204, 206, 304, 305, 401, 403, 404, 409, 418, 500, 503)
    good = {method: b"".join(list(GOOD[method])[1:]) for method in METHODS}
    rows = product(METHODS, statuses)
    assert not [row for row in rows if not fails(attempt(row[0], reply(good[row[0]], status=row[1])))]


ODD_HEADS = {
    "no status": [b"hello\r\n\r\n"],
    "an endless status": [b"HTTP/1.1 200 " + b"x" * 100_000],
    "an endless header": [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"],
    "too many headers": [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"],
    "a length in words": reply(PICTURE, "Content-Length: ten", has_length=False),
    "a negative length": reply(b"", "Content-Length: -1", has_length=False),
    "two lengths": reply(PICTURE, "Content-Length: 1", "Content-Length: 2", has_length=False),
    "a length of many digits": reply(PICTURE, f"Content-Length: {'9' * 5000}", has_length=False),
    "an endless chunk line": [*reply(b"", "Transfer-Encoding: chunked", has_length=False), b"1" * 200_000],
    "a negative chunk": [*reply(b"", "Transfer-Encoding: chunked", has_length=False), b"-5\r\nabc\r\n0\r\n\r\n"],
    "an odd encoding": reply(PICTURE, "Content-Encoding: br, gzip, zstd"),
    "a deflate that is none": reply(PICTURE, "Content-Encoding: deflate"),
}


def test_malformed_http_is_a_failure(attempt: Try) -> None:
    assert not [row for row in product(METHODS, ODD_HEADS) if not fails(attempt(row[0], ODD_HEADS[row[1]]))]


def has_outcome(redis: Redis, keys: Keys, file_id: str) -> bool:
    """Returns True if the worker stored a failure and no crash."""
    is_told = redis.exists(keys.failures(file_id), keys.unavailable(file_id), keys.backoff(file_id))
    return bool(is_told and not redis.exists(keys.lease(file_id), keys.crashes(file_id)))


def always(pieces: Pieces) -> Answer:
    return lambda _: pieces


def test_a_worker_stores_an_outcome_for_each_malformed_answer(
    telegram_host: Host, worker: Any, redis: Redis, keys: Keys
) -> None:
    from warmer.worker.tasks import warm  # reads the environment of the tests

    for pieces in (*ODD_HEADS.values(), *map(reply, ODD_BODIES)):
        telegram_host.answer = always(pieces)
        warm.apply_async((file_id := new_file_id(), "warm"), queue="warm")
        wait_until(partial(has_outcome, redis, keys, file_id), 120)


# Amounts


def measure_peak(run: Callable[[], object]) -> int:
    """Returns the most bytes that Python allocated during the call."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def endless(*headers: str, status: int = 200) -> Pieces:
    """An answer of 100 MiB without a length."""
    return (*reply(b"", *headers, status=status, has_length=False), *repeat(bytes(MEBI), 100))


def test_an_endless_body_is_not_read_to_its_end(attempt: Try, elsewhere: Host) -> None:
    wrong = []
    for method, status in product(METHODS, (200, 302, 404, 429, 502)):
        pieces = endless(f"Location: {elsewhere.url}", status=status)
        if (peak := measure_peak(partial(attempt, method, pieces))) >= 40 * MEBI:
            wrong.append((method, status, peak))
    assert wrong == []


def test_an_endless_answer_condemns_the_file_only_if_it_is_the_download(say: Say) -> None:
    for method, status in (("getFile", 200), ("download", 502), ("download", 302)):
        say(method, endless(status=status))
        assert run_task(method).startswith("postponed")
    say("download", endless())
    assert run_task("download").startswith("unavailable: too-big")


def test_the_client_requests_and_unpacks_no_compressed_answer(attempt: Try, telegram_host: Host) -> None:
    packed = reply(gzip.compress(bytes(100 * MEBI)), "Content-Encoding: gzip")
    peaks = {method: measure_peak(partial(attempt, method, packed)) for method in METHODS}
    assert not [(method, peak) for method, peak in peaks.items() if peak >= 10 * MEBI]
    assert len(telegram_host.heads) >= len(METHODS)
    assert [head for head in telegram_host.heads if "Accept-Encoding: identity" not in head] == []
