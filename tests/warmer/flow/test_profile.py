"""Refreshing a profile: look it up, warm its picture, then show it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from faketelegram import FakeTelegram
from tests.conftest import list_traces, listening, make_picture, next_id, wait_until
from tests.support.people import change_record, outdate
from tests.support.steps import replace_steps
from warmer.deadline import JobContext
from warmer.flow.profile import refresh_profile
from warmer.flow.steps import FlowSteps
from warmer.flow.warm import warm_photo
from warmer.keys import Lane, Subject
from warmer.photo import PhotoSize, Rendering, SourceImage, Unavailable
from warmer.state.lease import Lease
from warmer.state.person import Person
from warmer.wiring import WorkerContext

TEAL, RED = make_picture(), make_picture(color="red")


@pytest.fixture
def user_id(telegram: FakeTelegram) -> int:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=TEAL)
    return user_id


@pytest.fixture
def partner_id(context: WorkerContext, user_id: int) -> int:
    """A registered partner whose picture follows the profile."""
    context.people.register(user_id, "Ann", None)
    return user_id


def follow(context: WorkerContext, user_id: int, lane: Lane = "warm", steps: FlowSteps | None = None) -> str:
    return str(refresh_profile(user_id, JobContext.start(lane, 0), steps or context.steps))


def mark_old(context: WorkerContext, user_id: int) -> None:
    outdate(context.redis, context.keys, user_id)


def get_partner(context: WorkerContext, partner_id: int) -> Person:
    person = context.people.get(partner_id)
    assert person.is_registered
    return person


# The first picture


def test_the_first_picture_is_looked_up_warmed_and_shown(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    assert follow(context, partner_id) == "done"
    shown = get_partner(context, partner_id).photo_file_id
    assert shown == telegram.world.file_id(partner_id, 320)
    assert context.steps.store.is_ready(str(shown))
    assert telegram.calls == {"getUserProfilePhotos": 1, "getFile": 1, "download": 1}


def test_the_smallest_sufficient_size_is_fetched(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    asked = [params["file_id"] for _, method, params in telegram.log if method == "getFile"]
    assert asked == [telegram.world.file_id(partner_id, 320)]


def test_an_id_that_never_registered_has_a_record_and_no_place_in_the_list(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    follow(context, user_id)
    person = context.people.get(user_id)
    assert (person.shown, person.is_registered) == ((telegram.world.file_id(user_id, 320),), False)
    assert context.steps.store.is_ready(person.shown[0])
    assert context.people.list_recent_ids(10) == []


def test_the_profile_of_a_group_comes_from_get_chat(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_chat(chat_id := -next_id(), "Us", picture=TEAL)
    context.people.register(chat_id, "Us", None)
    assert follow(context, chat_id) == "done"
    assert get_partner(context, chat_id).photo_file_id == telegram.world.file_id(chat_id, 640)
    assert telegram.calls == {"getChat": 1, "getFile": 1, "download": 1}


def test_a_public_photo_is_found(context: WorkerContext, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=TEAL, public_only=True)
    context.people.register(user_id, "Ann", None)
    assert follow(context, user_id) == "done"
    assert telegram.calls == {"getUserProfilePhotos": 1, "getChat": 1, "getFile": 1, "download": 1}


def test_a_pinned_partner_is_not_looked_up(context: WorkerContext, user_id: int, telegram: FakeTelegram) -> None:
    context.people.register(user_id, "Ann", telegram.world.file_id(user_id))
    assert "pinned" in follow(context, user_id)
    assert not telegram.calls


def test_two_refreshes_of_one_profile_at_once_are_one(context: WorkerContext, partner_id: int) -> None:
    context.steps.leases.take(Subject.of_person(partner_id), "warm")
    assert follow(context, partner_id) == "skipped: held by another worker"


# Unchanged


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
    context.redis.expire(key, 10)
    mark_old(context, partner_id)
    follow(context, partner_id, "rewarm")
    assert context.redis.ttl(key) > 10
    assert telegram.calls["download"] == 1


# Changed


def test_a_changed_picture_is_fetched_and_shown(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    telegram.world.change_photo(partner_id, RED)
    mark_old(context, partner_id)
    assert follow(context, partner_id, "rewarm") == "done"
    new = telegram.world.file_id(partner_id, 320)
    assert context.people.get(partner_id).shown == (new,)
    assert telegram.calls == {"getUserProfilePhotos": 2, "getFile": 2, "download": 2}


def test_the_old_picture_stays_until_the_new_one_is_ready(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    old = telegram.world.file_id(partner_id, 320)
    telegram.world.change_photo(partner_id, RED)
    mark_old(context, partner_id)
    telegram.fail("download", "bad-gateway")
    assert follow(context, partner_id).startswith("postponed")
    assert get_partner(context, partner_id).photo_file_id == old
    assert context.steps.store.is_ready(old)
    assert follow(context, partner_id) == "done"
    assert get_partner(context, partner_id).photo_file_id == telegram.world.file_id(partner_id, 320) != old


def test_an_unavailable_new_picture_leaves_the_old_one(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    old = telegram.world.file_id(partner_id, 320)
    telegram.world.change_photo(partner_id, RED)
    mark_old(context, partner_id)
    telegram.fail("download", "not-an-image")
    assert follow(context, partner_id).startswith("unavailable: gave-up")
    assert get_partner(context, partner_id).photo_file_id == old
    assert context.steps.store.is_ready(old)


def test_a_changed_group_picture_is_found_although_its_old_file_id_is_invalid(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    telegram.world.add_chat(chat_id := -next_id(), "Us", picture=TEAL)
    context.people.register(chat_id, "Us", None)
    follow(context, chat_id)
    telegram.world.change_photo(chat_id, RED)
    mark_old(context, chat_id)
    assert follow(context, chat_id) == "done"
    assert get_partner(context, chat_id).photo_file_id == telegram.world.file_id(chat_id, 640)


# Hidden pictures


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
    assert context.steps.store.is_ready(shown)
    assert context.people.get(partner_id).shown == ()


def test_a_picture_that_is_visible_again_is_warmed_again(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    follow(context, partner_id)
    telegram.world.hide_photo(partner_id)
    mark_old(context, partner_id)
    follow(context, partner_id)
    telegram.world.show_photo(partner_id)
    assert follow(context, partner_id) == "done"
    assert context.steps.store.is_ready(telegram.world.file_id(partner_id, 320))
    assert context.steps.store.get_unavailable(Subject.of_person(partner_id)) is None


# Postponed work


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


def test_an_unavailable_picture_is_not_requested_again(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "invalid-file-id", times=None)
    for _ in range(2):
        assert follow(context, partner_id).startswith("unavailable")
    assert telegram.calls == {"getUserProfilePhotos": 2, "getFile": 1}


def test_a_picture_that_crashes_its_worker_is_not_tried_again(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram
) -> None:
    shown = telegram.world.file_id(partner_id, 320)
    context.redis.set(context.keys.crashes(shown), 3)
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
    assert not context.steps.store.is_ready(telegram.world.file_id(partner_id, 320))


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
    assert context.steps.store.is_ready(shown)


# Forgotten meanwhile


def meanwhile(context: WorkerContext, step: str, happens: Callable[[], object]) -> FlowSteps:
    """Returns the steps with an event at the end of one of them."""

    def look_up_profile(user_id: int, job: JobContext) -> list[PhotoSize]:
        sizes = context.steps.look_up_profile(user_id, job)
        happens()
        return sizes

    def fetch(lease: Lease, job: JobContext) -> SourceImage:
        source = context.steps.fetch(lease, job)
        happens()
        return source

    def put(lease: Lease, rendering: Rendering) -> None:
        context.steps.put(lease, rendering)
        happens()

    steps: dict[str, Callable[..., object]] = {"look_up_profile": look_up_profile, "fetch": fetch, "put": put}
    return replace_steps(context.steps, **{step: steps[step]})


STEPS = ("look_up_profile", "fetch", "put")


@pytest.fixture(params=STEPS)
def step(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_forgetting_during_a_refresh_leaves_no_trace(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram, step: str
) -> None:
    forget = meanwhile(context, step, lambda: context.steps.forget.person(partner_id))
    follow(context, partner_id, steps=forget)
    file_ids = [telegram.world.file_id(partner_id, width) for width in (160, 320, 640)]
    assert list_traces(context.redis, partner_id, *file_ids) == []


def test_an_unregistered_person_can_also_be_forgotten_during_a_refresh(
    context: WorkerContext, user_id: int, telegram: FakeTelegram, step: str
) -> None:
    forget = meanwhile(context, step, lambda: context.steps.forget.person(user_id))
    follow(context, user_id, steps=forget)
    assert list_traces(context.redis, user_id, telegram.world.file_id(user_id, 320)) == []


@pytest.mark.parametrize("fault", ["bad-gateway", "not-an-image"])
def test_forgetting_during_a_failure_leaves_no_trace(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("download", fault)

    def fetch(lease: Lease, job: JobContext) -> SourceImage:
        try:
            return context.steps.fetch(lease, job)
        finally:
            context.steps.forget.person(partner_id)

    follow(context, partner_id, steps=replace_steps(context.steps, fetch=fetch))
    assert telegram.calls["download"] == 1
    assert list_traces(context.redis, partner_id, telegram.world.file_id(partner_id, 320)) == []


def test_a_shown_picture_that_is_forgotten_during_a_check_stays_forgotten(
    context: WorkerContext, partner_id: int, telegram: FakeTelegram, step: str
) -> None:
    follow(context, partner_id)
    mark_old(context, partner_id)
    follow(context, partner_id, steps=meanwhile(context, step, lambda: context.steps.forget.person(partner_id)))
    if step == "look_up_profile":
        assert context.steps.store.get_unavailable(telegram.world.file_id(partner_id, 320)) == Unavailable("forgotten")


def test_forgetting_an_unregistered_person_covers_former_pictures(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    follow(context, user_id)
    old = telegram.world.file_id(user_id, 320)
    telegram.world.change_photo(user_id, RED)
    mark_old(context, user_id)
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
        said = list(iter(lambda: wait_until(hear), b"the end"))
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
    follow(context, partner_id)
    old = telegram.world.file_id(partner_id, 320)
    telegram.world.change_photo(partner_id, RED)
    mark_old(context, partner_id)
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
    for user_id in ids:
        telegram.world.add_user(user_id, "Ann", picture=TEAL)
        context.people.register(user_id, "Ann", None)
    telegram.latency = 0.002

    def follow_then_forget_another(number: int) -> None:
        """Refresh several profiles before one is forgotten, so that some refreshes are in progress."""
        follow(context, ids[number])
        context.steps.forget.person(ids[(number + number % 16) % len(ids)])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(follow_then_forget_another, range(len(ids))))
        list(pool.map(context.steps.forget.person, ids))
    assert list_traces(context.redis, *ids, *(telegram.world.file_id(user_id, 320) for user_id in ids)) == []
