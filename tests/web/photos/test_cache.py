"""Answers kept in the process: bounded in bytes and age, and never longer than a forgetting."""

from __future__ import annotations

import pytest

from tests.support.clock import Clock
from web.photos.cache import MAX_AGE_SECONDS, OVERHEAD_BYTES, Answer, Shelf
from web.photos.request import Wish

KILO = 1000
NOW = 1000.0  # by the shelf's clock


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def shelf(clock: Clock) -> Shelf:
    """Open, with room for four answers of 1 kB."""
    shelf = Shelf(4 * (KILO + OVERHEAD_BYTES), clock)
    shelf.open()
    return shelf


def wish(subject: str, size: int = 160) -> Wish:
    return Wish("file", subject, size, ("webp",))


def answer(*tags: str, body: bytes | None = b"x" * KILO, age: float = 0) -> Answer:
    return Answer('"etag"', [], [], body, NOW - age, frozenset(tags))


def keep(shelf: Shelf, *subjects: str) -> None:
    for subject in subjects:
        shelf.put(wish(subject), answer(subject), shelf.count_purges())


def kept(shelf: Shelf, *subjects: str) -> str:
    return "".join(subject for subject in subjects if shelf.get(wish(subject)))


def doubtful(shelf: Shelf, *subjects: str) -> str:
    return "".join(subject for subject in subjects if shelf.get_doubtful(wish(subject)))


def test_what_was_put_is_there(shelf: Shelf) -> None:
    one = answer("a")
    shelf.put(wish("a"), one, shelf.count_purges())
    assert shelf.get(wish("a")) is one
    assert shelf.get(wish("a", 80)) is None


def test_the_oldest_make_room_and_the_bytes_stay_bounded(shelf: Shelf) -> None:
    keep(shelf, "a", "b", "c", "d", "e")
    assert kept(shelf, "a", "b", "c", "d", "e") == "bcde"
    assert shelf.bytes == shelf.max_bytes


def test_one_that_would_fill_it_all_is_not_kept(shelf: Shelf) -> None:
    keep(shelf, "a")
    shelf.put(wish("b"), answer("b", body=b"x" * shelf.max_bytes), shelf.count_purges())
    assert kept(shelf, "a", "b") == "a"


def test_without_room_nothing_is_kept() -> None:
    shelf = Shelf(0)
    shelf.open()
    keep(shelf, "a")
    assert kept(shelf, "a") == ""


def test_putting_again_replaces_and_counts_once(shelf: Shelf) -> None:
    keep(shelf, "a", "a", "a", "a", "a")
    assert shelf.bytes == KILO + OVERHEAD_BYTES


def test_an_answer_is_shown_for_a_minute(shelf: Shelf, clock: Clock) -> None:
    keep(shelf, "a")
    clock.advance(MAX_AGE_SECONDS)
    assert kept(shelf, "a") == "a"
    clock.advance(0.1)
    assert kept(shelf, "a") == ""


def test_a_purge_ends_every_answer_with_its_tag_and_no_other(shelf: Shelf) -> None:
    shelf.put(wish("user:1"), answer("user:1", "a"), shelf.count_purges())
    keep(shelf, "a", "b")
    shelf.purge("a")
    assert kept(shelf, "user:1", "a", "b") == "b"
    shelf.purge("nobody")
    assert (kept(shelf, "b"), shelf.bytes) == ("b", KILO + OVERHEAD_BYTES)


def test_what_was_read_before_a_purge_does_not_come_in(shelf: Shelf) -> None:
    purges = shelf.count_purges()
    shelf.purge("a")
    shelf.put(wish("a"), answer("a"), purges)
    assert kept(shelf, "a") == ""


def test_nothing_comes_in_before_purges_are_heard() -> None:
    shelf = Shelf(2**20)
    keep(shelf, "a")
    assert kept(shelf, "a") == ""


def test_while_purges_are_not_heard_what_is_there_is_doubtful_and_nothing_comes_in(shelf: Shelf) -> None:
    keep(shelf, "a")
    shelf.close()
    keep(shelf, "b")
    assert (kept(shelf, "a", "b"), doubtful(shelf, "a", "b")) == ("", "a")


def test_a_new_subscription_leaves_all_that_was_there_doubtful(shelf: Shelf) -> None:
    keep(shelf, "a", "b", "c")
    purges = shelf.count_purges()
    shelf.open()
    shelf.put(wish("d"), answer("d"), purges)  # read before
    keep(shelf, "c")
    assert (kept(shelf, *"abcd"), doubtful(shelf, *"abcd")) == ("c", "ab")
    assert shelf.bytes == 3 * (KILO + OVERHEAD_BYTES)


def test_what_is_doubtful_is_purged_and_dropped_and_makes_room_first(shelf: Shelf) -> None:
    keep(shelf, *"abcd")
    shelf.open()
    shelf.purge("a")
    shelf.drop(wish("b"))
    keep(shelf, *"efg")
    assert (kept(shelf, *"abcdefg"), doubtful(shelf, *"abcdefg")) == ("efg", "d")
    assert shelf.bytes == 4 * (KILO + OVERHEAD_BYTES)


def test_what_is_doubtful_is_shown_for_a_minute_too(shelf: Shelf) -> None:
    for name, age in (("young", MAX_AGE_SECONDS), ("old", MAX_AGE_SECONDS + 0.1)):
        shelf.put(wish(name), answer(name, age=age), shelf.count_purges())
    shelf.close()
    assert doubtful(shelf, "young", "old") == "young"


def test_nothing_remains_of_what_went(shelf: Shelf) -> None:
    keep(shelf, *"abcdefgh")
    shelf.open()
    keep(shelf, "a")
    for subject in "abcdefgh":
        shelf.purge(subject)
    assert (shelf.bytes, shelf._answers, shelf._doubtful, shelf._tagged) == (0, {}, {}, {})
