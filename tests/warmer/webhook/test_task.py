"""Events through the real queue, with a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, wait_until
from tests.support.receiver import SECRET, Receiver, verify_by_hand
from tests.support.steps import is_ready
from warmer.keys import Subject
from warmer.webhook.delivery import PLACES
from warmer.wiring import WorkerContext, close_worker_context
from warmer.worker import tasks


@pytest.fixture
def working(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """A worker whose environment names the receiver."""
    monkeypatch.setenv("WEBHOOK_URL", receiver.hook)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setattr("warmer.webhook.delivery.TURN_SECONDS", 600)  # on a machine of any speed
    close_worker_context()
    return request.getfixturevalue("worker")


@pytest.mark.usefixtures("working")
def test_a_ready_picture_reaches_the_receiver(context: WorkerContext, receiver: Receiver, user_id: int) -> None:
    context.people.register(user_id, "Ann", None)
    context.publisher.publish(Subject.of_person(user_id), "warm")
    wait_until(lambda: receiver.got)
    assert verify_by_hand(receiver.got[0])
    assert receiver.got[0].event["data"]["id"] == user_id
    wait_until(lambda: not context.redis.exists(context.keys.events(user_id)))


@pytest.mark.usefixtures("working")
def test_pictures_become_warm_while_the_receiver_hangs(
    context: WorkerContext, receiver: Receiver, telegram: FakeTelegram
) -> None:
    receiver.opened.clear()
    shared, ids = telegram.world.add_file(make_picture()), range(1, 2 * PLACES + 9)  # more than the worker has threads
    for person_id in ids:
        context.people.register(person_id, "Ann", shared)
    context.publisher.publish(shared, "warm")
    wait_until(lambda: len(receiver.got) == PLACES)
    file_id = telegram.world.add_file(make_picture(color="red"))
    context.publisher.publish(file_id, "warm")
    wait_until(lambda: is_ready(context.steps.store, file_id))
    assert len(receiver.got) == PLACES
    receiver.opened.set()
    wait_until(lambda: {got.event["data"]["id"] for got in receiver.got} == set(ids))


@pytest.fixture
def this_process(context: WorkerContext) -> Iterator[None]:
    yield
    close_worker_context()


@pytest.mark.usefixtures("this_process")
def test_without_a_webhook_a_message_of_a_former_one_does_nothing() -> None:
    close_worker_context()
    assert tasks.deliver(42) == "skipped: there is no webhook"
