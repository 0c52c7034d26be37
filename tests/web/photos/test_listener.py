"""The thread that hears: what workers have done, and what no process may show any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

import pytest
from redis import Redis

from tests.conftest import wait_until
from tests.support.redis_kinds import list_masters, subscribed
from warmer.flow.forget import wait_for_acknowledgements
from warmer.keys import Keys
from warmer.redis_client.clients import connect_listener
from warmer.redis_url import is_cluster
from warmer.settings import load_settings
from web.photos.listener import Listener

_numbers = count(777_000)


@dataclass
class Diary:
    """What a listener heard, in its order."""

    heard: list[str] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)

    def open(self, keys: Keys, connect: Callable[[], Redis] | None = None) -> Listener:
        settings = load_settings(telegram_bot_token=f"{keys.prefix.split(':')[1]}:no-bot")
        listener = Listener(
            connect or (lambda: connect_listener(settings)),
            keys,
            on_done=lambda message: self.heard.append(f"done {message}"),
            on_purge=lambda message: self.heard.append(f"purge {message}"),
            on_joined=lambda: self.heard.append("joined"),
            on_lost=lambda: self.heard.append("lost"),
            has_slots=is_cluster(settings.redis_url),
        )
        self.listeners.append(listener)
        listener.ensure_started()
        return listener

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()


@pytest.fixture
def keys() -> Keys:
    """Channels of this test's own: the listeners of the others go on."""
    return Keys(str(next(_numbers)))


@pytest.fixture
def diaries() -> Iterator[list[Diary]]:
    """Three of them, whose listeners are closed."""
    diaries = [Diary() for _ in range(3)]
    yield diaries
    for diary in diaries:
        diary.close()


@pytest.fixture
def diary(diaries: list[Diary]) -> Diary:
    return diaries[0]


def test_it_hears_what_is_done_and_what_is_purged(redis: Redis, keys: Keys, diary: Diary) -> None:
    diary.open(keys)
    wait_until(lambda: diary.heard == ["joined"])
    redis.publish(keys.done, "a stored")
    redis.publish(keys.purge, "b")
    redis.publish(keys.purge, b"\xff\xfe")
    wait_until(lambda: sorted(diary.heard) == ["done a stored", "joined", "purge b", "purge \ufffd\ufffd"])


def test_it_comes_back_when_its_connection_is_cut_and_says_so(redis: Redis, keys: Keys, diary: Diary) -> None:
    diary.open(keys)
    wait_until(lambda: diary.heard == ["joined"])
    for master in list_masters(redis):
        master.client_kill_filter(_type="pubsub")
    wait_until(lambda: diary.heard == ["joined", "lost", "joined"])


def test_nothing_that_goes_wrong_makes_it_deaf(redis: Redis, keys: Keys, diary: Diary) -> None:
    diary.open(keys)
    wait_until(lambda: diary.heard == ["joined"])
    redis.publish(keys.acknowledge, b"\xff")  # no key: it cannot even be read
    wait_until(lambda: diary.heard == ["joined", "lost", "joined"])


def test_an_outage_is_one_line_in_the_log(keys: Keys, diary: Diary, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = load_settings(redis_url="redis://127.0.0.1:1")
    diary.open(keys, lambda: connect_listener(nowhere))
    wait_until(lambda: len(diary.heard) >= 3)
    assert caplog.text.count("not listening") == 1


def test_who_waits_until_all_have_heard_finds_it_done(redis: Redis, keys: Keys, diaries: list[Diary]) -> None:
    for diary in diaries:
        diary.open(keys)
    wait_until(lambda: all(diary.heard == ["joined"] for diary in diaries))
    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            redis.publish(keys.purge, str(number))
            assert all(pool.map(lambda _: wait_for_acknowledgements(redis, keys), diaries))
            assert all(diary.heard[-1] == f"purge {number}" for diary in diaries)
    assert not list(redis.scan_iter(f"{keys.prefix}heard:*"))


def test_a_process_that_does_not_answer_is_not_waited_for_for_ever(redis: Redis, keys: Keys, diary: Diary) -> None:
    diary.open(keys)
    wait_until(lambda: diary.heard == ["joined"])
    with subscribed(redis, keys.acknowledge):
        assert not wait_for_acknowledgements(redis, keys)


def test_where_nobody_listens_there_is_nothing_to_wait_for(redis: Redis, keys: Keys) -> None:
    assert wait_for_acknowledgements(redis, keys)


def test_a_closed_listener_has_no_thread(diary: Diary, keys: Keys) -> None:
    others = set(threading.enumerate())
    listener = diary.open(keys)
    wait_until(lambda: "joined" in diary.heard)
    (thread,) = (one for one in threading.enumerate() if one.name == "listener" and one not in others)
    listener.close()
    assert not thread.is_alive()
