"""From requests to the queue: subjects, lanes, and an unreachable broker."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.redis_kinds import KIND
from tests.support.web_parts import MakeApp, as_user, file_url, new_file_id, new_id, queued, store_picture, user_url
from warmer.broker.queues import choose_publishing_options
from warmer.celery import app as celery
from warmer.keys import Subject
from warmer.settings import Settings
from web.signals import announce, partners_listed
from web.wiring import get_web_context


def list_some(app: Flask, client: FlaskClient, headers: dict[str, str], count: int = 6) -> list[str]:
    """List partners. Returns the subjects without a ready picture, newest first; each third picture is ready."""
    file_ids = [store_picture(app) if number % 3 == 0 else new_file_id() for number in range(count)]
    for file_id in file_ids:
        get_web_context(app).photos.people.register(new_id(), "Ann", file_id)
    assert client.get("/api/partner/recent", headers=headers).status_code == 200
    return [file_id for number, file_id in enumerate(file_ids) if number % 3][::-1]


@pytest.mark.usefixtures("redis", "telegram")
@pytest.mark.parametrize("warm_first", [0, 1, 4, 100])
def test_a_list_warms_its_first_pictures_that_are_not_ready(
    as_server: dict[str, str], warm_first: int, make_app: MakeApp
) -> None:
    app = make_app(warm_first=warm_first)
    cold = list_some(app, app.test_client(), as_server, 9)
    assert queued(app) == cold[:warm_first]


def test_repeated_lists_enqueue_each_picture_once(app: Flask, client: FlaskClient, as_server: dict[str, str]) -> None:
    cold = list_some(app, client, as_server)
    for _ in range(5):
        client.get("/api/partner/recent", headers=as_user(42))
    assert queued(app) == cold[:4]


def test_the_log_line_of_the_original_is_kept(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "web"):
        announce(partners_listed, app, subjects=[new_file_id() for _ in range(9)])
        announce(partners_listed, app, subjects=[])
    assert [line for line in caplog.messages if "🔥" in line] == ["🔥 Eagerly warming 4 priority photos..."]


def test_the_wanted_variant_is_stored_before_the_message_is_published(app: Flask, client: FlaskClient) -> None:
    web_context, file_id = get_web_context(app), store_picture(app)
    client.get(file_url(file_id), headers={"Accept": "image/jpeg"})
    assert web_context.redis.smembers(web_context.keys.wanted(file_id)) == {b"160.jpeg"}
    assert queued(app, "hot") == [file_id]


def test_a_stale_profile_is_served_and_enqueued_in_the_rewarm_lane(app: Flask, client: FlaskClient) -> None:
    web_context, file_id = get_web_context(app), store_picture(app)
    for user_id, looked_up_at in ((old := new_id(), 0), (new_id(), int(time.time()))):
        record = {"photo_file_id": file_id, "photo_unique_id": "u", "looked_up_at": looked_up_at}
        web_context.redis.set(web_context.keys.person(user_id), json.dumps(record))
        assert client.get(user_url(user_id)).status_code == 200
    assert queued(app, "rewarm") == [Subject.of_person(old)]


def test_a_ready_picture_is_not_enqueued(app: Flask, client: FlaskClient, as_server: dict[str, str]) -> None:
    ready = store_picture(app)
    client.post("/api/photos/warm", json={"photo_file_ids": [ready]}, headers=as_server)
    client.put("/api/partner/42", json={"name": "Ann", "photo_file_id": ready}, headers=as_server)
    client.get("/api/partner/recent", headers=as_server), client.get(file_url(ready))
    assert queued(app, "hot") == queued(app, "warm") == queued(app, "rewarm") == []


def test_celery_uses_the_broker_of_our_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", settings.redis_url)  # Celery reads it, too, and does not know unix://
    scheme = {"single": "redis+socket", "cluster": "redis+socket", "sentinel": "sentinel"}[KIND]
    for connection in (celery.connection_for_write(), celery.connection_for_read()):
        assert connection.as_uri().startswith(f"{scheme}://")


# The broker is away


@pytest.fixture(params=["refuses", "hangs"])
def broken(request: Any, monkeypatch: pytest.MonkeyPatch, app: Flask) -> Iterator[Flask]:
    """An app whose broker refuses connections or never answers, while Redis works."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        port = hole.getsockname()[1] if request.param == "hangs" else 1
        monkeypatch.setenv("CELERY_BROKER_WRITE_URL", f"redis://127.0.0.1:{port}")
        monkeypatch.setattr(celery, "_pool", None)
        monkeypatch.setattr(celery.amqp, "_producer_pool", None)
        # A broker that hangs shall not hold up the test for the minute that its app would wait.
        options = celery.conf.broker_transport_options | choose_publishing_options(get_web_context(app).settings, 0.5)
        celery.conf.update(broker_transport_options=options, broker_connection_timeout=0.5)
        yield app


def test_an_unreachable_broker_changes_no_answer_that_redis_can_give(broken: Flask, as_server: dict[str, str]) -> None:
    client = broken.test_client()
    cold = list_some(broken, client, as_server)
    assert client.get(file_url(store_picture(broken))).status_code == 200
    assert client.post("/api/partner/me", headers=as_user(42)).status_code == 201
    web_context = get_web_context(broken)
    # Unpublished subjects are scheduled: the tick publishes them when the broker is back.
    assert all(
        web_context.redis.zscore(web_context.keys.schedule, subject) for subject in [*cold[:4], Subject.of_person(42)]
    )
    assert not web_context.redis.exists(*(web_context.keys.enqueued(subject, "warm") for subject in cold))


def test_without_a_broker_a_miss_is_503_and_not_cached(broken: Flask) -> None:
    client = broken.test_client()
    for _ in range(2):
        answer = client.get(file_url(new_file_id()))
        assert (answer.status_code, answer.headers["Retry-After"], answer.headers["Cache-Control"]) == (
            503,
            "1",
            "no-store",
        )


def test_readiness_and_metrics_do_not_hang(broken: Flask, as_server: dict[str, str]) -> None:
    client = broken.test_client()
    assert client.get("/readyz").status_code == 200
    metrics = client.get("/metrics", headers=as_server).get_data(as_text=True)
    assert "avatar_queue_length" not in metrics
    assert "avatar_due" in metrics
