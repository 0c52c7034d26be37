"""The rounds that beat starts: what is due is published, and the newest are all looked after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.clock import Clock
from tests.support.remaining import remaining
from warmer.deadline import Errand
from warmer.errors import NotMine
from warmer.flow.profile import follow_profile
from warmer.flow.warm import warm_photo
from warmer.keys import user_of, user_subject
from warmer.settings import Settings
from warmer.state.budget import Budget
from warmer.state.stats import sum_minutes
from warmer.wiring import Workshop
from warmer.worker import rounds
from warmer.worker.rounds import POSTPONE_SECONDS, REWARM_MAX, SPREAD_SECONDS, keep_newest, run_tick

FID = "AgACAgIAAxkBAAIBcGab"


@pytest.fixture
def file_id(telegram: FakeTelegram) -> str:
    return telegram.world.add_file(make_picture())


def list_turns(shop: Workshop) -> dict[str, float]:
    """Seconds until the turn of each subject that has one."""
    seconds, micros = shop.redis.time()
    scores: Any = shop.redis.zrange(shop.keys.due, 0, -1, withscores=True)
    return {subject.decode(): score - seconds - micros / 1e6 for subject, score in scores}


def list_published(shop: Workshop) -> list[str]:
    """The subjects of the waiting rewarm messages, oldest first; they are taken out."""
    subjects = []
    with shop.publisher.app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        while message := channel.basic_get("rewarm", no_ack=True):
            subjects.append(message.payload[0][0])
    return subjects


def work_off(shop: Workshop) -> list[str]:
    """What a worker would do with the waiting rewarm messages; how each ended."""
    outcomes = []
    for subject in list_published(shop):
        errand, user_id = Errand.start("rewarm", 0), user_of(subject)
        try:
            outcomes.append(
                warm_photo(subject, errand, shop.desk)
                if user_id is None
                else follow_profile(user_id, errand, shop.desk)
            )
        except NotMine as reason:
            outcomes.append(str(reason))
    return outcomes


def open_slots(shop: Workshop) -> None:
    """As if the time of the next round had come."""
    shop.redis.delete(shop.keys.slot("tick"), shop.keys.slot("keep_newest"))


def make_due(shop: Workshop, *subjects: str) -> None:
    for subject in subjects:
        shop.due.set(subject, -1)


# What is due


def test_what_is_due_is_published_and_nothing_else(shop: Workshop) -> None:
    make_due(shop, f"{FID}1", f"{FID}2")
    shop.due.set(f"{FID}3", 60)
    assert run_tick(shop) == 2
    assert list_published(shop) == [f"{FID}1", f"{FID}2"]


def test_a_lost_message_comes_again(shop: Workshop) -> None:
    make_due(shop, FID)
    run_tick(shop)
    assert list_turns(shop) == {FID: remaining(POSTPONE_SECONDS)}


def test_two_beats_make_one_round(shop: Workshop) -> None:
    make_due(shop, FID)
    assert [run_tick(shop), run_tick(shop)] == [1, 0]
    assert list_published(shop) == [FID]


def test_a_full_queue_leaves_what_is_due_where_it_is(shop: Workshop) -> None:
    for number in range(REWARM_MAX - 1):
        shop.publisher.ask(f"{FID}x{number}", "rewarm")
    make_due(shop, f"{FID}1", f"{FID}2")
    assert run_tick(shop) == 1
    open_slots(shop)
    assert run_tick(shop) == 0
    shop.publisher.ask(FID, "rewarm")  # now it is more than full
    open_slots(shop)
    assert run_tick(shop) == 0
    assert list_turns(shop)[f"{FID}2"] < 0


def slow_down(shop: Workshop, rate: float) -> Workshop:
    settings = shop.settings.model_copy(update={"telegram_rate": rate})
    return replace(shop, settings=settings, budget=Budget(shop.redis, shop.keys, rate))


def test_a_round_publishes_no_more_than_telegram_can_take(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "TICK_SECONDS", 0.5)
    make_due(shop, *(f"{FID}{number}" for number in range(30)))
    assert run_tick(slow_down(shop, 12), Clock().sleep) == int(12 * 0.5 * 0.9)


def test_a_round_spreads_a_burst_over_its_time(shop: Workshop) -> None:
    make_due(shop, *(f"{FID}{number}" for number in range(30)))
    clock = Clock()
    assert run_tick(slow_down(shop, 12), clock.sleep) == len(clock.slept) > 1
    assert sum(clock.slept) == pytest.approx(0.8 * rounds.TICK_SECONDS)
    assert len(set(clock.slept)) == 1  # evenly


def test_a_slow_budget_still_gets_one_a_round(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "TICK_SECONDS", 0.1)
    make_due(shop, f"{FID}1", f"{FID}2")
    assert run_tick(slow_down(shop, 0.1), Clock().sleep) == 1


# Renewal


def test_a_renewal_extends_every_ttl_without_any_call(shop: Workshop, file_id: str, telegram: FakeTelegram) -> None:
    shop.partners.register(1, "Ann", file_id)
    warm_photo(file_id, Errand.start("warm", 0), shop.desk)
    stored = [shop.keys.variant(file_id, size, "webp") for size in shop.settings.photo_sizes] + [
        shop.keys.preview(file_id)
    ]
    for key in stored:
        shop.redis.expire(key, 100)
    telegram.reset()
    make_due(shop, file_id)
    run_tick(shop)
    assert work_off(shop) == ["done"]
    assert not telegram.calls
    assert min(shop.redis.ttl(key) for key in stored) > shop.settings.photo_ttl * 0.89
    assert list_turns(shop)[file_id] == remaining(shop.settings.photo_ttl / 2)


def test_a_picture_nobody_shows_any_more_has_had_its_last_turn(shop: Workshop, file_id: str) -> None:
    warm_photo(file_id, Errand.start("warm", 0), shop.desk)
    make_due(shop, file_id)
    run_tick(shop)
    work_off(shop)
    assert list_turns(shop) == {}


def test_a_profile_is_checked_and_its_new_picture_shown(shop: Workshop, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=make_picture())
    shop.partners.register(user_id, "Ann", None)
    follow_profile(user_id, Errand.start("warm", 0), shop.desk)
    telegram.world.change_photo(user_id, make_picture(color="red"))
    shop.desk.profiles.mark_old(user_id)
    make_due(shop, user_subject(user_id))
    run_tick(shop)
    assert work_off(shop) == ["done"]
    assert shop.partners.list_photos(user_id) == [telegram.world.file_id(user_id, 320)]
    assert list_turns(shop)[user_subject(user_id)] > shop.settings.profile_check_every * 0.89


def test_a_passing_failure_is_tried_again_by_the_round(shop: Workshop, file_id: str, telegram: FakeTelegram) -> None:
    telegram.fail("getFile", "bad-gateway")
    assert warm_photo(file_id, Errand.start("warm", 0), shop.desk).startswith("postponed")
    make_due(shop, file_id)
    run_tick(shop)
    assert work_off(shop) == ["done"]
    assert shop.desk.store.is_ready(file_id)


def test_the_picture_of_a_killed_worker_is_warm_after_its_lease(shop: Workshop, file_id: str) -> None:
    with pytest.raises(SystemExit), shop.desk.hold(file_id, "warm"):
        raise SystemExit
    shop.redis.delete(shop.keys.claim(file_id))  # the lease ran out
    make_due(shop, file_id)
    run_tick(shop)
    assert work_off(shop) == ["done"]


def test_a_forgotten_subject_has_had_its_last_turn(shop: Workshop, file_id: str, telegram: FakeTelegram) -> None:
    shop.desk.store.forget(file_id)
    make_due(shop, file_id)
    run_tick(shop)
    assert work_off(shop) == ["forgotten"]
    assert list_turns(shop) == {}
    assert not telegram.calls


# The newest


def test_every_picture_and_profile_of_the_newest_gets_a_turn(shop: Workshop) -> None:
    shop.partners.register(1, "pinned", f"{FID}1")
    shop.partners.register(2, "followed", None)
    shop.partners.adopt(2, f"{FID}2", "unique")
    shop.partners.register(3, "not looked up yet", None)
    assert keep_newest(shop) == 3
    assert set(list_turns(shop)) == {f"{FID}1", f"{FID}2", "user:2", "user:3"}
    half = SPREAD_SECONDS / 2
    assert [turn for turn in list_turns(shop).values() if turn != remaining(half, rel=1)] == []


def test_a_turn_that_is_set_stays(shop: Workshop) -> None:
    shop.partners.register(1, "Ann", FID)
    shop.due.set(FID, 1000)
    keep_newest(shop)
    assert list_turns(shop) == {FID: remaining(1000)}


def test_a_picture_remembered_as_unavailable_gets_no_early_turn(
    shop: Workshop, file_id: str, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "invalid-file-id")
    shop.partners.register(1, "Ann", file_id)
    warm_photo(file_id, Errand.start("warm", 0), shop.desk)
    keep_newest(shop)
    assert list_turns(shop)[file_id] > 86_000


def test_only_so_many_of_the_newest_are_kept(shop: Workshop) -> None:
    settings: Settings = shop.settings.model_copy(update={"rewarm_partners": 60})
    for number in range(70):
        shop.partners.register(number + 1, "Ann", f"{FID}{number}")
    assert keep_newest(replace(shop, settings=settings)) == 60
    assert set(list_turns(shop)) == {f"{FID}{number}" for number in range(10, 70)}


def test_two_beats_look_after_the_newest_once(shop: Workshop) -> None:
    shop.partners.register(1, "Ann", FID)
    assert [keep_newest(shop), keep_newest(shop)] == [1, 0]
    open_slots(shop)
    assert keep_newest(shop) == 1


def test_a_place_that_a_forgetting_left_is_cleared(shop: Workshop) -> None:
    shop.partners.register(1, "Ann", FID)
    shop.redis.zadd(shop.keys.recent, {"7": 1})
    keep_newest(shop)
    assert shop.partners.list_recent_ids(10) == [1]


# How much waits


def test_lengths_are_noted_once_a_minute_whoever_ticks(shop: Workshop) -> None:
    make_due(shop, f"{FID}1", f"{FID}2")
    shop.publisher.ask(f"{FID}3", "warm")
    assert rounds.sample_lengths(shop)
    assert not rounds.sample_lengths(shop)
    noted = sum_minutes(shop.redis, shop.keys, 2)
    lengths = {"queue:tick": 0, "queue:hot": 0, "queue:warm": 1, "queue:rewarm": 0, "due": 3}
    assert {name: noted[name] for name in lengths} == lengths
