"""What is in the way of a long wait, and when it is given up."""

from __future__ import annotations

import pytest

from tests.support.cli_parts import say_alive
from tests.support.clock import Clock
from warmer.cli.monitor import ALONE_SECONDS, WorkerMonitor
from warmer.errors import Stuck
from warmer.wiring import WorkerContext
from warmer.worker.heartbeat import BEAT_SECONDS


@pytest.fixture
def monitor(context: WorkerContext) -> WorkerMonitor:
    """While a worker lives."""
    say_alive(context)
    return WorkerMonitor(context, waits=True)


def test_nothing_is_in_the_way_of_a_worker_that_may_call(monitor: WorkerMonitor) -> None:
    monitor.require()
    assert monitor.look() == ""


def test_a_pause_is_told_with_its_seconds(monitor: WorkerMonitor) -> None:
    monitor.context.budget.pause(12)
    assert monitor.look() == "Telegram asks for 12 s of pause"


def test_a_refused_token_is_told(monitor: WorkerMonitor) -> None:
    monitor.context.budget.halt()
    assert monitor.look() == "Telegram refuses the bot token"


def test_the_last_worker_that_leaves_is_missed(monitor: WorkerMonitor) -> None:
    say_alive(monitor.context).close()
    assert monitor.look() == "no worker is alive"


def test_a_worker_that_does_not_beat_within_its_time_is_not_waited_for(context: WorkerContext) -> None:
    clock = Clock()
    with pytest.raises(Stuck, match="no worker is alive to wait for"):
        WorkerMonitor(context, waits=True, clock=clock, sleep=clock.sleep).require()
    assert BEAT_SECONDS < sum(clock.slept) < 2 * BEAT_SECONDS


def test_a_worker_that_begins_to_beat_meanwhile_is_seen(context: WorkerContext) -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.slept == [0.2] * 3:
            say_alive(context)

    WorkerMonitor(context, waits=True, clock=clock, sleep=sleep).require()
    assert clock.slept == [0.2] * 3


def test_too_long_without_a_worker_is_the_end(context: WorkerContext) -> None:
    clock = Clock()
    monitor = WorkerMonitor(context, waits=True, clock=clock)
    clock.advance(ALONE_SECONDS)
    assert monitor.look() == "no worker is alive"
    clock.advance(0.1)
    with pytest.raises(Stuck, match="no worker has been alive for 30 s"):
        monitor.look()


def test_a_worker_that_was_seen_starts_the_time_anew(context: WorkerContext) -> None:
    clock, worker = Clock(), say_alive(context)
    monitor = WorkerMonitor(context, waits=True, clock=clock)
    clock.advance(ALONE_SECONDS)
    assert monitor.look() == ""
    worker.close()
    clock.advance(ALONE_SECONDS)
    assert monitor.look() == "no worker is alive"


def test_one_that_comes_back_in_time_is_waited_for(context: WorkerContext) -> None:
    monitor = WorkerMonitor(context, waits=True)
    assert monitor.look() == "no worker is alive"
    say_alive(context)
    assert monitor.look() == ""


def test_who_does_not_wait_needs_no_worker(context: WorkerContext) -> None:
    monitor = WorkerMonitor(context, waits=False)
    monitor.require()
    context.budget.pause(12)
    assert monitor.look() == ""
