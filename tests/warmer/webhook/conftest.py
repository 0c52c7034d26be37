"""A worker with a webhook, and the receiver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from redis import Redis

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.receiver import SECRET, Receiver
from tests.warmer.flow.conftest import follow, mark_old
from warmer.deadline import JobContext
from warmer.flow.warm import warm_photo
from warmer.settings import Settings, load_settings
from warmer.state.outbox import Outbox
from warmer.webhook.delivery import Delivery
from warmer.wiring import WorkerContext, open_worker_context


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def settings(receiver: Receiver) -> Settings:
    """Those of the environment, with a webhook."""
    return load_settings(webhook_url=receiver.hook, webhook_secret=SECRET)


@pytest.fixture
def plain(redis: Redis, telegram: FakeTelegram) -> Iterator[WorkerContext]:
    """A worker of the same service without a webhook."""
    with closing(open_worker_context(load_settings(), redis)) as context:
        yield context


@pytest.fixture
def user_id(telegram: FakeTelegram) -> int:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=make_picture())
    return user_id


@pytest.fixture
def delivery(context: WorkerContext) -> Delivery:
    assert context.delivery
    return context.delivery


@pytest.fixture
def outbox(delivery: Delivery) -> Outbox:
    return delivery.outbox


@pytest.fixture
def told(context: WorkerContext, user_id: int) -> int:
    """A partner with an event in the outbox: the first picture is ready."""
    context.people.register(user_id, "Ann", None)
    follow(context, user_id)
    return user_id


def pin(context: WorkerContext, person_id: int, file_id: str) -> None:
    context.people.register(person_id, "Ann", file_id)


def pin_and_warm(context: WorkerContext, telegram: FakeTelegram) -> tuple[int, str]:
    """Let a new partner show a new picture that is ready. Returns the ids of both."""
    pin(context, person_id := next_id(), file_id := telegram.world.add_file(make_picture()))
    warm(context, file_id)
    return person_id, file_id


def hide(context: WorkerContext, telegram: FakeTelegram, user_id: int) -> None:
    """Hide the picture of a profile, and look the profile up."""
    telegram.world.hide_photo(user_id)
    mark_old(context, user_id)
    follow(context, user_id)


def get_shown(context: WorkerContext, person_id: int) -> str:
    return context.people.get(person_id).shown[0]


def warm(context: WorkerContext, file_id: str) -> None:
    assert warm_photo(file_id, JobContext.start("warm", 0), context.steps).kind == "done"
