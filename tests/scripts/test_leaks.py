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

import pytest
from redis import Redis

from tests.conftest import wait_until
from tests.support.adversary import Host
from tests.support.leaks import Places, find_leaks, read_command_lines, read_files, read_redis
from tests.support.servers import reply
from tests.support.wiretap import Notebook, run_and_note, tapping

SECRET = "123456789:PLANTED/key+here?~_-ü"
SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "in a URL": lambda secret: f"http://127.0.0.1/bot{secret}/getMe",
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "in small letters": lambda secret: quote(secret, safe="").replace("%3A", "%3a").replace("%2F", "%2f").lower(),
    "twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "hex": lambda secret: secret.encode().hex(),
    "HEX": lambda secret: secret.encode().hex().upper(),
    "JSON": lambda secret: json.dumps({"url": secret}),
    "a repr": lambda secret: repr([secret]),
}
KINDS: dict[str, Callable[[Redis, str], object]] = {
    "a key": lambda redis, secret: redis.set(f"x:{secret}:y", 1),
    "a string": lambda redis, secret: redis.set("k", secret),
    "a list": lambda redis, secret: redis.rpush("k", "x", secret),
    "a set": lambda redis, secret: redis.sadd("k", secret),
    "a sorted set": lambda redis, secret: redis.zadd("k", {secret: 1}),
    "a field": lambda redis, secret: redis.hset("k", secret, "1"),
    "a value": lambda redis, secret: redis.hset("k", "field", secret),
    "a stream": lambda redis, secret: redis.xadd("k", {"field": secret}),
}


def finds(places: Places, secret: str = SECRET) -> list[str]:
    return sorted({leak.partition(":")[0] for leak in find_leaks(places, {"KEY": secret})})


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_each_encoding_of_a_secret_is_found(spelling: str) -> None:
    secret = SECRET.lower() if spelling == "in small letters" else SECRET
    text = f"before {SPELLINGS[spelling](secret)} after"
    assert finds({"here": text.encode(), "there": b"nothing"}, secret) == ["here"]


def test_base64_is_found_at_every_offset() -> None:
    places = {
        f"{encode.__name__} {before} {after}": encode(b"\xff" * before + SECRET.encode() + b"\xff" * after)
        for encode, before, after in product((b64encode, urlsafe_b64encode), range(6), range(3))
    }
    assert len(places) == 36
    assert finds(places) == sorted(places)


def test_a_leak_is_reported_without_the_secret() -> None:
    (leak,) = find_leaks({"here": b"it is s3cr3t!"}, {"KEY": "s3cr3t!"})[:1]
    assert leak == "here: KEY, raw"


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_in_redis_is_found(redis: Redis, kind: str) -> None:
    redis.set("innocent", 1)
    KINDS[kind](redis, SECRET)
    assert len(finds(read_redis(redis))) == 1


def test_a_secret_that_only_passes_through_redis_is_found(redis: Redis, redis_url: str) -> None:
    with tapping(redis_url.removeprefix("unix://")) as taps:
        wait_until(lambda: redis.publish("channel", quote(SECRET, safe="")) and taps["MONITOR"].heard)
        redis.set("k", SECRET.encode().hex(), px=1)
        wait_until(lambda: len(finds({name: bytes(tap.heard) for name, tap in taps.items()})) == 2)


def test_a_disconnected_wiretap_reconnects(redis: Redis, redis_url: str) -> None:
    with tapping(redis_url.removeprefix("unix://")) as taps:
        for _ in range(2):
            taps["MONITOR"].heard.clear()
            wait_until(lambda: redis.set("k", SECRET.encode().hex()) and finds({"tap": bytes(taps["MONITOR"].heard)}))
            for client in redis.client_list():
                if client["name"] == "wiretap":
                    redis.client_kill_filter(_id=client["id"])


def test_a_secret_in_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").write_bytes(b"\xff" * 9 + SECRET.encode())
    (tmp_path / "web.log").write_text("nothing")
    assert finds(read_files(tmp_path)) == ["logs/web.log"]


@pytest.mark.parametrize("part", ["header", "body"])
def test_a_secret_in_an_answer_is_found(part: str) -> None:
    with Host() as host:
        spelled = quote(SECRET, safe="")
        host.answer = lambda _: reply(spelled.encode()) if part == "body" else reply(b"", f"X-Url: {spelled}")
        notes = Notebook(host.url)
        notes.call("GET", "/one")
        notes.send_raw(b"GET /two HTTP/1.1\r\n\r\n")
        assert len(finds(notes.places)) == 2


def test_a_secret_in_a_command_line_is_found() -> None:
    waits = [sys.executable, "-c", "input()", SECRET]
    with subprocess.Popen(waits, stdin=subprocess.PIPE) as process:
        wait_until(lambda: f"process {process.pid}" in finds(read_command_lines()))
        process.communicate(b"\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_secret_that_a_program_prints_is_found(stream: str) -> None:
    places: Places = {}
    run_and_note(places, "it", [sys.executable, "-c", f"import sys; sys.{stream}.write('x' + sys.argv[1])", SECRET], {})
    assert finds(places) == ["it"]
