"""The workers' status, and that of the bot."""

from __future__ import annotations

import json
import threading

import pytest

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.support.remaining import remaining
from warmer.errors import TokenRejected
from warmer.state.workers import WorkerStatus, judge_bot, list_worker_statuses
from warmer.wiring import WorkerContext
from warmer.worker.heartbeat import BEAT_SECONDS, TTL_SECONDS, Heartbeat


def make_heartbeat(context: WorkerContext, name: str = "one", beat_seconds: float = BEAT_SECONDS) -> Heartbeat:
    return Heartbeat(name, context.redis, context.keys, context.telegram, context.budget, beat_seconds)


@pytest.fixture
def heartbeat(context: WorkerContext) -> Heartbeat:
    return make_heartbeat(context)


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


def test_one_lost_heartbeat_is_tolerated() -> None:
    assert 2 * BEAT_SECONDS < TTL_SECONDS


def test_without_a_heartbeat_no_worker_is_listed(context: WorkerContext) -> None:
    assert list_worker_statuses(context.redis, context.keys) == []


def test_each_worker_is_listed(context: WorkerContext) -> None:
    for name in ("one", "two"):
        make_heartbeat(context, name).beat()
    assert {status.name for status in list_worker_statuses(context.redis, context.keys)} == {"one", "two"}


def test_old_worker_names_are_removed(context: WorkerContext, heartbeat: Heartbeat) -> None:
    context.redis.zadd(context.keys.workers, {"old": 1, "silent": context.redis.time()[0] - 2 * TTL_SECONDS})
    heartbeat.beat()
    assert context.redis.zrange(context.keys.workers, 0, -1) == [b"silent", b"one"]


# The bot


def test_get_me_is_called_once(heartbeat: Heartbeat, telegram: FakeTelegram) -> None:
    for _ in range(3):
        heartbeat.beat()
    assert telegram.calls == {"getMe": 1}


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


def test_a_hanging_telegram_does_not_stop_the_heartbeat(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.fail("getMe", "hang")
    make_heartbeat(context, beat_seconds=0.2).beat()
    assert list_states(context) == ["unreachable"]


# Start and stop


def test_the_heartbeat_runs_from_start_to_close(context: WorkerContext) -> None:
    heartbeat = make_heartbeat(context, beat_seconds=0.05)
    heartbeat.start()
    for _ in range(2):
        wait_until(lambda: list_states(context) == ["ok"])
        context.redis.delete(context.keys.worker("one"))
    heartbeat.close()
    assert not context.redis.exists(context.keys.worker("one"), context.keys.workers)


def test_closing_removes_the_worker_at_once(context: WorkerContext, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    heartbeat.close()
    assert not context.redis.exists(context.keys.worker("one"), context.keys.workers)


def test_a_heartbeat_in_progress_does_not_restore_a_closed_worker(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    telegram.fail("getMe", "late", seconds=0.2)
    beating = threading.Thread(target=heartbeat.beat)
    beating.start()
    wait_until(lambda: telegram.calls["getMe"] == 1)
    heartbeat.close()
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


def test_the_worker_status_contains_no_secret(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    heartbeat.beat()
    assert telegram.token not in str(context.redis.get(context.keys.worker("one")))


def test_the_worker_status_of_another_release_is_read(context: WorkerContext, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    said = json.loads(context.redis.get(context.keys.worker("one")) or "")
    context.redis.set(context.keys.worker("one"), json.dumps(said | {"release": "next", "bot": "asleep"}))
    statuses = list_worker_statuses(context.redis, context.keys)
    assert [status.name for status in statuses] == ["one"]
    assert judge_bot(statuses) == "unknown"


def test_a_worker_status_has_defaults() -> None:
    assert WorkerStatus("one") == WorkerStatus("one", "unknown", "", "")
