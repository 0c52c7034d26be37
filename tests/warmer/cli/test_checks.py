"""Each question of the diagnosis, and its answer when something is wrong."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.cli_parts import say_alive
from tests.support.clock import Clock
from warmer.broker.publish import EAGER_MAX
from warmer.cli import checks as diagnose
from warmer.cli.checks import REQUESTS_MIN, SETTLE_SECONDS, Check, PartnerRow
from warmer.keys import user_subject
from warmer.wiring import Workshop


def test_every_question_is_answered_for_an_empty_service(shop: Workshop) -> None:
    answers = [check for check in diagnose.diagnose(shop, 5) if isinstance(check, Check)]
    assert {check.state for check in answers} == {"ok", "wrong", "unknown"}
    assert [check.question for check in answers if check.state == "wrong"] == ["Are workers alive?"]


def test_workers_are_named(shop: Workshop) -> None:
    say_alive(shop)
    assert (diagnose.check_workers(shop).state, diagnose.check_workers(shop).answer) == ("ok", "w")


def test_messages_that_nobody_takes_are_wrong(shop: Workshop) -> None:
    shop.publisher.ask("A" * 24, "warm")
    assert diagnose.check_queues(shop).state == "wrong"
    say_alive(shop)
    assert diagnose.check_queues(shop).state == "ok"


def test_a_queue_that_is_full_is_wrong(shop: Workshop) -> None:
    say_alive(shop)
    shop.publisher.ask_all([f"{number:024}" for number in range(EAGER_MAX)], "warm")
    assert diagnose.check_queues(shop).state == "wrong"


def test_a_policy_that_evicts_records_is_wrong(shop: Workshop) -> None:
    assert diagnose.check_policy(shop).state == "ok"
    shop.redis.config_set("maxmemory-policy", "allkeys-lru")
    shop.redis.config_set("maxmemory", 100_000_000)
    try:
        assert diagnose.check_policy(shop).state == "wrong"
    finally:
        shop.redis.config_set("maxmemory", 0)
        shop.redis.config_set("maxmemory-policy", "noeviction")


def test_a_bot_that_is_refused_is_wrong(shop: Workshop, telegram: FakeTelegram) -> None:
    assert diagnose.check_bot(shop).state == "ok"
    telegram.fail("getMe", "unauthorized")
    assert diagnose.check_bot(shop).state == "wrong"


def test_a_picture_that_is_not_there_is_wrong(shop: Workshop, telegram: FakeTelegram) -> None:
    file_id = telegram.world.add_file(make_picture())
    shop.redis.set(shop.keys.unavailable(file_id), "gave-up")
    shop.partners.register(next_id(), "Ann", file_id)
    (row,) = diagnose.describe_all(5, shop)
    assert (row.status, row.bytes_by_variant) == ("unavailable", {})
    assert [check.state for check in diagnose.check_partners([row])] == ["ok", "wrong"]
    assert diagnose.check_fetch([row], shop).state == "ok"
    assert diagnose.check_read([row], shop).state == "unknown"


def test_what_is_being_warmed_is_waited_for(shop: Workshop) -> None:
    clock = Clock()
    shop.partners.register(user_id := next_id(), "Ann", None)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 3:
            shop.redis.set(shop.keys.unavailable(user_subject(user_id)), "none")

    (row,) = diagnose.describe_all(5, shop, clock=clock, sleep=sleep)
    assert (row.status, len(clock.slept)) == ("none", 3)


def test_what_is_never_warm_is_not_waited_for_without_end(shop: Workshop) -> None:
    clock = Clock()
    shop.partners.register(next_id(), "Ann", None)
    (row,) = diagnose.describe_all(5, shop, clock=clock, sleep=clock.sleep)
    assert (row.status, sum(clock.slept)) == ("warming", SETTLE_SECONDS)
    assert [check.state for check in diagnose.check_partners([row])] == ["wrong", "wrong"]


def test_who_has_no_photo_is_well(shop: Workshop) -> None:
    shop.partners.register(user_id := next_id(), "Ann", None)
    shop.redis.set(shop.keys.unavailable(user_subject(user_id)), "none")
    rows = diagnose.describe_all(5, shop)
    assert rows == [PartnerRow(user_id, "Ann", None, "none", None)]
    assert {check.state for check in diagnose.check_partners(rows)} == {"ok"}


@pytest.mark.parametrize(
    ("hits", "errors", "states"),
    [(REQUESTS_MIN, 0, ["ok", "ok"]), (1, 0, ["wrong", "ok"]), (REQUESTS_MIN, 1, ["ok", "wrong"])],
)
def test_rates_are_held_to_their_targets(shop: Workshop, hits: int, errors: int, states: list[str]) -> None:
    shop.stats.count({"hits": hits, "misses": REQUESTS_MIN - hits, "requests": REQUESTS_MIN, "errors": errors})
    shop.stats.flush()
    assert [check.state for check in diagnose.check_rates("hour", 60, shop)] == states


def test_few_requests_say_nothing(shop: Workshop) -> None:
    assert {check.state for check in diagnose.check_rates("day", 1440, shop)} == {"unknown"}
