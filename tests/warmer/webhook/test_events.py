"""Which changes are events, and what an event says."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import SecretStr

from faketelegram import FakeTelegram
from tests.conftest import list_traces, make_picture, next_id
from tests.support.receiver import Receiver
from tests.support.steps import is_ready
from tests.warmer.flow.conftest import follow, mark_old
from tests.warmer.webhook.conftest import get_shown, hide, warm
from warmer.cache_tags import CacheTags
from warmer.keys import Subject
from warmer.photo_urls import PhotoUrls
from warmer.webhook.delivery import Delivery
from warmer.wiring import WorkerContext

RED, PICTURE = make_picture(color="red"), make_picture()


@pytest.fixture
def tags(context: WorkerContext) -> CacheTags:
    return CacheTags(context.settings.init_data_secret)


@pytest.fixture
def urls(context: WorkerContext) -> PhotoUrls:
    return PhotoUrls([SecretStr("x" * 32), *context.settings.url_signing_keys][1:], "", context.settings.photo_sizes)


def change(context: WorkerContext, telegram: FakeTelegram, user_id: int, picture: bytes = RED) -> None:
    telegram.world.change_photo(user_id, picture)
    mark_old(context, user_id)
    follow(context, user_id)


def test_the_first_picture_is_announced_once_it_is_ready(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, tags: CacheTags, urls: PhotoUrls
) -> None:
    delivery.run(told)
    (got,) = receiver.got
    shown, person = get_shown(context, told), Subject.of_person(told)
    assert is_ready(context.steps.store, shown)
    assert got.event["type"] == "photo.changed"
    assert got.event["data"] == {
        "id": told,
        "photo_version": context.steps.store.get_version(shown),
        "photo_url": urls.of(shown)[0],
        "photo_srcset": urls.of(shown)[1],
        "cache_tags": [tags.of(person)],
        "urls": urls.list_sizes(person),
    }
    at = datetime.fromisoformat(got.event["timestamp"]).timestamp()
    assert abs(at - context.redis.time()[0]) < 300


def test_another_picture_is_announced_with_the_one_before_it(
    context: WorkerContext,
    delivery: Delivery,
    receiver: Receiver,
    told: int,
    telegram: FakeTelegram,
    tags: CacheTags,
    urls: PhotoUrls,
) -> None:
    former = get_shown(context, told)
    change(context, telegram, told)
    delivery.run(told)
    first, second = [got.event for got in receiver.got]
    shown = get_shown(context, told)
    assert shown != former
    assert second["data"]["photo_url"] == urls.of(shown)[0]
    assert second["data"]["photo_version"] == context.steps.store.get_version(shown)
    assert second["data"]["cache_tags"] == [tags.of(Subject.of_person(told)), tags.of(former)]
    assert second["data"]["urls"] == [*urls.list_sizes(Subject.of_person(told)), *urls.list_sizes(former)]
    assert first["timestamp"] < second["timestamp"]


def test_a_look_at_the_same_picture_is_no_event(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    mark_old(context, told)
    follow(context, told, "rewarm")
    warm(context, get_shown(context, told))
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed"]


def test_a_picture_that_cannot_be_fetched_is_no_event(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, telegram: FakeTelegram
) -> None:
    telegram.world.change_photo(told, RED)
    telegram.fail("download", "bad-gateway", times=None)
    mark_old(context, told)
    follow(context, told)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed"]


def test_a_hidden_picture_is_gone_and_announced_again_when_it_is_back(
    context: WorkerContext,
    delivery: Delivery,
    receiver: Receiver,
    told: int,
    telegram: FakeTelegram,
    tags: CacheTags,
    urls: PhotoUrls,
) -> None:
    shown, person = get_shown(context, told), Subject.of_person(told)
    hide(context, telegram, told)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed", "photo.gone"]
    assert receiver.got[-1].event["data"] == {
        "id": told,
        "cache_tags": [tags.of(person), tags.of(shown)],
        "urls": [*urls.list_sizes(person), *urls.list_sizes(shown)],
    }


def test_a_person_without_a_picture_is_no_event(
    context: WorkerContext, delivery: Delivery, user_id: int, telegram: FakeTelegram
) -> None:
    telegram.world.hide_photo(user_id)
    context.people.register(user_id, "Ann", None)
    follow(context, user_id)
    context.steps.forget.person(user_id)
    context.steps.forget.person(next_id())
    assert delivery.run(user_id).kind == "skipped"
    assert delivery.outbox.look().ids == 0


def test_a_forgotten_person_is_gone_with_every_picture_and_leaves_no_trace(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, telegram: FakeTelegram, tags: CacheTags
) -> None:
    first = get_shown(context, told)
    change(context, telegram, told)
    second = get_shown(context, told)
    context.steps.forget.person(told)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed", "photo.changed", "photo.gone"]
    assert set(receiver.got[-1].event["data"]["cache_tags"]) == {
        tags.of(subject) for subject in (Subject.of_person(told), first, second)
    }
    delivery.outbox.attempts.set(str(told), -1)
    assert delivery.outbox.take_due(10) == []
    context.redis.delete(f"{context.keys.queue_prefix}webhook")
    assert list_traces(context.redis, told, first, second) == []


@pytest.mark.parametrize("way", ["hide", "forget"])
def test_a_loss_is_published_when_the_picture_is_served_no_more(
    context: WorkerContext,
    delivery: Delivery,
    told: int,
    telegram: FakeTelegram,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    shown, stored = get_shown(context, told), []
    parts: Any = context.people
    monkeypatch.setattr(
        parts._records.outbox, "_send", lambda _: stored.append(is_ready(context.steps.store, shown))
    )  # fmt: skip
    if way == "forget":
        context.steps.forget.person(told)
    else:
        hide(context, telegram, told)
    assert stored == [False]
    assert delivery.run(told).kind == "done"


def test_an_id_that_is_not_registered_has_events_too(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, user_id: int, telegram: FakeTelegram
) -> None:
    follow(context, user_id)
    hide(context, telegram, user_id)
    delivery.run(user_id)
    assert receiver.list_types() == ["photo.changed", "photo.gone"]
