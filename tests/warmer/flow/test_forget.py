"""Forgetting a partner leaves no data of that person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

from faketelegram import FakeTelegram
from tests.conftest import list_traces, listening, make_picture, next_id
from tests.support.redis_kinds import list_masters
from tests.support.steps import is_ready
from tests.warmer.flow.conftest import follow
from warmer.deadline import JobContext
from warmer.flow.forget import Forget
from warmer.flow.warm import warm_photo
from warmer.keys import Subject
from warmer.photo import Unavailable
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings
from warmer.state.photos import PhotoStore
from warmer.wiring import WorkerContext, open_worker_context

PICTURE = make_picture()


@pytest.fixture
def file_id(telegram: FakeTelegram, user_id: int) -> str:
    return telegram.world.file_id(user_id, 320)


def pin(context: WorkerContext, partner_id: int, file_id: str) -> None:
    context.people.register(partner_id, "Ann", file_id)
    warm_photo(file_id, JobContext.start("warm", 0), context.steps)


def test_forgetting_removes_every_trace_of_a_partner(context: WorkerContext, user_id: int, file_id: str) -> None:
    context.people.register(user_id, "Ann Unforgettable", None)
    follow(context, user_id)
    assert list_traces(context.redis, user_id, file_id)
    context.steps.forget.person(user_id)
    assert list_traces(context.redis, user_id, file_id, "Unforgettable") == []


def test_forgetting_removes_former_pictures(context: WorkerContext, user_id: int, telegram: FakeTelegram) -> None:
    former = [telegram.world.add_file(PICTURE) for _ in range(4)]
    for file_id in former:
        pin(context, user_id, file_id)
    assert all(is_ready(context.steps.store, file_id) for file_id in former)
    context.steps.forget.person(user_id)
    assert list_traces(context.redis, user_id, *former) == []
    assert all(context.steps.store.get_unavailable(file_id) == Unavailable("forgotten") for file_id in former)


def test_forgetting_removes_every_trace_of_an_unregistered_person(
    context: WorkerContext, user_id: int, file_id: str
) -> None:
    follow(context, user_id)
    context.steps.forget.person(user_id)
    assert list_traces(context.redis, user_id, file_id) == []


def test_forgetting_removes_every_trace_of_a_person_without_a_photo(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    telegram.world.hide_photo(user_id)
    context.people.register(user_id, "Ann", None)
    follow(context, user_id)
    context.steps.forget.person(user_id)
    assert list_traces(context.redis, user_id) == []


def test_forgetting_removes_a_postponed_warming(
    context: WorkerContext, user_id: int, file_id: str, telegram: FakeTelegram
) -> None:
    telegram.fail("download", "bad-gateway")
    context.people.register(user_id, "Ann", None)
    follow(context, user_id)
    assert context.schedule.count() == 2
    context.steps.forget.person(user_id)
    assert list_traces(context.redis, user_id, file_id) == []


def test_tombstones_have_no_ttl(context: WorkerContext, user_id: int, file_id: str) -> None:
    pin(context, user_id, file_id)
    context.steps.forget.person(user_id)
    for subject in (file_id, Subject.of_person(user_id)):
        assert context.redis.ttl(context.keys.forgotten(subject)) == -1


def test_a_new_bot_token_ends_no_tombstone(
    context: WorkerContext, user_id: int, file_id: str, settings: Settings
) -> None:
    pin(context, user_id, file_id)
    context.steps.forget.person(user_id)
    renewed = settings.model_copy(update={"telegram_bot_token": SecretStr(f"{settings.bot_id}:of-botfather")})
    with connect_worker(renewed) as redis, closing(open_worker_context(renewed, redis)) as later:
        assert later.steps.store.get_unavailable(file_id) == Unavailable("forgotten")


def test_a_picture_that_another_partner_shows_stays(context: WorkerContext, user_id: int, file_id: str) -> None:
    other = next_id()
    pin(context, user_id, file_id)
    pin(context, other, file_id)
    context.steps.forget.person(user_id)
    assert is_ready(context.steps.store, file_id)
    assert list_traces(context.redis, user_id) == []
    context.steps.forget.person(other)
    assert list_traces(context.redis, other, file_id) == []


def test_other_partners_keep_their_records_and_positions(context: WorkerContext, user_id: int, file_id: str) -> None:
    other = next_id()
    context.people.register(other, "Bob", None)
    pin(context, user_id, file_id)
    context.steps.forget.person(user_id)
    assert context.people.list_recent_ids(10) == [other]


def test_forgetting_twice_or_forgetting_an_unknown_id_is_no_error(
    context: WorkerContext, user_id: int, file_id: str
) -> None:
    pin(context, user_id, file_id)
    for partner_id in (user_id, user_id, next_id()):
        context.steps.forget.person(partner_id)
    assert list_traces(context.redis, user_id, file_id) == []


def test_an_interrupted_forgetting_can_be_repeated(context: WorkerContext, user_id: int, file_id: str) -> None:
    pin(context, user_id, file_id)
    context.steps.store.forget(Subject.of_person(user_id))  # then the process ended
    context.steps.forget.person(user_id)
    assert list_traces(context.redis, user_id, file_id) == []


class InterruptedStore(PhotoStore):
    """A store with an event right after the first picture is forgotten."""

    happens: Callable[[], object] = staticmethod(lambda: None)

    def forget(self, *subjects: str, shown_by: int | None = None) -> list[str]:
        gone = super().forget(*subjects, shown_by=shown_by)
        if shown_by is not None:
            happens, self.happens = self.happens, lambda: None
            happens()
        return gone


def test_a_picture_added_meanwhile_is_forgotten_too(
    context: WorkerContext, user_id: int, telegram: FakeTelegram
) -> None:
    old, new = telegram.world.file_id(user_id, 160), telegram.world.file_id(user_id, 640)
    pin(context, user_id, old)
    store = InterruptedStore(context.redis, context.keys, context.settings.photo_sizes, ("webp",), 1000)
    store.happens = lambda: pin(context, user_id, new)
    Forget(context.people, store).person(user_id)
    assert list_traces(context.redis, user_id, old, new) == []


def test_every_picture_and_the_id_are_purged(context: WorkerContext, user_id: int, file_id: str) -> None:
    pin(context, user_id, file_id)
    with listening(context.redis, context.keys.purge) as hear:
        context.steps.forget.person(user_id)
        said = {hear() for _ in range(2)}
    assert said == {file_id.encode(), Subject.of_person(user_id).encode()}


def test_the_id_is_purged_again_when_the_record_is_gone(context: WorkerContext, user_id: int, file_id: str) -> None:
    pin(context, user_id, file_id)
    with listening(context.redis, context.keys.purge) as hear:
        context.steps.forget.person(user_id)
        context.redis.publish(context.keys.purge, "the end")
        said = list(iter(hear, b"the end"))
    assert (said[-1], said.count(said[-1])) == (Subject.of_person(user_id).encode(), 2)


@contextmanager
def filled(redis: Redis) -> Iterator[None]:
    """Redis refuses every command that needs memory."""
    for master in list_masters(redis):
        master.config_set("maxmemory", 1)
    try:
        with pytest.raises(OutOfMemoryError):
            redis.set("one", "more")
        yield
    finally:
        for master in list_masters(redis):
            master.config_set("maxmemory", 0)


def test_a_person_is_forgotten_while_redis_is_full(context: WorkerContext, user_id: int, file_id: str) -> None:
    pin(context, user_id, file_id)
    with filled(context.redis), listening(context.redis, context.keys.purge) as hear:
        context.steps.forget.person(user_id)
        assert {hear() for _ in range(2)} == {file_id.encode(), Subject.of_person(user_id).encode()}
    assert list_traces(context.redis, user_id, file_id) == []
    assert context.redis.zcard(context.keys.tombstones) == 2


def test_what_cannot_be_listed_is_purged_all_the_same(context: WorkerContext, user_id: int, file_id: str) -> None:
    pin(context, user_id, file_id)
    context.redis.set(context.keys.tombstones, "no list")
    with listening(context.redis, context.keys.purge) as hear:
        with pytest.raises(ResponseError):
            context.steps.forget.person(user_id)
        assert {hear() for _ in range(2)} == {file_id.encode(), Subject.of_person(user_id).encode()}
    assert context.schedule.count() == 0


def test_a_subject_that_cannot_be_forgotten_keeps_no_other_from_being_purged(
    context: WorkerContext, file_id: str
) -> None:
    context.redis.set(context.keys.people("broken"), "no set")
    with listening(context.redis, context.keys.purge) as hear:
        with pytest.raises(ResponseError):
            context.steps.store.forget("broken", file_id)
        assert hear() == file_id.encode()


def test_forgetting_many_pictures_takes_as_few_round_trips_as_one(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: Counter[int] = Counter()  # by the number of pictures
    pools, pictures = [master.connection_pool for master in list_masters(context.redis)], 0

    def counting(get_connection: Callable[[], object]) -> Callable[[], object]:
        def note() -> object:
            trips[pictures] += 1
            return get_connection()

        return note

    for pool in pools:
        monkeypatch.setattr(pool, "get_connection", counting(pool.get_connection))
    for pictures in (1, 50):
        partner_id = next_id()
        for picture in range(pictures):
            context.people.register(partner_id, "Ann", f"AgACAgIAAxkBAAI{partner_id}{picture:04}")
        trips[pictures] = 0
        context.steps.forget.person(partner_id)
    assert trips[50] <= len(pools) * (trips[1] + 1)
