"""A call is cut at its total deadline even while bytes still arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from faketelegram import TEST_TOKEN, FakeTelegram
from warmer.deadline import Deadline
from warmer.telegram.connections import Adapter
from warmer.telegram.watchdog import Watchdog


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", Adapter(pool_maxsize=8))
        yield session


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    with closing(Watchdog(look_seconds=0.01)) as watchdog:
        yield watchdog


def get_me(session: requests.Session, telegram: FakeTelegram) -> requests.Response:
    return session.get(f"{telegram.url}/bot{TEST_TOKEN}/getMe", timeout=60)


def is_cut(session: requests.Session, telegram: FakeTelegram, watchdog: Watchdog, seconds: float) -> bool:
    """Returns True if a call with this deadline was cut, before its answer was whole."""
    is_whole = False
    with watchdog.guard(Deadline(seconds)) as call, suppress(requests.RequestException):
        is_whole = get_me(session, telegram).json()["ok"]
    return call.was_cut and not is_whole


def test_a_dripping_answer_is_cut(session: requests.Session, telegram: FakeTelegram, watchdog: Watchdog) -> None:
    telegram.fail("getMe", "slow-headers", interval=0.05)
    assert is_cut(session, telegram, watchdog, 0.2)


def test_a_call_within_its_deadline_is_not_cut(
    session: requests.Session, telegram: FakeTelegram, watchdog: Watchdog
) -> None:
    assert not is_cut(session, telegram, watchdog, 60)


def test_a_reused_connection_is_watched_too(
    session: requests.Session, telegram: FakeTelegram, watchdog: Watchdog
) -> None:
    assert not is_cut(session, telegram, watchdog, 60)
    telegram.fail("getMe", "slow-body", interval=0.05)
    assert is_cut(session, telegram, watchdog, 0.2)
    assert telegram.connections == 1


def test_a_cut_connection_is_replaced(session: requests.Session, telegram: FakeTelegram, watchdog: Watchdog) -> None:
    telegram.fail("getMe", "slow-headers", interval=0.05)
    assert is_cut(session, telegram, watchdog, 0.1)
    assert not is_cut(session, telegram, watchdog, 60)


def test_a_call_that_is_cut_is_not_retried(
    session: requests.Session, telegram: FakeTelegram, watchdog: Watchdog
) -> None:
    assert not is_cut(session, telegram, watchdog, 60)
    telegram.fail("getMe", "hang")
    assert is_cut(session, telegram, watchdog, 0.2)
    assert not is_cut(session, telegram, watchdog, 60)
    assert telegram.connections == 2  # that of the last call is accepted after all others


def test_only_calls_past_their_deadline_are_cut(
    session: requests.Session, telegram: FakeTelegram, watchdog: Watchdog
) -> None:
    telegram.fail("getMe", "late", times=None, seconds=2)
    with ThreadPoolExecutor(4) as pool:
        cut = list(pool.map(lambda seconds: is_cut(session, telegram, watchdog, seconds), (0.1, 60, 0.1, 60)))
    assert cut == [True, False, True, False]


def test_an_exception_ends_the_guard(watchdog: Watchdog) -> None:
    with pytest.raises(KeyError), watchdog.guard(Deadline(5)):
        raise KeyError
    assert not watchdog._calls


def count_sockets(telegram: FakeTelegram) -> int:
    """Returns the number of sockets of this process to the fake Telegram; other tests open and close others."""
    port = urlsplit(telegram.url).port
    sockets = psutil.Process().net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == port and one.laddr.port != port for one in sockets)


def test_no_socket_stays_open(session: requests.Session, telegram: FakeTelegram, watchdog: Watchdog) -> None:
    is_cut(session, telegram, watchdog, 60)
    before = count_sockets(telegram)
    for _ in range(10):
        is_cut(session, telegram, watchdog, 60)
    assert 0 < count_sockets(telegram) <= before


def test_one_thread_starts_with_the_first_call_and_runs_until_close(watchdog: Watchdog) -> None:
    def count() -> int:
        return sum(thread.name == "watchdog" for thread in threading.enumerate())

    before = count()
    for _ in range(3):
        with watchdog.guard(Deadline(5)):
            assert count() == before + 1
    watchdog.close()
    assert count() == before
