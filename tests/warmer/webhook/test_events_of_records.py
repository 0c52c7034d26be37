"""Events of pinned pictures, of shared ones, and what other workers and releases leave."""

from __future__ import annotations

import json

from faketelegram import FakeTelegram
from tests.conftest import list_traces, make_picture, next_id
from tests.support.receiver import Receiver
from tests.warmer.flow.conftest import follow
from tests.warmer.webhook.conftest import get_shown, hide, pin, pin_and_warm, warm
from tests.warmer.webhook.stored import read_oldest
from warmer.photo import Unavailable
from warmer.webhook.delivery import Delivery
from warmer.wiring import WorkerContext

RED, PICTURE = make_picture(color="red"), make_picture()


def test_a_pinned_picture_is_announced_when_it_is_ready_and_not_before(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, user_id: int, telegram: FakeTelegram
) -> None:
    first, second = telegram.world.add_file(PICTURE), telegram.world.add_file(RED)
    for file_id in (first, second):
        pin(context, user_id, file_id)
        assert delivery.run(user_id).kind == "skipped"
        warm(context, file_id)
        delivery.run(user_id)
    versions = [got.event["data"]["photo_version"] for got in receiver.got]
    assert versions == [context.steps.store.get_version(file_id) for file_id in (first, second)]


def test_everyone_who_shows_a_pinned_picture_has_an_event(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, telegram: FakeTelegram
) -> None:
    file_id, ids = telegram.world.add_file(PICTURE), [next_id() for _ in range(3)]
    for person_id in ids:
        pin(context, person_id, file_id)
    warm(context, file_id)
    for person_id in ids:
        delivery.run(person_id)
    assert [got.event["data"]["id"] for got in receiver.got] == ids


def test_a_picture_whose_worker_ended_before_it_was_announced_is_announced_by_the_next_one(
    context: WorkerContext, plain: WorkerContext, delivery: Delivery, receiver: Receiver, telegram: FakeTelegram
) -> None:
    pin(context, person_id := next_id(), file_id := telegram.world.add_file(PICTURE))
    warm(plain, file_id)  # stored, and not announced
    warm(context, file_id)
    delivery.run(person_id)
    assert receiver.list_types() == ["photo.changed"]


def test_a_picture_that_is_fetched_anew_after_an_eviction_is_no_event(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, telegram: FakeTelegram
) -> None:
    person_id, file_id = pin_and_warm(context, telegram)
    context.redis.delete(context.keys.variant(file_id, 80, "webp"))
    warm(context, file_id)
    delivery.run(person_id)
    assert receiver.list_types() == ["photo.changed"]


def test_without_a_webhook_nothing_is_written_for_it(plain: WorkerContext, user_id: int) -> None:
    plain.people.register(user_id, "Ann", None)
    follow(plain, user_id)
    record = json.loads(plain.redis.get(plain.keys.person(user_id)) or "")
    assert "announced_file_id" not in record
    plain.steps.forget.person(user_id)
    assert list_traces(plain.redis, user_id) == []
    assert plain.delivery is None


def test_an_event_of_a_newer_release_is_read_without_its_unknown_fields(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    at, _, text = read_oldest(context, told).partition(" ")
    event = json.loads(text)
    context.redis.lset(context.keys.events(told), 0, f"{at} {json.dumps(event | {'mood': 'good'})}")
    delivery.run(told)
    assert receiver.got[0].id == event["id"]


def test_a_worker_that_ends_while_it_hides_a_picture_leaves_the_rest_to_the_next_one(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, telegram: FakeTelegram
) -> None:
    shown = get_shown(context, told)
    delivery.run(told)
    assert context.people.drop_photos(told) == (shown,)  # then the worker ended
    assert delivery.run(told).kind == "skipped"
    hide(context, telegram, told)
    assert context.steps.store.get_unavailable(shown) == Unavailable("forgotten")
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed", "photo.gone"]
    assert context.people.get(told).ever_shown == ()


def test_the_event_of_a_picture_that_comes_while_another_one_is_hidden_names_both(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, telegram: FakeTelegram
) -> None:
    hidden = get_shown(context, told)
    delivery.run(told)
    context.people.drop_photos(told)
    pin(context, told, file_id := telegram.world.add_file(RED))
    warm(context, file_id)
    context.people.end_drop(told)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed", "photo.changed"]
    assert [name for name in (hidden, file_id) if name not in str(receiver.got[-1].event["data"])] == []


def test_an_event_behind_one_in_another_form_is_written(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    context.redis.rpush(context.keys.events(told), "1.0 nonsense")
    context.steps.forget.person(told)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed", "photo.gone"]
