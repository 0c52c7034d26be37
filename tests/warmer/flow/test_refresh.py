"""A refresh: a profile is looked up now, whatever is known about it, and at most once a minute."""

from __future__ import annotations

from faketelegram import FakeTelegram
from tests.conftest import next_id
from tests.support.remaining import remaining
from tests.support.steps import is_ready, replace_steps
from tests.warmer.flow.conftest import RED, TEAL, follow
from tests.warmer.flow.refreshing import end_the_minute, get_next_run, is_wanted, refresh, request
from warmer.errors import UpstreamFailed
from warmer.keys import REFRESHED_SECONDS, Subject
from warmer.photo import PhotoSize, Unavailable
from warmer.wiring import WorkerContext


def test_a_profile_that_was_looked_up_a_moment_ago_is_looked_up_again(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    follow(context, user_id)
    telegram.world.change_photo(user_id, RED)
    assert refresh(context, user_id) == "done"
    new = telegram.world.file_id(user_id, 320)
    assert context.people.get(user_id).shown == (new,)
    assert is_ready(context.steps.store, new)
    assert telegram.calls["getUserProfilePhotos"] == 2


def test_an_unchanged_picture_is_not_fetched_again(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    follow(context, user_id)
    telegram.reset()
    assert refresh(context, user_id) == "done"
    assert telegram.calls == {"getUserProfilePhotos": 1}


def test_a_second_refresh_within_a_minute_waits_for_its_end(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    refresh(context, user_id)
    telegram.world.change_photo(user_id, RED)
    telegram.reset()
    assert request(context, user_id) == []
    assert follow(context, user_id, "rewarm") == "done"  # another job comes first
    assert (dict(telegram.calls), is_wanted(context, user_id)) == ({}, True)
    assert get_next_run(context, user_id) == remaining(REFRESHED_SECONDS + 1, rel=0.02)
    end_the_minute(context, user_id)
    assert follow(context, user_id, "rewarm") == "done"
    assert context.people.get(user_id).shown == (telegram.world.file_id(user_id, 320),)


def test_a_picture_that_appears_is_found_although_its_absence_is_known(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    telegram.world.hide_photo(user_id)
    assert follow(context, user_id).startswith("unavailable: none")
    telegram.world.show_photo(user_id)
    request(context, user_id)
    assert context.steps.store.get_unavailable(Subject.of_person(user_id)) == Unavailable("none")  # until it is known
    assert follow(context, user_id) == "done"
    assert context.steps.store.get_unavailable(Subject.of_person(user_id)) is None
    assert context.people.get(user_id).shown == (telegram.world.file_id(user_id, 320),)


def test_a_picture_that_appears_and_cannot_be_fetched_at_once_is_fetched_later(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    telegram.world.hide_photo(user_id)
    follow(context, user_id)
    telegram.world.show_photo(user_id)
    telegram.fail("getFile", "bad-gateway")
    assert refresh(context, user_id).startswith("postponed")
    assert follow(context, user_id) == "done"
    assert telegram.calls["getUserProfilePhotos"] == 2


def test_a_picture_that_disappears_and_returns_within_a_minute_is_not_missed(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    telegram.world.hide_photo(user_id)
    assert refresh(context, user_id).startswith("unavailable: none")
    telegram.world.show_photo(user_id)
    assert request(context, user_id) == []
    assert follow(context, user_id) == "skipped: known to be unavailable"
    assert get_next_run(context, user_id) == remaining(REFRESHED_SECONDS + 1, rel=0.02)
    end_the_minute(context, user_id)
    assert follow(context, user_id) == "done"


def test_repeated_refreshes_of_an_id_without_a_picture_make_no_longer_entry(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    telegram.world.hide_photo(user_id)
    refresh(context, user_id)
    first = context.redis.ttl(context.keys.unavailable(Subject.of_person(user_id)))
    for _ in range(3):
        end_the_minute(context, user_id)
        refresh(context, user_id)
    assert context.redis.ttl(context.keys.unavailable(Subject.of_person(user_id))) <= first + 1


def test_a_group_is_refreshed_like_a_person(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_chat(chat_id := -next_id(), "Us", picture=TEAL)
    follow(context, chat_id)
    telegram.world.change_photo(chat_id, RED)
    assert refresh(context, chat_id) == "done"
    assert context.people.get(chat_id).shown == (telegram.world.file_id(chat_id, 640),)


def test_a_picture_that_is_pinned_meanwhile_ends_the_refresh_without_a_look_up(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    request(context, user_id)
    context.people.register(user_id, "Ann", telegram.world.file_id(user_id))
    assert "pinned" in follow(context, user_id)
    assert (dict(telegram.calls), is_wanted(context, user_id)) == ({}, False)


def test_a_postponed_warming_goes_on_without_another_look_up(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "bad-gateway")
    assert refresh(context, user_id).startswith("postponed")
    assert follow(context, user_id) == "done"
    assert telegram.calls["getUserProfilePhotos"] == 1


def test_a_refresh_that_fails_is_tried_again(context: WorkerContext, user_id: int, telegram: FakeTelegram) -> None:
    follow(context, user_id)
    telegram.world.change_photo(user_id, RED)
    telegram.fail("getUserProfilePhotos", "bad-gateway")
    assert refresh(context, user_id).startswith("postponed")
    assert is_wanted(context, user_id)
    assert follow(context, user_id) == "done"
    assert context.people.get(user_id).shown == (telegram.world.file_id(user_id, 320),)


def test_a_refresh_whose_worker_ended_is_done_by_the_next_one(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    follow(context, user_id)
    telegram.world.change_photo(user_id, RED)
    request(context, user_id)
    subject = Subject.of_person(user_id)
    context.steps.leases.take(subject, "warm", context.schedule)
    assert get_next_run(context, user_id) == remaining(31, rel=0.02)
    context.redis.delete(context.keys.lease(subject))  # it expires
    assert follow(context, user_id, "rewarm") == "done"
    assert context.people.get(user_id).shown == (telegram.world.file_id(user_id, 320),)


def test_a_refresh_that_is_given_up_is_not_tried_again_at_once(context: WorkerContext, user_id: int) -> None:
    def answer_oddly(*_: object) -> list[PhotoSize]:
        raise UpstreamFailed("an odd list of photos")

    steps = replace_steps(context.steps, look_up_profile=answer_oddly)
    request(context, user_id)
    outcomes = [follow(context, user_id, steps=steps) for _ in range(20)]
    assert [outcome.partition(":")[0] for outcome in outcomes] == ["postponed"] * 19 + ["unavailable"]
    assert (is_wanted(context, user_id), get_next_run(context, user_id)) == (False, None)
