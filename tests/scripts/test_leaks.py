"""The leak finder finds planted secrets in every encoding and every kind of place."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from itertools import product
from pathlib import Path
from urllib.parse import quote

from redis import Redis

from tests.conftest import wait_until
from tests.support.adversary import Host
from tests.support.leaks import Places, find_leaks, read_command_lines, read_files, read_redis
from tests.support.servers import reply
from tests.support.wiretap import Notebook, run_and_note, tapping

SECRET = "123456789:PLANTED/key+here?~_-ü"
QUOTED, HEX = quote(SECRET, safe=""), SECRET.encode().hex()
KINDS: dict[str, Callable[[Redis], object]] = {
    "a key": lambda redis: redis.set(f"x:{SECRET}:y", 1),
    "a string": lambda redis: redis.set("k", SECRET),
    "a list": lambda redis: redis.rpush("k", "x", SECRET),
    "a set": lambda redis: redis.sadd("k", SECRET),
    "a sorted set": lambda redis: redis.zadd("k", {SECRET: 1}),
    "a field": lambda redis: redis.hset("k", SECRET, "1"),
    "a value": lambda redis: redis.hset("k", "field", SECRET),
    "a stream": lambda redis: redis.xadd("k", {"field": SECRET}),
}


def finds(places: Places, secret: str = SECRET) -> list[str]:
    return sorted({leak.partition(":")[0] for leak in find_leaks(places, {"KEY": secret})})


def test_a_secret_is_found_in_every_encoding_and_at_every_offset() -> None:
    spelled = [SECRET, f"http://127.0.0.1/bot{SECRET}/getMe", QUOTED, quote(QUOTED, safe=""), HEX, HEX.upper()]
    spelled += [json.dumps({"url": SECRET}), repr([SECRET])]
    places = {str(number): f"before {text} after".encode() for number, text in enumerate(spelled)}
    for encode, before, after in product((b64encode, urlsafe_b64encode), range(6), range(3)):
        places[f"{encode.__name__} {before} {after}"] = encode(b"\xff" * before + SECRET.encode() + b"\xff" * after)
    assert len(places) == len(spelled) + 36
    assert finds(places | {"elsewhere": b"nothing"}) == sorted(places)
    small = QUOTED.replace("%3A", "%3a").replace("%2F", "%2f").lower()
    assert finds({"in small letters": small.encode()}, SECRET.lower()) == ["in small letters"]


def test_a_leak_is_reported_without_the_secret() -> None:
    (leak,) = find_leaks({"here": b"it is s3cr3t!"}, {"KEY": "s3cr3t!"})[:1]
    assert leak == "here: KEY, raw"


def test_a_secret_in_redis_is_found_in_every_kind_of_key(redis: Redis) -> None:
    missed = []
    for kind, plant in KINDS.items():
        redis.flushall()
        redis.set("innocent", 1)
        plant(redis)
        missed += [kind] * (len(finds(read_redis(redis))) != 1)
    assert missed == []


def test_a_secret_that_only_passes_through_redis_is_found_also_after_a_lost_connection(
    redis: Redis, redis_url: str
) -> None:
    with tapping(redis_url.removeprefix("unix://")) as taps:
        for _ in range(2):
            for tap in taps.values():
                tap.heard.clear()
            wait_until(lambda: redis.publish("channel", QUOTED) and finds({"tap": bytes(taps["PSUBSCRIBE"].heard)}))
            wait_until(lambda: redis.set("k", HEX, px=1) and finds({"tap": bytes(taps["MONITOR"].heard)}))
            for client in redis.client_list():
                if client["name"] == "wiretap":
                    redis.client_kill_filter(_id=client["id"])


def test_a_secret_in_a_file_an_answer_a_command_line_or_an_output_is_found(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").write_bytes(b"\xff" * 9 + SECRET.encode())
    (tmp_path / "web.log").write_text("nothing")
    assert finds(read_files(tmp_path)) == ["logs/web.log"]
    for answer in (reply(QUOTED.encode()), reply(b"", f"X-Url: {QUOTED}")):
        with Host() as host:
            host.answer = lambda _, answer=answer: answer  # type: ignore[misc]  # bound now
            notes = Notebook(host.url)
            notes.call("GET", "/one")
            notes.send_raw(b"GET /two HTTP/1.1\r\n\r\n")
            assert len(finds(notes.places)) == 2
    with subprocess.Popen([sys.executable, "-c", "input()", SECRET], stdin=subprocess.PIPE) as process:
        wait_until(lambda: f"process {process.pid}" in finds(read_command_lines()))
        process.communicate(b"\n")
    printed: Places = {}
    for stream in ("stdout", "stderr"):
        code = f"import sys; sys.{stream}.write('x' + sys.argv[1])"
        run_and_note(printed, stream, [sys.executable, "-c", code, SECRET], {})
    assert finds(printed) == ["stderr", "stdout"]
