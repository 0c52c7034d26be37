"""What is in the way of a long wait, and when it is given up."""

from __future__ import annotations

import pytest

from tests.support.cli_parts import say_alive
from tests.support.clock import Clock
from warmer.cli.monitor import ALONE_SECONDS, Lookout
from warmer.errors import Stuck
from warmer.wiring import Workshop
from warmer.worker.heartbeat import BEAT_SECONDS


@pytest.fixture
def lookout(shop: Workshop) -> Lookout:
    """While a worker lives."""
    say_alive(shop)
    return Lookout(shop, waits=True)


def test_nothing_is_in_the_way_of_a_worker_that_may_call(lookout: Lookout) -> None:
    lookout.require()
    assert lookout.look() == ""


def test_a_pause_is_told_with_its_seconds(lookout: Lookout) -> None:
    lookout.shop.budget.pause(12)
    assert lookout.look() == "Telegram asks for 12 s of pause"


def test_a_refused_token_is_told(lookout: Lookout) -> None:
    lookout.shop.budget.halt()
    assert lookout.look() == "Telegram refuses the bot token"


def test_the_last_worker_that_leaves_is_missed(lookout: Lookout) -> None:
    say_alive(lookout.shop).close()
    assert lookout.look() == "no worker is alive"


def test_a_worker_that_does_not_beat_within_its_time_is_not_waited_for(shop: Workshop) -> None:
    clock = Clock()
    with pytest.raises(Stuck, match="no worker is alive to wait for"):
        Lookout(shop, waits=True, clock=clock, sleep=clock.sleep).require()
    assert BEAT_SECONDS < sum(clock.slept) < 2 * BEAT_SECONDS


def test_a_worker_that_begins_to_beat_meanwhile_is_seen(shop: Workshop) -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.slept == [0.2] * 3:
            say_alive(shop)

    Lookout(shop, waits=True, clock=clock, sleep=sleep).require()
    assert clock.slept == [0.2] * 3


def test_too_long_without_a_worker_is_the_end(shop: Workshop) -> None:
    clock = Clock()
    lookout = Lookout(shop, waits=True, clock=clock)
    clock.advance(ALONE_SECONDS)
    assert lookout.look() == "no worker is alive"
    clock.advance(0.1)
    with pytest.raises(Stuck, match="no worker has been alive for 30 s"):
        lookout.look()


def test_a_worker_that_was_seen_starts_the_time_anew(shop: Workshop) -> None:
    clock, worker = Clock(), say_alive(shop)
    lookout = Lookout(shop, waits=True, clock=clock)
    clock.advance(ALONE_SECONDS)
    assert lookout.look() == ""
    worker.close()
    clock.advance(ALONE_SECONDS)
    assert lookout.look() == "no worker is alive"


def test_one_that_comes_back_in_time_is_waited_for(shop: Workshop) -> None:
    lookout = Lookout(shop, waits=True)
    assert lookout.look() == "no worker is alive"
    say_alive(shop)
    assert lookout.look() == ""


def test_who_does_not_wait_needs_no_worker(shop: Workshop) -> None:
    lookout = Lookout(shop, waits=False)
    lookout.require()
    shop.budget.pause(12)
    assert lookout.look() == ""
