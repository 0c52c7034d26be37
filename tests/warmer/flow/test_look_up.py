"""Profile lookup: from a user or chat id to its newest picture."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.remaining import remaining
from warmer.deadline import JobContext
from warmer.errors import NoPhoto, Paused, UpstreamFailed
from warmer.flow.profile import choose_size
from warmer.photo import PhotoSize
from warmer.wiring import WorkerContext

PICTURE = make_picture()
SIZES = [PhotoSize(f"id-{width}", f"unique-{width}", width) for width in (640, 160, 320)]  # unordered


def look_up(context: WorkerContext, user_id: int) -> list[PhotoSize]:
    return context.steps.look_up_profile(user_id, JobContext.start("warm", 0))


def test_a_visible_photo_takes_one_call(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=PICTURE)
    assert [size.width for size in look_up(context, user_id)] == [160, 320, 640]
    assert telegram.calls == {"getUserProfilePhotos": 1}


def test_a_public_photo_is_found_by_get_chat(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=PICTURE, public_only=True)
    assert [size.width for size in look_up(context, user_id)] == [160, 640]
    assert telegram.calls == {"getUserProfilePhotos": 1, "getChat": 1}


def test_a_group_is_looked_up_by_get_chat_alone(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_chat(chat_id := -next_id(), "Us", picture=PICTURE)
    assert len(look_up(context, chat_id)) == 2
    assert telegram.calls == {"getChat": 1}


def test_a_missing_and_a_hidden_photo_look_the_same(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_user(bare := next_id(), "Ann", picture=None)
    telegram.world.add_user(hidden := next_id(), "Bob", picture=PICTURE)
    telegram.world.hide_photo(hidden)
    for user_id in (bare, hidden):
        with pytest.raises(NoPhoto):
            look_up(context, user_id)


def test_an_unknown_or_deleted_person_has_no_photo(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_user(gone := next_id(), "Ann", picture=PICTURE)
    telegram.world.deactivate(gone)
    for user_id in (gone, next_id(), -next_id(), 0):
        with pytest.raises(NoPhoto):
            look_up(context, user_id)
    assert telegram.calls == {"getUserProfilePhotos": 2, "getChat": 4}  # getUserProfilePhotos alone proves nothing


def test_a_failure_of_get_chat_does_not_count_as_no_photo(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=PICTURE, public_only=True)
    telegram.fail("getChat", "temporarily-unavailable")
    with pytest.raises(UpstreamFailed):
        look_up(context, user_id)


def test_a_429_pauses_all_workers(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=PICTURE)
    telegram.fail("getUserProfilePhotos", "too-many-requests", retry_after=5)
    with pytest.raises(Paused):
        look_up(context, user_id)
    assert context.budget.get_pause() == remaining(5)


@pytest.mark.parametrize(("width", "chosen"), [(80, 160), (160, 160), (161, 320), (320, 320), (640, 640), (641, 640)])
def test_the_smallest_size_that_is_large_enough_is_chosen(width: int, chosen: int) -> None:
    assert choose_size(SIZES, width).width == chosen
