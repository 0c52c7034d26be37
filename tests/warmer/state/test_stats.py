"""Minute buckets: hits, misses, absent pictures and errors, for rates over hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from tests.conftest import wait_until
from tests.support.redis_nodes import RedisServer
from tests.support.web_parts import file_url, new_file_id, new_id, store_picture, store_unavailable, user_url
from warmer.errors import InvalidFileId
from warmer.keys import Keys, Subject
from warmer.state.stats import MinuteStats, count_latencies, list_minutes, sum_minutes
from web.signals import photo_missed
from web.wiring import get_web_context


@pytest.fixture
def app(redis: object, telegram: object, make_app: Callable[..., Flask]) -> Flask:
    """The web tier without waiting."""
    return make_app(photo_wait=0)


def count(app: Flask) -> Counter[str]:
    """Returns the counts without the latency buckets."""
    return Counter({field: number for field, number in count_all(app).items() if "_ms:" not in field})


def count_all(app: Flask) -> Counter[str]:
    web_context = get_web_context(app)
    web_context.observe.access_log.write()
    web_context.observe.stats.flush()
    return sum_minutes(web_context.redis, web_context.keys, 2)


def test_a_200_or_304_of_a_stored_picture_is_a_hit(app: Flask, client: FlaskClient) -> None:
    url = file_url(store_picture(app))
    client.get(url), client.head(url), client.get(url, headers={"If-None-Match": "*"})
    assert count(app) == {"requests": 3, "hits": 3}


def test_the_time_of_every_served_picture_is_counted_with_cached_and_uncached_apart(
    app: Flask, client: FlaskClient
) -> None:
    web_context, file_id = get_web_context(app), new_file_id()
    web_context.photos.waiting.wait_seconds = 5
    client.get(file_url(store_picture(app))), client.get(file_url(store_picture(app)))

    def come(_: object, **__: object) -> None:
        store_picture(app, file_id)

    with photo_missed.connected_to(come, app):
        client.get(file_url(file_id))
    counted = count_all(app)
    assert sum(number for field, number in counted.items() if field.startswith("hit_ms:")) == 2
    assert sum(number for field, number in counted.items() if field.startswith("miss_ms:")) == 1


def test_a_bound_belongs_to_the_bucket_below_it_and_the_last_bucket_is_open() -> None:
    assert count_latencies("hit", [0.0001, 0.001, 0.1, 0.1001, 5, 60]) == {
        "hit_ms:1": 2, "hit_ms:100": 1, "hit_ms:200": 1, "hit_ms:5000": 2,
    }  # fmt: skip


def test_a_picture_that_arrives_during_the_wait_is_a_miss(app: Flask, client: FlaskClient) -> None:
    file_id, web_context = new_file_id(), get_web_context(app)
    web_context.photos.waiting.wait_seconds = 5

    def come(_: object, **__: object) -> None:
        store_picture(app, file_id)

    with photo_missed.connected_to(come, app):
        assert client.get(file_url(file_id)).headers["Cache-Status"] == "avatar-warmer; fwd=miss"
    assert count(app) == {"requests": 1, "misses": 1}


def test_a_picture_that_did_not_come_in_time_is_a_miss_and_an_error(app: Flask, client: FlaskClient) -> None:
    client.get(file_url(new_file_id()))
    assert count(app) == {"requests": 1, "misses": 1, "errors": 1}


def test_an_absent_picture_is_counted_separately(app: Flask, client: FlaskClient) -> None:
    store_unavailable(app, Subject.of_person(user_id := new_id()))
    client.get(file_url(store_unavailable(app, new_file_id(), InvalidFileId("x")))), client.get(user_url(user_id))
    assert count(app) == {"requests": 2, "not_found": 2}


def test_refused_requests_and_other_routes_do_not_count(app: Flask, client: FlaskClient) -> None:
    url = file_url(store_picture(app))
    for other in (url + "x", url + "&size=1", "/healthz", "/", "/nowhere", "/api/partner/recent"):
        client.get(other)
    client.post(url)
    assert not count(app)


def test_a_bucket_lives_for_25_hours(app: Flask, client: FlaskClient, redis: Redis) -> None:
    before = redis.time()[0] // 60
    client.get(file_url(store_picture(app)))
    count(app)
    buckets: list[Any] = list(redis.scan_iter(f"{get_web_context(app).keys.prefix}stats:*"))
    assert 24.9 * 3600 < redis.ttl(buckets[0]) <= 25 * 3600
    assert before <= int(buckets[0].rpartition(b":")[2]) <= redis.time()[0] // 60


def test_figures_are_written_within_about_a_second(app: Flask, client: FlaskClient) -> None:
    client.get(file_url(store_picture(app)))
    wait_until(lambda: sum_minutes(get_web_context(app).redis, get_web_context(app).keys, 2)["hits"] == 1)


def test_figures_are_kept_while_redis_is_away(tmp_path: Path, app: Flask, redis: Redis) -> None:
    keys = get_web_context(app).keys
    with RedisServer(tmp_path) as server:
        stats = MinuteStats(Redis.from_url(server.url), keys)
        stats.redis.ping()
    stats.count({"requests": 1, "hits": 1})
    stats.flush()
    stats.redis = redis
    stats.count({"requests": 1, "misses": 1})
    stats.close()
    assert sum_minutes(redis, keys, 2) == {"requests": 2, "hits": 1, "misses": 1}


def test_the_sum_covers_the_given_number_of_minutes(redis: Redis) -> None:
    keys, now = Keys("1"), redis.time()[0] // 60
    for ago in (0, 1, 59, 60):
        redis.hset(keys.stats(now - ago), "hits", 10**ago if ago < 2 else ago)
    assert sum_minutes(redis, keys, 60)["hits"] in (1 + 10 + 59, 10 + 59 + 0)  # a minute may pass in between
    assert sum_minutes(redis, keys, 120)["hits"] == 1 + 10 + 59 + 60


def test_minutes_are_listed_from_the_oldest_including_empty_ones(redis: Redis) -> None:
    keys, now = Keys("1"), redis.time()[0] // 60
    redis.hset(keys.stats(now - 1), "hits", 7)
    minute, buckets = list_minutes(redis, keys, 5)
    assert [bucket["hits"] for bucket in buckets].index(7) == 3 - (minute - now)
    assert len(buckets) == 5


def test_a_sample_replaces_the_one_before_and_has_the_same_ttl_as_the_counts(redis: Redis) -> None:
    stats = MinuteStats(redis, Keys("1"))
    stats.sample({"due": 5})
    stats.sample({"due": 3})
    noted = [bucket["due"] for bucket in list_minutes(redis, stats.keys, 10)[1] if bucket["due"]]
    assert noted in ([3], [5, 3])  # a minute may begin in between
    assert min(redis.ttl(key) for key in redis.scan_iter("*:stats:*")) > 24.9 * 3600
