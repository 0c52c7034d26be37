"""Each check of the diagnosis, and its result when something is wrong."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from packaging.version import Version
from redis.exceptions import NoPermissionError

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.cli_parts import send_heartbeat
from tests.support.clock import Clock
from warmer.broker.publish import EAGER_MAX
from warmer.cli import checks as diagnose
from warmer.cli import redis_checks
from warmer.cli.checks import SETTLE_SECONDS, PartnerRow
from warmer.cli.redis_checks import CLOCK_SECONDS, Check, check_clock, check_policy, check_version
from warmer.keys import Subject
from warmer.observe.rates import REQUESTS_MIN
from warmer.wiring import WorkerContext


def test_every_check_has_a_result_for_an_empty_service(context: WorkerContext) -> None:
    answers = [check for check in diagnose.diagnose(context, 5, context.health.take()) if isinstance(check, Check)]
    assert {check.state for check in answers} == {"ok", "wrong", "unknown"}
    assert [check.question for check in answers if check.state == "wrong"] == ["Are workers alive?", "Is beat alive?"]


def test_while_redis_does_not_tell_the_partners_nothing_is_said_of_them(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise NoPermissionError

    health = context.health.take()
    monkeypatch.setattr(context.people, "list_recent", fail)
    answers = {check.question: check for check in diagnose.diagnose(context, 5, health) if isinstance(check, Check)}
    assert answers["Who are the recent partners?"].answer == "Redis does not tell: NoPermissionError"
    assert "Are there recent partners?" not in answers
    assert "How long does a cached read take?" not in answers


def ask(context: WorkerContext, question: str) -> tuple[str, str]:
    """Returns the state and the answer of the check with this question."""
    checks = {check.question: check for check in diagnose.check_health(context.health.take())}
    return checks[question].state, checks[question].answer


def test_the_check_of_workers_names_them(context: WorkerContext) -> None:
    send_heartbeat(context)
    assert ask(context, "Are workers alive?") == ("ok", "ok: w")


def test_a_call_that_fails_for_every_picture_is_named(context: WorkerContext) -> None:
    send_heartbeat(context)
    context.budget.begin_outage("download")
    assert ask(context, "Does the bot answer the workers?") == ("wrong", "unreachable: no usable answer to download")


def test_a_worker_that_fell_silent_is_named(context: WorkerContext) -> None:
    send_heartbeat(context)
    context.redis.zadd(context.keys.workers, {"lost": context.redis.time()[0] + 1})
    assert ask(context, "Are workers alive?") == ("wrong", "fewer: lost fell silent")


def test_messages_without_a_worker_are_wrong(context: WorkerContext) -> None:
    context.publisher.publish("A" * 24, "warm")
    assert diagnose.check_queues(context, context.health.take()).state == "wrong"
    send_heartbeat(context)
    assert diagnose.check_queues(context, context.health.take()).state == "ok"


def test_a_full_queue_is_noted(context: WorkerContext) -> None:
    send_heartbeat(context)
    context.publisher.publish_all([f"{number:024}" for number in range(EAGER_MAX)], "warm")
    assert diagnose.check_queues(context, context.health.take()).state == "noted"


def test_a_policy_that_evicts_records_is_wrong(context: WorkerContext) -> None:
    assert check_policy(context).state == "ok"
    context.redis.config_set("maxmemory-policy", "allkeys-lru")
    context.redis.config_set("maxmemory", 100_000_000)
    try:
        assert check_policy(context).state == "wrong"
    finally:
        context.redis.config_set("maxmemory", 0)
        context.redis.config_set("maxmemory-policy", "noeviction")


def test_a_redis_that_is_too_old_is_wrong(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_version(context).state == "ok"
    monkeypatch.setattr(redis_checks, "REDIS_MIN", Version("1000"))
    assert check_version(context).state == "wrong"


@pytest.mark.parametrize("seconds", [-60 - CLOCK_SECONDS, 60 + CLOCK_SECONDS])
def test_a_clock_that_differs_from_that_of_redis_is_wrong(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    assert check_clock(context).state == "ok"
    shown = time.time() + seconds
    monkeypatch.setattr("time.time", lambda: shown)
    assert check_clock(context).state == "wrong"


def test_a_bot_that_answers_neither_the_workers_nor_this_machine_is_wrong(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    health = context.health.take()
    assert diagnose.check_bot(context, health).state == "ok"
    telegram.fail("getMe", "unauthorized", times=None)
    assert diagnose.check_bot(context, health).state == "wrong"
    well = replace(health, checks=health.checks | {"bot": "ok"})
    assert diagnose.check_bot(context, well).state == "noted", "this machine need not reach Telegram"


def test_a_missing_picture_is_noted(context: WorkerContext, telegram: FakeTelegram) -> None:
    file_id = telegram.world.add_file(make_picture())
    context.redis.set(context.keys.unavailable(file_id), "gave-up")
    context.people.register(next_id(), "Ann", file_id)
    (row,) = diagnose.describe_all(5, context)
    assert (row.status, row.bytes_by_variant) == ("unavailable", {})
    assert [check.state for check in diagnose.check_partners([row])] == ["ok", "noted"]
    assert diagnose.check_fetch([row], context, context.health.take()).state == "ok"
    assert diagnose.check_read([row], context).state == "unknown"


def test_diagnose_waits_for_a_picture_that_is_warming(context: WorkerContext) -> None:
    clock = Clock()
    context.people.register(user_id := next_id(), "Ann", None)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 3:
            context.redis.set(context.keys.unavailable(Subject.of_person(user_id)), "none")

    (row,) = diagnose.describe_all(5, context, clock=clock, sleep=sleep)
    assert (row.status, len(clock.slept)) == ("none", 3)


def test_diagnose_waits_a_bounded_time_for_a_picture(context: WorkerContext) -> None:
    clock = Clock()
    context.people.register(next_id(), "Ann", None)
    (row,) = diagnose.describe_all(5, context, clock=clock, sleep=clock.sleep)
    assert (row.status, sum(clock.slept)) == ("warming", SETTLE_SECONDS)
    assert [check.state for check in diagnose.check_partners([row])] == ["noted", "noted"]


def test_a_partner_without_a_photo_is_ok(context: WorkerContext) -> None:
    context.people.register(user_id := next_id(), "Ann", None)
    context.redis.set(context.keys.unavailable(Subject.of_person(user_id)), "none")
    rows = diagnose.describe_all(5, context)
    assert rows == [PartnerRow(user_id, "Ann", None, "none", None)]
    assert {check.state for check in diagnose.check_partners(rows)} == {"ok"}


@pytest.mark.parametrize(
    ("hits", "errors", "states"),
    [(REQUESTS_MIN, 0, ["ok", "ok"]), (1, 0, ["noted", "ok"]), (REQUESTS_MIN, 1, ["ok", "noted"])],
)
def test_hit_and_error_rates_are_compared_with_their_targets(
    context: WorkerContext, hits: int, errors: int, states: list[str]
) -> None:
    context.stats.count({"hits": hits, "misses": REQUESTS_MIN - hits, "requests": REQUESTS_MIN, "errors": errors})
    context.stats.flush()
    assert [check.state for check in diagnose.check_rates("hour", 60, context)] == states


def test_rates_of_few_requests_are_unknown(context: WorkerContext) -> None:
    assert {check.state for check in diagnose.check_rates("day", 1440, context)} == {"unknown"}
