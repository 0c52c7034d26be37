"""What workers say of themselves, and of the bot."""

from __future__ import annotations

import json
import threading

import pytest

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.support.remaining import remaining
from warmer.errors import TokenRejected
from warmer.state.workers import Pulse, judge_bot, list_pulses
from warmer.wiring import Workshop
from warmer.worker.heartbeat import BEAT_SECONDS, TTL_SECONDS, Heartbeat


def make_heartbeat(shop: Workshop, name: str = "one", beat_seconds: float = BEAT_SECONDS) -> Heartbeat:
    return Heartbeat(name, shop.redis, shop.keys, shop.telegram, shop.budget, beat_seconds)


@pytest.fixture
def heartbeat(shop: Workshop) -> Heartbeat:
    return make_heartbeat(shop)


def list_states(shop: Workshop) -> list[str]:
    return [pulse.bot for pulse in list_pulses(shop.redis, shop.keys)]


def test_a_beat_names_the_worker_and_the_bot(shop: Workshop, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    (pulse,) = list_pulses(shop.redis, shop.keys)
    assert (pulse.name, pulse.bot) == ("one", "ok")
    assert pulse.bot_name
    assert pulse.bot_username


def test_a_silent_worker_disappears(shop: Workshop, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    assert shop.redis.ttl(shop.keys.worker("one")) == remaining(15)
    shop.redis.delete(shop.keys.worker("one"))
    assert list_pulses(shop.redis, shop.keys) == []


def test_one_beat_may_be_lost() -> None:
    assert 2 * BEAT_SECONDS < TTL_SECONDS


def test_nobody_is_there_at_first(shop: Workshop) -> None:
    assert list_pulses(shop.redis, shop.keys) == []


def test_each_worker_is_listed(shop: Workshop) -> None:
    for name in ("one", "two"):
        make_heartbeat(shop, name).beat()
    assert {pulse.name for pulse in list_pulses(shop.redis, shop.keys)} == {"one", "two"}


def test_names_of_workers_long_gone_are_cleared(shop: Workshop, heartbeat: Heartbeat) -> None:
    shop.redis.zadd(shop.keys.workers, {"old": 1, "silent": shop.redis.time()[0] - 2 * TTL_SECONDS})
    heartbeat.beat()
    assert shop.redis.zrange(shop.keys.workers, 0, -1) == [b"silent", b"one"]


# The bot


def test_the_bot_is_asked_for_once(heartbeat: Heartbeat, telegram: FakeTelegram) -> None:
    for _ in range(3):
        heartbeat.beat()
    assert telegram.calls == {"getMe": 1}


def test_a_refused_token_halts_every_call_and_is_said_loudly(
    shop: Workshop, heartbeat: Heartbeat, telegram: FakeTelegram, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.fail("getMe", "unauthorized")
    heartbeat.beat()
    assert list_states(shop) == ["unauthorized"]
    assert "CRITICAL" in {record.levelname for record in caplog.records}
    with pytest.raises(TokenRejected):
        shop.budget.check_pause()


def test_a_passing_get_me_lets_everybody_call_again(
    shop: Workshop, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    telegram.fail("getMe", "not-found")
    heartbeat.beat()
    heartbeat.beat()
    assert list_states(shop) == ["ok"]
    shop.budget.check_pause()


def test_a_worker_that_was_content_looks_again_when_another_halted_the_calls(
    shop: Workshop, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    heartbeat.beat()
    shop.budget.halt()
    heartbeat.beat()
    assert not shop.budget.is_halted()
    assert telegram.calls == {"getMe": 2}


@pytest.mark.parametrize(
    "fault", ["bad-gateway", "connection-reset", "user-deactivated", "oversize", "not-json", "invalid-file-id"]
)
def test_whatever_get_me_answers_the_worker_beats_on(
    shop: Workshop, heartbeat: Heartbeat, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("getMe", fault)
    heartbeat.beat()
    assert list_states(shop) == ["unreachable"]
    assert not shop.budget.is_halted()
    heartbeat.beat()
    assert list_states(shop) == ["ok"]


def test_an_unreachable_telegram_ends_no_halt(shop: Workshop, heartbeat: Heartbeat, telegram: FakeTelegram) -> None:
    shop.budget.halt()
    telegram.fail("getMe", "bad-gateway")
    heartbeat.beat()
    assert shop.budget.is_halted()


def test_a_429_of_get_me_is_a_pause_for_all_and_for_get_me(
    shop: Workshop, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    telegram.fail("getMe", "too-many-requests", retry_after=7)
    heartbeat.beat()
    heartbeat.beat()
    assert shop.budget.get_pause() == remaining(7)
    assert telegram.calls == {"getMe": 1}
    assert list_states(shop) == ["unreachable"]


def test_a_telegram_that_hangs_silences_no_worker(shop: Workshop, telegram: FakeTelegram) -> None:
    telegram.fail("getMe", "hang")
    make_heartbeat(shop, beat_seconds=0.2).beat()
    assert list_states(shop) == ["unreachable"]


# Start and stop


def test_it_beats_from_its_start_to_its_stop(shop: Workshop) -> None:
    heartbeat = make_heartbeat(shop, beat_seconds=0.05)
    heartbeat.start()
    for _ in range(2):
        wait_until(lambda: list_states(shop) == ["ok"])
        shop.redis.delete(shop.keys.worker("one"))
    heartbeat.close()
    assert not shop.redis.exists(shop.keys.worker("one"), shop.keys.workers)


def test_a_worker_that_is_closed_is_gone_at_once(shop: Workshop, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    heartbeat.close()
    assert not shop.redis.exists(shop.keys.worker("one"), shop.keys.workers)


def test_a_beat_that_is_under_way_does_not_outlive_the_stop(
    shop: Workshop, heartbeat: Heartbeat, telegram: FakeTelegram
) -> None:
    telegram.fail("getMe", "late", seconds=0.2)
    beating = threading.Thread(target=heartbeat.beat)
    beating.start()
    wait_until(lambda: telegram.calls["getMe"] == 1)
    heartbeat.close()
    beating.join()
    assert list_pulses(shop.redis, shop.keys) == []
    assert not shop.redis.exists(shop.keys.worker("one"))


def test_a_redis_that_is_away_for_a_moment_does_not_end_it(shop: Workshop) -> None:
    heartbeat = make_heartbeat(shop, beat_seconds=0.05)
    shop.redis.set(shop.keys.workers, "of a wrong type")  # every beat fails with an error of Redis
    heartbeat.start()
    wait_until(lambda: shop.redis.exists(shop.keys.worker("one")))
    shop.redis.delete(shop.keys.workers)
    wait_until(lambda: shop.redis.exists(shop.keys.workers))
    heartbeat.close()


def test_the_pulse_holds_no_secret(shop: Workshop, heartbeat: Heartbeat, telegram: FakeTelegram) -> None:
    heartbeat.beat()
    assert telegram.token not in str(shop.redis.get(shop.keys.worker("one")))


def test_a_pulse_of_another_release_is_read(shop: Workshop, heartbeat: Heartbeat) -> None:
    heartbeat.beat()
    said = json.loads(shop.redis.get(shop.keys.worker("one")) or "")
    shop.redis.set(shop.keys.worker("one"), json.dumps(said | {"release": "next", "bot": "asleep"}))
    pulses = list_pulses(shop.redis, shop.keys)
    assert [pulse.name for pulse in pulses] == ["one"]
    assert judge_bot(pulses) == "unknown"


def test_a_pulse_has_defaults() -> None:
    assert Pulse("one") == Pulse("one", "unknown", "", "")
