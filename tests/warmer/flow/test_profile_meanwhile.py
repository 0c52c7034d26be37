"""Refreshing a profile while the person is forgotten, registered again, or handled by another worker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from faketelegram import FakeTelegram
from tests.conftest import list_traces, listening, next_id
from tests.support.people import change_record
from tests.support.steps import replace_steps
from tests.warmer.flow.conftest import TEAL, follow, get_partner, mark_old, meanwhile, show_and_change
from warmer.deadline import JobContext
from warmer.flow.warm import warm_photo
from warmer.keys import Subject
from warmer.photo import FilePath, SourceImage, Unavailable
from warmer.state.lease import Lease
from warmer.wiring import WorkerContext


@pytest.mark.parametrize("is_registered", [True, False])
def test_forgetting_during_a_refresh_leaves_no_trace(
    context: WorkerContext, user_id: int, telegram: FakeTelegram, step: str, is_registered: bool
) -> None:
    if is_registered:
        context.people.register(user_id, "Ann", None)
    follow(context, user_id, steps=meanwhile(context, step, lambda: context.steps.forget.person(user_id)))
    file_ids = [telegram.world.file_id(user_id, width) for width in (160, 320, 640)]
    assert list_traces(context.redis, user_id, *file_ids) == []


@pytest.mark.parametrize("fault", ["bad-gateway", "not-an-image"])
def test_forgetting_during_a_failure_leaves_no_trace(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("download", fault)

    def fetch(lease: Lease, job: JobContext, path: FilePath | None) -> SourceImage:
        try:
            return context.steps.fetch(lease, job, path)
        finally:
            context.steps.forget.person(partner_id)

    follow(context, partner_id, steps=replace_steps(context.steps, fetch=fetch))
    assert telegram.calls["download"] == 1
    assert list_traces(context.redis, partner_id, telegram.world.file_id(partner_id, 320)) == []


def test_a_shown_picture_that_is_forgotten_during_a_check_stays_forgotten(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    mark_old(context, partner_id)
    forget = meanwhile(context, "look_up_profile", lambda: context.steps.forget.person(partner_id))
    follow(context, partner_id, steps=forget)
    assert context.steps.store.get_unavailable(telegram.world.file_id(partner_id, 320)) == Unavailable("forgotten")


def test_forgetting_an_unregistered_person_covers_former_pictures(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    old = show_and_change(context, telegram, user_id)
    follow(context, user_id)
    context.steps.forget.person(user_id)
    for file_id in (old, telegram.world.file_id(user_id, 320)):
        assert context.steps.store.get_unavailable(file_id) == Unavailable("forgotten")


def test_an_invalid_file_id_leads_to_a_lookup_of_the_new_picture(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", public_only=True)
    context.people.register(user_id, "Ann", None)
    follow(context, user_id)
    dead = str(get_partner(context, user_id).photo_file_id)
    telegram.world.change_photo(user_id)
    context.redis.delete(*list(context.redis.scan_iter(f"*{{{dead}}}:*.webp")), context.keys.path(dead))
    warm_photo(dead, JobContext.start("warm", 0), context.steps)
    assert Subject.of_person(user_id) in context.schedule.take(10, 60)
    mark_old(context, user_id)
    follow(context, user_id, "rewarm")
    assert get_partner(context, user_id).photo_file_id not in (None, dead)


def test_a_picture_that_another_worker_holds_does_not_end_a_wait(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    lease = context.steps.leases.take(file_id := telegram.world.file_id(partner_id, 320), "warm")
    with listening(context.redis, context.keys.done) as hear:
        assert "held by another worker" in follow(context, partner_id, "hot")
        context.redis.publish(context.keys.done, "the end")
        said = list(iter(hear, b"the end"))
    assert [
        word for word in said if file_id.encode() in word
    ] == []  # a cluster may deliver a message of an earlier test late
    context.steps.leases.release(lease)


def test_a_skipped_lookup_does_not_change_the_time_of_the_last_one(context: WorkerContext, partner_id: int) -> None:
    follow(context, partner_id)
    before = context.people.get(partner_id).looked_up_at
    change_record(context.redis, context.keys, partner_id, looked_up_at=before - 5)
    follow(context, partner_id)
    assert context.people.get(partner_id).looked_up_at == before - 5


def test_forgetting_while_a_changed_picture_is_fetched_removes_both_pictures(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram, step: str
) -> None:
    old = show_and_change(context, telegram, partner_id)
    follow(context, partner_id, steps=meanwhile(context, step, lambda: context.steps.forget.person(partner_id)))
    assert list_traces(context.redis, partner_id, old, telegram.world.file_id(partner_id, 320)) == []


def test_a_person_forgotten_and_registered_again_meanwhile_gets_the_picture(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram, step: str
) -> None:
    def come_back() -> None:
        context.steps.forget.person(partner_id)
        context.steps.store.clear_tombstones(Subject.of_person(partner_id))
        context.people.register(partner_id, "Ann", None)

    follow(context, partner_id, steps=meanwhile(context, step, come_back))
    assert follow(context, partner_id) == "done"
    assert get_partner(context, partner_id).photo_file_id == telegram.world.file_id(partner_id, 320)


def test_a_forgotten_person_is_not_looked_up(context: WorkerContext, partner_id: int, telegram: FakeTelegram) -> None:
    context.steps.forget.person(partner_id)
    assert follow(context, partner_id) == "skipped: forgotten"
    assert not telegram.calls
    assert list_traces(context.redis, partner_id) == []


def test_forgetting_at_any_moment_leaves_no_trace(context: WorkerContext, telegram: FakeTelegram) -> None:
    ids = [next_id() for _ in range(64)]
    for one in ids:
        telegram.world.add_user(one, "Ann", picture=TEAL)
        context.people.register(one, "Ann", None)
    telegram.latency = 0.002

    def follow_then_forget_another(number: int) -> None:
        """Refresh several profiles before one is forgotten, so that some refreshes are in progress."""
        follow(context, ids[number])
        context.steps.forget.person(ids[(number + number % 16) % len(ids)])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(follow_then_forget_another, range(len(ids))))
        list(pool.map(context.steps.forget.person, ids))
    assert list_traces(context.redis, *ids, *(telegram.world.file_id(one, 320) for one in ids)) == []
