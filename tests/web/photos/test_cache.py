"""The process's response cache: bounded in bytes and age, and emptied by purges."""

from __future__ import annotations

import pytest

from tests.support.clock import Clock
from warmer.keys import Subject
from web.photos.cache import MAX_AGE_SECONDS, OVERHEAD_BYTES, Answer, ResponseCache
from web.photos.request import PhotoRequest

KILO = 1000
NOW = 1000.0  # by the cache's clock


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def cache(clock: Clock) -> ResponseCache:
    """An open cache with room for four answers of 1 kB."""
    cache = ResponseCache(4 * (KILO + OVERHEAD_BYTES), clock)
    cache.open()
    return cache


def photo_request(subject: str, size: int = 160) -> PhotoRequest:
    return PhotoRequest("file", Subject(subject), size, ("webp",))


def answer(*tags: str, body: bytes | None = b"x" * KILO, age: float = 0) -> Answer:
    return Answer('"etag"', [], [], body, NOW - age, frozenset(tags))


def keep(cache: ResponseCache, *subjects: str) -> None:
    for subject in subjects:
        cache.put(photo_request(subject), answer(subject), cache.get_generation())


def kept(cache: ResponseCache, *subjects: str) -> str:
    return "".join(subject for subject in subjects if cache.get(photo_request(subject)))


def stale(cache: ResponseCache, *subjects: str) -> str:
    return "".join(subject for subject in subjects if cache.get_stale(photo_request(subject)))


def test_a_stored_answer_is_found(cache: ResponseCache) -> None:
    one = answer("a")
    cache.put(photo_request("a"), one, cache.get_generation())
    assert cache.get(photo_request("a")) is one
    assert cache.get(photo_request("a", 80)) is None


def test_the_oldest_answers_are_evicted_and_the_bytes_stay_bounded(cache: ResponseCache) -> None:
    keep(cache, "a", "b", "c", "d", "e")
    assert kept(cache, "a", "b", "c", "d", "e") == "bcde"
    assert cache.bytes == cache.max_bytes


def test_an_answer_as_large_as_the_cache_is_not_stored(cache: ResponseCache) -> None:
    keep(cache, "a")
    cache.put(photo_request("b"), answer("b", body=b"x" * cache.max_bytes), cache.get_generation())
    assert kept(cache, "a", "b") == "a"


def test_a_cache_of_zero_bytes_stores_nothing() -> None:
    cache = ResponseCache(0)
    cache.open()
    keep(cache, "a")
    assert kept(cache, "a") == ""


def test_replacing_an_answer_counts_its_bytes_once(cache: ResponseCache) -> None:
    keep(cache, "a", "a", "a", "a", "a")
    assert cache.bytes == KILO + OVERHEAD_BYTES


def test_an_answer_is_served_for_a_minute(cache: ResponseCache, clock: Clock) -> None:
    keep(cache, "a")
    clock.advance(MAX_AGE_SECONDS)
    assert kept(cache, "a") == "a"
    clock.advance(0.1)
    assert kept(cache, "a") == ""


def test_a_purge_removes_every_answer_with_its_tag_and_no_other(cache: ResponseCache) -> None:
    cache.put(photo_request("user:1"), answer("user:1", "a"), cache.get_generation())
    keep(cache, "a", "b")
    cache.purge("a")
    assert kept(cache, "user:1", "a", "b") == "b"
    cache.purge("nobody")
    assert (kept(cache, "b"), cache.bytes) == ("b", KILO + OVERHEAD_BYTES)


def test_an_answer_read_before_a_purge_is_not_stored(cache: ResponseCache) -> None:
    purges = cache.get_generation()
    cache.purge("a")
    cache.put(photo_request("a"), answer("a"), purges)
    assert kept(cache, "a") == ""


def test_before_the_purge_subscription_nothing_is_stored() -> None:
    cache = ResponseCache(2**20)
    keep(cache, "a")
    assert kept(cache, "a") == ""


def test_without_a_purge_subscription_stored_answers_are_stale_and_none_are_added(cache: ResponseCache) -> None:
    keep(cache, "a")
    cache.close()
    keep(cache, "b")
    assert (kept(cache, "a", "b"), stale(cache, "a", "b")) == ("", "a")


def test_a_new_subscription_makes_every_stored_answer_stale(cache: ResponseCache) -> None:
    keep(cache, "a", "b", "c")
    purges = cache.get_generation()
    cache.open()
    cache.put(photo_request("d"), answer("d"), purges)  # read before
    keep(cache, "c")
    assert (kept(cache, *"abcd"), stale(cache, *"abcd")) == ("c", "ab")
    assert cache.bytes == 3 * (KILO + OVERHEAD_BYTES)


def test_stale_answers_can_be_purged_and_dropped_and_are_evicted_first(cache: ResponseCache) -> None:
    keep(cache, *"abcd")
    cache.open()
    cache.purge("a")
    cache.drop(photo_request("b"))
    keep(cache, *"efg")
    assert (kept(cache, *"abcdefg"), stale(cache, *"abcdefg")) == ("efg", "d")
    assert cache.bytes == 4 * (KILO + OVERHEAD_BYTES)


def test_a_stale_answer_is_served_for_a_minute(cache: ResponseCache) -> None:
    for name, age in (("young", MAX_AGE_SECONDS), ("old", MAX_AGE_SECONDS + 0.1)):
        cache.put(photo_request(name), answer(name, age=age), cache.get_generation())
    cache.close()
    assert stale(cache, "young", "old") == "young"


def test_removed_answers_leave_nothing_behind(cache: ResponseCache) -> None:
    keep(cache, *"abcdefgh")
    cache.open()
    keep(cache, "a")
    for subject in "abcdefgh":
        cache.purge(subject)
    assert (cache.bytes, cache._answers, cache._stale, cache._tagged) == (0, {}, {}, {})
