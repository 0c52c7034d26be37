"""The example Flask backend takes events: it verifies them, updates its table and purges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from runner.ports import free_loopback_port
from tests.support.flask_backend import run_backend
from tests.support.receiver import SECRET, Receiver
from tests.support.running import REQUEST_SECONDS
from tests.support.servers import reply

CHANGED = {"id": 42, "photo_version": "a", "photo_url": "/new", "photo_srcset": "/new 160w", "cache_tags": ["t1", "t2"]}


@pytest.fixture
def cache() -> Iterator[Receiver]:
    """The cache in front, as far as it takes purges."""
    with Receiver() as cache:
        cache.answer = lambda _: reply(b"{}", status=200)
        yield cache


@pytest.fixture
def backend(tmp_path: Path, cache: Receiver) -> Iterator[str]:
    away = f"http://127.0.0.1:{free_loopback_port()}"
    more = {"AVATAR_WEBHOOK_SECRET": SECRET, "PURGE_URL": cache.hook, "PURGE_KEY": "a-key"}
    with run_backend(tmp_path, away, "any", {42: "Ann Lee"}, **more) as url:
        yield url


def send(backend: str, event: dict[str, Any], secret: str = SECRET) -> int:
    body, now = json.dumps(event), datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body),
    }
    answer = requests.post(f"{backend}hooks/avatars", data=body, headers=headers, timeout=REQUEST_SECONDS)
    return answer.status_code


def read_page(backend: str) -> str:
    return requests.get(backend, timeout=REQUEST_SECONDS).text


def test_an_event_updates_the_row_and_purges_the_cache(backend: str, cache: Receiver) -> None:
    event = {"type": "photo.changed", "timestamp": "2026-11-29T20:26:10.000002Z", "data": CHANGED}
    assert send(backend, event) == 204
    assert "/new" in read_page(backend)
    assert [got.event for got in cache.got] == [{"tags": ["t1", "t2"]}]
    assert cache.got[0].headers["authorization"] == "Bearer a-key"
    gone = {"type": "photo.gone", "timestamp": "2026-11-29T20:26:11.000002Z", "data": {"id": 42, "cache_tags": ["t1"]}}
    assert send(backend, gone) == 204
    assert "/new" not in read_page(backend)
    assert send(backend, event) == 204  # again, after a later one
    assert "/new" not in read_page(backend)


def test_a_person_who_is_no_user_is_purged_all_the_same(backend: str, cache: Receiver) -> None:
    event = {"type": "photo.gone", "timestamp": "2026-11-29T20:26:10.000002Z", "data": CHANGED | {"id": 43}}
    assert send(backend, event) == 204
    assert len(cache.got) == 1


def test_a_wrong_signature_is_refused(backend: str, cache: Receiver) -> None:
    event = {"type": "photo.changed", "timestamp": "2026-11-29T20:26:10.000002Z", "data": CHANGED}
    assert send(backend, event, SECRET[:-8] + "AAAAAAA=") == 401
    answer = requests.post(
        f"{backend}hooks/avatars", json=event, headers={"webhook-signature": "nonsense"}, timeout=REQUEST_SECONDS
    )
    assert answer.status_code == 401
    assert "/new" not in read_page(backend)
    assert cache.got == []


def test_a_purge_that_fails_is_answered_so_that_the_event_comes_again(backend: str, cache: Receiver) -> None:
    cache.answer = lambda _: reply(status=503)
    event = {"type": "photo.changed", "timestamp": "2026-11-29T20:26:10.000002Z", "data": CHANGED}
    assert send(backend, event) == 500
    cache.answer = lambda _: reply(b"{}", status=200)
    assert send(backend, event) == 204


def test_a_folder_of_nginx_that_does_not_exist_is_no_empty_cache(tmp_path: Path) -> None:
    settings = {"AVATAR_WEBHOOK_SECRET": SECRET, "PURGE_FOLDER": str(tmp_path / "cache")}
    event = {"type": "photo.changed", "timestamp": "2026-11-29T20:26:10.000002Z", "data": CHANGED}
    with run_backend(tmp_path, "http://127.0.0.1:9", "any", {}, **settings) as url:
        assert send(url, event) == 500
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "answer").write_bytes(b"KEY: /user/42\nHTTP/1.1 200 OK\r\nCache-Tag: t0,t2\r\n\r\n")
        (tmp_path / "cache" / "other").write_bytes(b"KEY: /user/43\nHTTP/1.1 200 OK\r\nCache-Tag: t3\r\n\r\nt1")
        assert send(url, event) == 204
        assert [file.name for file in (tmp_path / "cache").iterdir()] == ["other"]
