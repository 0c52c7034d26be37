"""A refresh while the profile is being looked up, while it is forgotten, or while another worker is at it."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.conftest import list_traces
from tests.support.remaining import remaining
from tests.support.steps import replace_steps
from tests.warmer.flow.conftest import RED, follow, meanwhile
from tests.warmer.flow.refreshing import end_the_minute, get_next_run, is_wanted, request
from warmer.deadline import JobContext
from warmer.keys import REFRESHED_SECONDS, Subject
from warmer.photo import PhotoSize
from warmer.wiring import WorkerContext


@pytest.mark.parametrize("is_refreshed", [True, False])
def test_a_refresh_that_is_requested_during_a_look_up_is_followed_by_another_one(
    context: WorkerContext, user_id: int, telegram: FakeTelegram, is_refreshed: bool
) -> None:
    def change() -> None:
        telegram.world.change_photo(user_id, RED)
        request(context, user_id)

    if is_refreshed:
        request(context, user_id)
    assert follow(context, user_id, steps=meanwhile(context, "look_up_profile", change)) == "done"
    assert is_wanted(context, user_id)
    assert get_next_run(context, user_id) == remaining(REFRESHED_SECONDS + 1 if is_refreshed else 0, rel=0.02)
    if is_refreshed:
        end_the_minute(context, user_id)
    assert follow(context, user_id) == "done"
    assert context.people.get(user_id).shown == (telegram.world.file_id(user_id, 320),)


def test_a_refresh_that_is_requested_while_a_picture_is_found_missing_is_followed_by_another_one(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    telegram.world.hide_photo(user_id)

    def look_up_profile(person_id: int, job: JobContext) -> list[PhotoSize]:
        try:
            return context.steps.look_up_profile(person_id, job)
        finally:
            telegram.world.show_photo(user_id)
            request(context, user_id)

    steps = replace_steps(context.steps, look_up_profile=look_up_profile)
    assert follow(context, user_id, steps=steps).startswith("unavailable: none")
    assert get_next_run(context, user_id) == remaining(0)
    assert follow(context, user_id) == "done"


def test_a_refresh_that_is_requested_during_a_job_that_is_dropped_is_not_lost(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "bad-gateway")
    steps = meanwhile(context, "look_up_profile", lambda: request(context, user_id))
    assert follow(context, user_id, "hot", steps).startswith("dropped")
    assert get_next_run(context, user_id) is not None
    assert follow(context, user_id, "rewarm") == "done"
    assert telegram.calls["getUserProfilePhotos"] == 2


def test_a_job_that_finds_another_worker_at_it_leaves_the_refresh_to_that_one(
    context: WorkerContext, user_id: int
) -> None:
    request(context, user_id)
    lease = context.steps.leases.take(Subject.of_person(user_id), "warm")
    assert follow(context, user_id) == "skipped: held by another worker"
    assert get_next_run(context, user_id) == remaining(31, rel=0.02)  # after that worker's lease
    context.steps.leases.release(lease)
    assert follow(context, user_id) == "done"


@pytest.mark.parametrize("is_registered", [True, False])
def test_forgetting_during_a_refresh_leaves_no_trace(
    context: WorkerContext, user_id: int, telegram: FakeTelegram, step: str, is_registered: bool
) -> None:
    if is_registered:
        context.people.register(user_id, "Ann", None)
    request(context, user_id)
    follow(context, user_id, steps=meanwhile(context, step, lambda: context.steps.forget.person(user_id)))
    file_ids = [telegram.world.file_id(user_id, width) for width in (160, 320, 640)]
    assert list_traces(context.redis, user_id, *file_ids) == []


def test_a_forgotten_person_is_not_looked_up(context: WorkerContext, user_id: int, telegram: FakeTelegram) -> None:
    request(context, user_id)
    context.steps.forget.person(user_id)
    assert request(context, user_id) == []
    assert follow(context, user_id) == "skipped: forgotten"
    assert (dict(telegram.calls), list_traces(context.redis, user_id)) == ({}, [])
