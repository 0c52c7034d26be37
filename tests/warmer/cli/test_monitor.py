"""Obstacles of a long wait, and its end."""

from __future__ import annotations

import re

import pytest

from tests.support.cli_parts import send_heartbeat
from tests.support.clock import Clock
from warmer.cli.monitor import ALONE_SECONDS, WorkerMonitor
from warmer.errors import Stuck
from warmer.state.workers import BEAT_SECONDS
from warmer.wiring import WorkerContext


@pytest.fixture
def monitor(context: WorkerContext) -> WorkerMonitor:
    """A monitor beside a living worker."""
    send_heartbeat(context)
    return WorkerMonitor(context, waits=True)


def test_a_worker_that_may_call_is_no_obstacle(monitor: WorkerMonitor) -> None:
    monitor.require()
    assert monitor.find_obstacle() == ""


def test_a_pause_is_reported_with_its_seconds(monitor: WorkerMonitor) -> None:
    monitor.context.budget.pause(600)
    assert re.fullmatch(r"Telegram asks for [56]\d\d s of pause", monitor.find_obstacle())


def test_a_refused_token_is_reported(monitor: WorkerMonitor) -> None:
    monitor.context.budget.halt()
    assert monitor.find_obstacle() == "Telegram refuses the bot token"


def test_the_loss_of_the_last_worker_is_reported(monitor: WorkerMonitor) -> None:
    send_heartbeat(monitor.context).close()
    assert monitor.find_obstacle() == "no worker is alive"


def test_without_a_heartbeat_in_time_the_wait_does_not_begin(context: WorkerContext) -> None:
    clock = Clock()
    with pytest.raises(Stuck, match="no worker is alive to wait for"):
        WorkerMonitor(context, waits=True, clock=clock, sleep=clock.sleep).require()
    assert BEAT_SECONDS < sum(clock.slept) < 2 * BEAT_SECONDS


def test_a_worker_that_starts_meanwhile_is_found(context: WorkerContext) -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.slept == [0.2] * 3:
            send_heartbeat(context)

    WorkerMonitor(context, waits=True, clock=clock, sleep=sleep).require()
    assert clock.slept == [0.2] * 3


def test_a_long_time_without_a_worker_ends_the_wait(context: WorkerContext) -> None:
    clock = Clock()
    monitor = WorkerMonitor(context, waits=True, clock=clock)
    clock.advance(ALONE_SECONDS)
    assert monitor.find_obstacle() == "no worker is alive"
    clock.advance(0.1)
    with pytest.raises(Stuck, match="no worker has been alive for 30 s"):
        monitor.find_obstacle()


def test_a_living_worker_restarts_the_time(context: WorkerContext) -> None:
    clock, worker = Clock(), send_heartbeat(context)
    monitor = WorkerMonitor(context, waits=True, clock=clock)
    clock.advance(ALONE_SECONDS)
    assert monitor.find_obstacle() == ""
    worker.close()
    clock.advance(ALONE_SECONDS)
    assert monitor.find_obstacle() == "no worker is alive"


def test_a_worker_that_returns_in_time_continues_the_wait(context: WorkerContext) -> None:
    monitor = WorkerMonitor(context, waits=True)
    assert monitor.find_obstacle() == "no worker is alive"
    send_heartbeat(context)
    assert monitor.find_obstacle() == ""


def test_without_waiting_no_worker_is_required(context: WorkerContext) -> None:
    monitor = WorkerMonitor(context, waits=False)
    monitor.require()
    context.budget.pause(12)
    assert monitor.find_obstacle() == ""
