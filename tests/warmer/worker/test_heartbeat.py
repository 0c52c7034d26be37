"""The workers' status, and that of the bot."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.support.clock import Clock
from tests.support.remaining import remaining
from tests.warmer.flow.attempts import USER
from tests.warmer.state.test_lease_crashes import losing_redis_in_decode
from warmer.errors import TokenRejected
from warmer.keys import HEARTBEAT_SECONDS
from warmer.state.workers import BEAT_SECONDS, SEEN_SECONDS, list_worker_statuses
from warmer.wiring import WorkerContext
from warmer.worker.heartbeat import BOT_SECONDS, Heartbeat


def make_heartbeat(context: WorkerContext, **more: Any) -> Heartbeat:
    leases = context.steps.leases
    return Heartbeat("one", context.redis, context.keys, context.telegram, context.budget, leases, **more)


@pytest.fixture
def heartbeat(context: WorkerContext, clock: Clock) -> Heartbeat:
    return make_heartbeat(context, clock=clock)


def list_states(context: WorkerContext) -> list[str]:
    return [status.bot for status in list_worker_statuses(context.redis, context.keys)]


def test_a_heartbeat_names_the_worker_and_the_bot(context: WorkerContext, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    (status,) = list_worker_statuses(context.redis, context.keys)
    assert (status.name, status.bot) == ("one", "ok")
    assert status.bot_name
    assert status.bot_username


def test_the_status_of_a_silent_worker_expires(context: WorkerContext, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    assert context.redis.ttl(context.keys.worker("one")) == remaining(15)
    context.redis.delete(context.keys.worker("one"))
    assert list_worker_statuses(context.redis, context.keys) == []


def test_the_start_of_a_worker_stays_known_for_as_long_as_it_is_missed(
    context: WorkerContext, heartbeat: Heartbeat
) -> None:
    heartbeat.beat()
    first = context.redis.get(context.keys.started("one"))
    heartbeat.beat()
    assert context.redis.get(context.keys.started("one")) == first
    assert context.redis.ttl(context.keys.started("one")) == remaining(SEEN_SECONDS)


def test_one_lost_heartbeat_is_tolerated() -> None:
    assert 2 * BEAT_SECONDS < HEARTBEAT_SECONDS


def test_workers_that_were_silent_for_an_hour_are_removed(context: WorkerContext, heartbeat: Heartbeat) -> None:
    context.redis.zadd(context.keys.workers, {"old": 1, "silent": context.redis.time()[0] - SEEN_SECONDS + 60})
    heartbeat.beat()
    assert context.redis.zrange(context.keys.workers, 0, -1) == [b"silent", b"one"]


def test_a_heartbeat_takes_back_crashes_that_redis_kept_while_it_was_away(
    context: WorkerContext, heartbeat: Heartbeat, tmp_path: Path
) -> None:
    lease = context.steps.leases.take(USER, "warm")
    with losing_redis_in_decode(context.steps.leases, lease, tmp_path):
        assert context.redis.exists(context.keys.crashes(USER))
    heartbeat.beat()
    assert not context.redis.exists(context.keys.crashes(USER))


# The bot


def test_while_the_bot_answers_get_me_is_called_every_10_s(
    heartbeat: Heartbeat, clock: Clock, telegram: FakeTelegram
) -> None:
    for _ in range(9):  # 40 s
        heartbeat.beat()
        clock.sleep(BEAT_SECONDS)
    assert telegram.calls == {"getMe": 5}


def test_a_new_bot_state_shows_within_45_s() -> None:
    assert BOT_SECONDS + 2 * BEAT_SECONDS < 45  # a getMe may take a beat's time


@pytest.mark.parametrize(
    ("fault", "state"), [("unauthorized", "unauthorized"), ("logged-out", "logged_out"), ("bad-gateway", "unreachable")]
)
def test_a_bot_that_is_lost_while_no_work_is_done_shows_and_comes_back(
    context: WorkerContext, heartbeat: Heartbeat, clock: Clock, telegram: FakeTelegram, fault: str, state: str
) -> None:
    heartbeat.beat()
    telegram.fail("getMe", fault, times=1)
    clock.sleep(BOT_SECONDS)
    heartbeat.beat()
    assert list_states(context) == [state]
    clock.sleep(BEAT_SECONDS)
    heartbeat.beat()
    assert list_states(context) == ["ok"]


@pytest.mark.parametrize(("fault", "state"), [("unauthorized", "unauthorized"), ("logged-out", "logged_out")])
def test_a_refused_bot_halts_every_call_and_is_logged_as_critical(
    context: WorkerContext,
    heartbeat: Heartbeat,
    telegram: FakeTelegram,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    state: str,
) -> None:
    telegram.fail("getMe", fault)
    heartbeat.beat()
    assert list_states(context) == [state]
    assert "CRITICAL" in {record.levelname for record in caplog.records}
    with pytest.raises(TokenRejected):
        context.budget.check_pause()


def test_a_successful_get_me_ends_the_halt(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    telegram.fail("getMe", "not-found")
    heartbeat.beat()
    heartbeat.beat()
    assert list_states(context) == ["ok"]
    context.budget.check_pause()


def test_a_worker_calls_get_me_again_after_another_worker_halted_the_calls(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    heartbeat.beat()
    context.budget.halt()
    heartbeat.beat()
    assert not context.budget.is_halted()
    assert telegram.calls == {"getMe": 2}


@pytest.mark.parametrize(
    "fault", ["bad-gateway", "connection-reset", "user-deactivated", "oversize", "not-json", "invalid-file-id"]
)
def test_the_heartbeat_continues_after_any_answer_of_get_me(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("getMe", fault)
    heartbeat.beat()
    assert list_states(context) == ["unreachable"]
    assert not context.budget.is_halted()
    heartbeat.beat()
    assert list_states(context) == ["ok"]


def test_an_unreachable_telegram_does_not_end_a_halt(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    context.budget.halt()
    telegram.fail("getMe", "bad-gateway")
    heartbeat.beat()
    assert context.budget.is_halted()


def test_a_429_of_get_me_pauses_every_call(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    telegram.fail("getMe", "too-many-requests", retry_after=7)
    heartbeat.beat()
    heartbeat.beat()
    assert context.budget.get_pause() == remaining(7)
    assert telegram.calls == {"getMe": 1}
    assert list_states(context) == ["unreachable"]


@pytest.mark.parametrize("fault", ["hang", "slow-headers"])  # the second ends with a good answer, but much later
def test_a_hanging_telegram_does_not_stop_the_heartbeat(
    context: WorkerContext, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("getMe", fault)
    make_heartbeat(context, beat_seconds=0.2).beat()
    assert list_states(context) == ["unreachable"]


# Start and stop


def test_the_heartbeat_runs_from_start_to_close(context: WorkerContext) -> None:
    heartbeat = make_heartbeat(context, beat_seconds=0.05)
    heartbeat.start()
    for _ in range(2):
        wait_until(lambda: list_states(context))
        context.redis.delete(context.keys.worker("one"))
    heartbeat.close()
    assert not context.redis.exists(context.keys.worker("one"), context.keys.started("one"), context.keys.workers)


def test_a_heartbeat_in_progress_does_not_restore_a_closed_worker(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_closed = threading.Event()
    monkeypatch.setattr(telegram, "wait", lambda *_: not is_closed.wait(60))  # the answer comes only after it
    telegram.fail("getMe", "late", seconds=1)
    beating = threading.Thread(target=heartbeat.beat)
    beating.start()
    wait_until(lambda: telegram.calls["getMe"] == 1)
    heartbeat.close()
    is_closed.set()
    beating.join()
    assert list_worker_statuses(context.redis, context.keys) == []
    assert not context.redis.exists(context.keys.worker("one"))


def test_a_short_redis_failure_does_not_end_the_heartbeat(context: WorkerContext) -> None:
    heartbeat = make_heartbeat(context, beat_seconds=0.05)
    context.redis.set(context.keys.workers, "of a wrong type")  # every heartbeat fails with a Redis error
    heartbeat.start()
    wait_until(lambda: context.redis.exists(context.keys.worker("one")))
    context.redis.delete(context.keys.workers)
    wait_until(lambda: context.redis.exists(context.keys.workers))
    heartbeat.close()
