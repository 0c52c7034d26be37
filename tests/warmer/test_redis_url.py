"""URLs of clusters and Sentinels, and their form for kombu."""

from __future__ import annotations

import pytest

from warmer.redis_url import Host, Place, parse_place, to_kombu_url


def test_a_cluster_url_names_some_of_its_nodes() -> None:
    place = parse_place("redis+cluster://a:7000,b,[::1]:7002")
    assert place == Place((Host("a", 7000), Host("b", 6379), Host("::1", 7002)))


def test_a_sentinel_url_names_the_master_and_a_database() -> None:
    place = parse_place("redis+sentinel://a,b:5/avatars/3")
    assert place == Place((Host("a", 26379), Host("b", 5)), master="avatars", database=3)


def test_credentials_are_unquoted_and_hidden() -> None:
    place = parse_place("rediss+cluster://me:p%40ss@a")
    assert place is not None
    assert (place.username, place.password, place.is_encrypted) == ("me", "p@ss", True)
    assert "p@ss" not in repr(place)


def test_other_urls_are_not_parsed() -> None:
    urls = ["redis://a", "rediss://a:1/2", "unix:///tmp/x", "amqp://a//"]
    assert [url for url in urls if parse_place(url) is not None] == []


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://",
        "redis+cluster://a/1",
        "redis+cluster://a,,b",
        "redis+cluster://a:0",
        "redis+cluster://a:65536",
        "redis+cluster://a b",
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel://a/m/x",
        "rediss+sentinel://a/m",
        "redis+cluster:a",
    ],
)
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_place(url)


def test_tls_with_sentinels_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="TLS with Sentinels is not supported"):
        parse_place("rediss+sentinel://me:p@ss@a,b/avatars")


@pytest.mark.parametrize(
    ("url", "kombu"),
    [
        ("redis://a:1/2", "redis://a:1/2"),
        ("amqp://u:p@a/v", "amqp://u:p@a/v"),
        ("unix:///tmp/r.sock?db=3", "redis+socket:///tmp/r.sock?virtual_host=3"),
        ("redis+sentinel://a,b:5/m/1", "sentinel://a:26379/1;sentinel://b:5/1"),
        ("redis+sentinel://[::1]/m", "sentinel://[::1]:26379/0"),
        ("redis+sentinel://u:p%40@a/m", "sentinel://u:p%40@a:26379/0"),
    ],
)
def test_each_url_is_translated_for_kombu(url: str, kombu: str) -> None:
    assert to_kombu_url(url) == kombu
