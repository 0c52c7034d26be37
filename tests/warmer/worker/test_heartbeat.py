"""What workers say of themselves, and of the bot."""

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
    return [pulse.bot for pulse in list_worker_statuses(context.redis, context.keys)]


def test_a_beat_names_the_worker_and_the_bot(context: WorkerContext, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    (pulse,) = list_worker_statuses(context.redis, context.keys)
    assert (pulse.name, pulse.bot) == ("one", "ok")
    assert pulse.bot_name
    assert pulse.bot_username


def test_a_silent_worker_disappears(context: WorkerContext, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    assert context.redis.ttl(context.keys.worker("one")) == remaining(15)
    context.redis.delete(context.keys.worker("one"))
    assert list_worker_statuses(context.redis, context.keys) == []


def test_one_beat_may_be_lost() -> None:
    assert 2 * BEAT_SECONDS < TTL_SECONDS


def test_nobody_is_there_at_first(context: WorkerContext) -> None:
    assert list_worker_statuses(context.redis, context.keys) == []


def test_each_worker_is_listed(context: WorkerContext) -> None:
    for name in ("one", "two"):
        make_heartbeat(context, name).beat()
    assert {pulse.name for pulse in list_worker_statuses(context.redis, context.keys)} == {"one", "two"}


def test_names_of_workers_long_gone_are_cleared(context: WorkerContext, heartbeat: Heartbeat) -> None:
    context.redis.zadd(context.keys.workers, {"old": 1, "silent": context.redis.time()[0] - 2 * TTL_SECONDS})
    heartbeat.beat()
    assert context.redis.zrange(context.keys.workers, 0, -1) == [b"silent", b"one"]


# The bot


def test_the_bot_is_asked_for_once(heartbeat: Heartbeat, telegram: FakeTelegram) -> None:
    for _ in range(3):
        heartbeat.beat()
    assert telegram.calls == {"getMe": 1}


def test_a_refused_token_halts_every_call_and_is_said_loudly(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.fail("getMe", "unauthorized")
    heartbeat.beat()
    assert list_states(context) == ["unauthorized"]
    assert "CRITICAL" in {record.levelname for record in caplog.records}
    with pytest.raises(TokenRejected):
        context.budget.check_pause()


def test_a_passing_get_me_lets_everybody_call_again(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    telegram.fail("getMe", "not-found")
    heartbeat.beat()
    heartbeat.beat()
    assert list_states(context) == ["ok"]
    context.budget.check_pause()


def test_a_worker_that_was_content_looks_again_when_another_halted_the_calls(
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
def test_whatever_get_me_answers_the_worker_beats_on(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("getMe", fault)
    heartbeat.beat()
    assert list_states(context) == ["unreachable"]
    assert not context.budget.is_halted()
    heartbeat.beat()
    assert list_states(context) == ["ok"]


def test_an_unreachable_telegram_ends_no_halt(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    context.budget.halt()
    telegram.fail("getMe", "bad-gateway")
    heartbeat.beat()
    assert context.budget.is_halted()


def test_a_429_of_get_me_is_a_pause_for_all_and_for_get_me(
    context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    telegram.fail("getMe", "too-many-requests", retry_after=7)
    heartbeat.beat()
    heartbeat.beat()
    assert context.budget.get_pause() == remaining(7)
    assert telegram.calls == {"getMe": 1}
    assert list_states(context) == ["unreachable"]


def test_a_telegram_that_hangs_silences_no_worker(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.fail("getMe", "hang")
    make_heartbeat(context, beat_seconds=0.2).beat()
    assert list_states(context) == ["unreachable"]


# Start and stop


def test_it_beats_from_its_start_to_its_stop(context: WorkerContext) -> None:
    heartbeat = make_heartbeat(context, beat_seconds=0.05)
    heartbeat.start()
    for _ in range(2):
        wait_until(lambda: list_states(context) == ["ok"])
        context.redis.delete(context.keys.worker("one"))
    heartbeat.close()
    assert not context.redis.exists(context.keys.worker("one"), context.keys.workers)


def test_a_worker_that_is_closed_is_gone_at_once(context: WorkerContext, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    heartbeat.close()
    assert not context.redis.exists(context.keys.worker("one"), context.keys.workers)


def test_a_beat_that_is_under_way_does_not_outlive_the_stop(
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


def test_a_redis_that_is_away_for_a_moment_does_not_end_it(context: WorkerContext) -> None:
    heartbeat = make_heartbeat(context, beat_seconds=0.05)
    context.redis.set(context.keys.workers, "of a wrong type")  # every beat fails with an error of Redis
    heartbeat.start()
    wait_until(lambda: context.redis.exists(context.keys.worker("one")))
    context.redis.delete(context.keys.workers)
    wait_until(lambda: context.redis.exists(context.keys.workers))
    heartbeat.close()


def test_the_pulse_holds_no_secret(context: WorkerContext, heartbeat: Heartbeat, telegram: FakeTelegram) -> None:
    heartbeat.beat()
    assert telegram.token not in str(context.redis.get(context.keys.worker("one")))


def test_a_pulse_of_another_release_is_read(context: WorkerContext, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    said = json.loads(context.redis.get(context.keys.worker("one")) or "")
    context.redis.set(context.keys.worker("one"), json.dumps(said | {"release": "next", "bot": "asleep"}))
    statuses = list_worker_statuses(context.redis, context.keys)
    assert [pulse.name for pulse in statuses] == ["one"]
    assert judge_bot(statuses) == "unknown"


def test_a_pulse_has_defaults() -> None:
    assert WorkerStatus("one") == WorkerStatus("one", "unknown", "", "")
