"""Refreshing a profile: look it up, warm its picture, then show it."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.conftest import list_traces, next_id
from tests.support.backoff import end_negatives
from tests.support.steps import is_ready
from tests.warmer.flow.conftest import RED, TEAL, follow, get_partner, mark_old, meanwhile, show_and_change
from warmer.deadline import JobContext
from warmer.flow.warm import warm_photo
from warmer.keys import Subject
from warmer.photo import Unavailable
from warmer.wiring import WorkerContext


def test_the_first_picture_is_looked_up_warmed_and_shown(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    assert follow(context, partner_id) == "done"
    shown = get_partner(context, partner_id).photo_file_id
    assert shown == telegram.world.file_id(partner_id, 320)
    assert is_ready(context.steps.store, str(shown))
    assert telegram.calls == {"getUserProfilePhotos": 1, "getFile": 1, "download": 1}


def test_an_id_that_never_registered_has_a_record_and_no_place_in_the_list(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    follow(context, user_id)
    person = context.people.get(user_id)
    assert (person.shown, person.is_registered) == ((telegram.world.file_id(user_id, 320),), False)
    assert is_ready(context.steps.store, person.shown[0])
    assert context.people.list_recent_ids(10) == []


def test_a_pinned_partner_is_not_looked_up(context: WorkerContext, user_id: int, telegram: FakeTelegram) -> None:
    context.people.register(user_id, "Ann", telegram.world.file_id(user_id))
    assert "pinned" in follow(context, user_id)
    assert not telegram.calls


def test_two_refreshes_of_one_profile_at_once_are_one(context: WorkerContext, partner_id: int) -> None:
    context.steps.leases.take(Subject.of_person(partner_id), "warm")
    assert follow(context, partner_id) == "skipped: held by another worker"


def test_an_unchanged_picture_is_not_downloaded_again(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    telegram.reset()
    mark_old(context, partner_id)
    assert follow(context, partner_id, "rewarm") == "done"
    assert telegram.calls == {"getUserProfilePhotos": 1}


@pytest.mark.parametrize("width", [160, 320, 640])
def test_a_picture_counts_as_unchanged_in_each_of_its_sizes(
    context: WorkerContext, user_id: int, telegram: FakeTelegram, width: int
) -> None:
    shown = telegram.world.file_id(user_id, width)
    context.people.register(user_id, "Ann", shown)
    warm_photo(shown, JobContext.start("warm", 0), context.steps)
    context.people.register(user_id, "Ann", None)
    telegram.reset()
    assert follow(context, user_id) == "done"
    assert telegram.calls == {"getUserProfilePhotos": 1}
    assert get_partner(context, user_id).photo_file_id == shown


def test_a_recent_lookup_is_not_repeated(context: WorkerContext, partner_id: int, telegram: FakeTelegram) -> None:
    follow(context, partner_id)
    telegram.reset()
    assert follow(context, partner_id) == "done"
    assert not telegram.calls


def test_a_check_renews_the_picture_without_a_download(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    key = context.keys.variant(telegram.world.file_id(partner_id, 320), 80, "webp")
    context.redis.expire(key, 60)
    mark_old(context, partner_id)
    follow(context, partner_id, "rewarm")
    assert context.redis.ttl(key) > 60
    assert telegram.calls["download"] == 1


def test_a_changed_picture_is_fetched_and_shown(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    show_and_change(context, telegram, partner_id)
    assert follow(context, partner_id, "rewarm") == "done"
    new = telegram.world.file_id(partner_id, 320)
    assert context.people.get(partner_id).shown == (new,)
    assert telegram.calls == {"getUserProfilePhotos": 2, "getFile": 2, "download": 2}


def test_the_old_picture_stays_until_the_new_one_is_ready(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    old = show_and_change(context, telegram, partner_id)
    telegram.fail("download", "bad-gateway")
    assert follow(context, partner_id).startswith("postponed")
    assert get_partner(context, partner_id).photo_file_id == old
    assert is_ready(context.steps.store, old)
    assert follow(context, partner_id) == "done"
    assert get_partner(context, partner_id).photo_file_id == telegram.world.file_id(partner_id, 320) != old


def test_an_unavailable_new_picture_leaves_the_old_one(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    old = show_and_change(context, telegram, partner_id)
    telegram.fail("download", "not-an-image")
    assert follow(context, partner_id).startswith("unavailable: gave-up")
    assert get_partner(context, partner_id).photo_file_id == old
    assert is_ready(context.steps.store, old)


def test_a_changed_group_picture_is_found_although_its_old_file_id_is_invalid(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    telegram.world.add_chat(chat_id := -next_id(), "Us", picture=TEAL)
    context.people.register(chat_id, "Us", None)
    show_and_change(context, telegram, chat_id)
    assert follow(context, chat_id) == "done"
    assert get_partner(context, chat_id).photo_file_id == telegram.world.file_id(chat_id, 640)


def test_a_hidden_picture_is_removed(context: WorkerContext, partner_id: int, telegram: FakeTelegram) -> None:
    follow(context, partner_id)
    shown = telegram.world.file_id(partner_id, 320)
    telegram.world.hide_photo(partner_id)
    mark_old(context, partner_id)
    assert follow(context, partner_id, "rewarm").startswith("unavailable: none")
    assert list_traces(context.redis, shown) == []
    assert get_partner(context, partner_id).photo_file_id is None
    assert context.steps.store.get_unavailable(Subject.of_person(partner_id)) == Unavailable("none")


def test_a_hidden_picture_that_another_partner_shows_stays(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    context.people.register(next_id(), "Bob", shown := telegram.world.file_id(partner_id, 320))
    telegram.world.hide_photo(partner_id)
    mark_old(context, partner_id)
    follow(context, partner_id)
    assert is_ready(context.steps.store, shown)
    assert context.people.get(partner_id).shown == ()


def test_a_picture_that_is_visible_again_is_warmed_again(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    telegram.world.hide_photo(partner_id)
    mark_old(context, partner_id)
    follow(context, partner_id)
    telegram.world.show_photo(partner_id)
    end_negatives(context.redis)
    assert follow(context, partner_id) == "done"
    assert is_ready(context.steps.store, telegram.world.file_id(partner_id, 320))
    assert context.steps.store.get_unavailable(Subject.of_person(partner_id)) is None


def test_a_postponed_warming_continues_without_a_second_lookup(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "bad-gateway")
    assert follow(context, partner_id).startswith("postponed")
    assert follow(context, partner_id) == "done"
    assert telegram.calls == {"getUserProfilePhotos": 1, "getFile": 2, "download": 1}


def test_a_picture_that_another_worker_warms_is_shown_soon(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    lease = context.steps.leases.take(telegram.world.file_id(partner_id, 320), "hot")
    assert follow(context, partner_id).startswith("postponed")
    context.steps.leases.release(lease)
    assert follow(context, partner_id) == "done"
    assert telegram.calls["getUserProfilePhotos"] == 1


def test_a_picture_that_lacks_its_larger_sizes_is_not_shown_yet(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    """A client of its own URL waits for a smaller one, which a worker makes from what is stored."""
    shown = show_and_change(context, telegram, partner_id)
    warm_photo(new := telegram.world.file_id(partner_id, 320), JobContext.start("warm", 0), context.steps)
    context.redis.delete(context.keys.variant(new, 320, "webp"))
    context.redis.sadd(context.keys.wanted(new), "160.jpeg")
    assert follow(context, partner_id, "hot").startswith("postponed")
    assert context.steps.store.get(new, 160, "jpeg")
    assert context.people.get(partner_id).photo_file_id == shown
    assert follow(context, partner_id, "hot") == "done"
    assert is_ready(context.steps.store, new)
    assert context.people.get(partner_id).photo_file_id == new


def test_an_unavailable_picture_is_not_requested_again(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "invalid-file-id", times=None)
    for _ in range(2):
        assert follow(context, partner_id).startswith("unavailable")
        context.redis.delete(context.keys.unavailable(Subject.of_person(partner_id)))  # that of the profile expires
    assert telegram.calls == {"getUserProfilePhotos": 2, "getFile": 1}


def test_a_picture_that_crashes_its_worker_is_not_tried_again(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    shown = telegram.world.file_id(partner_id, 320)
    context.redis.sadd(context.keys.crashes(shown), "one", "two", "three")
    assert follow(context, partner_id).startswith("unavailable: gave-up")
    assert not telegram.calls["getFile"]


def test_a_picture_pinned_meanwhile_is_not_overwritten(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    pinned = telegram.world.add_file(RED)
    follow(
        context,
        partner_id,
        steps=meanwhile(context, "fetch", lambda: context.people.register(partner_id, "Ann", pinned)),
    )
    assert get_partner(context, partner_id).photo_file_id == pinned
    assert not is_ready(context.steps.store, telegram.world.file_id(partner_id, 320))


def test_the_old_picture_stays_when_a_new_one_is_pinned_meanwhile(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    shown, pinned = telegram.world.file_id(partner_id, 320), telegram.world.add_file(RED)
    mark_old(context, partner_id)
    follow(
        context,
        partner_id,
        steps=meanwhile(context, "look_up_profile", lambda: context.people.register(partner_id, "Ann", pinned)),
    )
    assert context.people.get(partner_id).shown == (pinned, shown)
    assert is_ready(context.steps.store, shown)


def test_a_registration_during_a_refresh_is_followed_by_another_look_up(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id, steps=meanwhile(context, "put", lambda: context.people.register(partner_id, "Ann")))
    assert context.schedule.take(10, 60) == [Subject.of_person(partner_id)]
    assert follow(context, partner_id) == "done"
    assert telegram.calls["getUserProfilePhotos"] == 2
