"""The webhook of a whole service: nothing is lost and nothing else waits, whatever the receiver and the workers do."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable

import pytest
from standardwebhooks import Webhook

from tests.conftest import list_traces, make_picture, wait_until
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Figure, Stage, let_pass
from tests.support.receiver import SECRET, Receiver, verify_by_hand
from tests.support.servers import reply
from warmer.keys import Keys

RED = make_picture(color="red")


@pytest.fixture(autouse=True)
def _calm(receiver: Receiver) -> None:
    receiver.answer = lambda _: reply(status=204)
    receiver.opened.set()


def list_events(receiver: Receiver, user_id: int) -> list[str]:
    """Returns the types of the events of an id in the order of their first arrival."""
    first: dict[str, str] = {}
    for got in list(receiver.got):
        if got.event["data"]["id"] == user_id:
            first.setdefault(got.id, got.event["type"])
    return list(first.values())


def have_events(stage: Stage, receiver: Receiver, people: Iterable[int]) -> bool:
    """Returns True if each of these has an event: a picture is stored a moment before."""
    keys = Keys(str(stage.fake.world.bot_id))
    with stage.connect() as redis:
        return all(list_events(receiver, user_id) or redis.exists(keys.events(user_id)) for user_id in people)


def test_a_change_arrives_signed_when_the_new_picture_is_served_and_a_deletion_leaves_nothing(
    hooked_stage: Stage, receiver: Receiver, figure: Figure
) -> None:
    (user_id,) = hooked_stage.add_people(1)
    hooked_stage.register({user_id: None})
    wait_until(lambda: list_events(receiver, user_id) == ["photo.changed"], DEADLINE)
    started = time.monotonic()
    hooked_stage.fake.world.change_photo(user_id, RED)
    hooked_stage.register({user_id: None})  # looks the profile up again
    wait_until(lambda: list_events(receiver, user_id) == ["photo.changed"] * 2, DEADLINE)
    figure("a changed picture: the webhook arrives", time.monotonic() - started)
    got = receiver.got[-1]
    assert verify_by_hand(got)
    assert Webhook(SECRET).verify(got.body, got.headers) == got.event
    assert hooked_stage.service.get(got.event["data"]["photo_url"]).status_code == 200
    hooked_stage.forget(user_id)
    wait_until(lambda: list_events(receiver, user_id)[2:] == ["photo.gone"], DEADLINE)
    for url in receiver.got[-1].event["data"]["urls"]:
        assert hooked_stage.service.get(url).status_code == 404
    with hooked_stage.connect() as redis:
        wait_until(lambda: not list_traces(redis, user_id), DEADLINE)


def test_a_receiver_that_fails_for_a_while_loses_nothing_and_gets_each_id_in_order(
    hooked_stage: Stage, receiver: Receiver, figure: Figure
) -> None:
    receiver.answer = lambda _: reply(status=500)
    people = hooked_stage.add_people(6)
    hooked_stage.register(dict.fromkeys(people))
    wait_until(lambda: have_events(hooked_stage, receiver, people), DEADLINE)
    for user_id in people:
        hooked_stage.forget(user_id)
    wait_until(lambda: len({got.event["data"]["id"] for got in receiver.got} & set(people)) == len(people), DEADLINE)
    receiver.answer = lambda _: reply(status=204)
    back_at = time.monotonic()
    expected = ["photo.changed", "photo.gone"]
    wait_until(lambda: all(list_events(receiver, user_id) == expected for user_id in people), LEASE_DEADLINE)
    figure("the receiver is back: every event is delivered", time.monotonic() - back_at)


def test_a_receiver_that_is_away_for_a_minute_loses_nothing(
    hooked_stage: Stage, receiver: Receiver, figure: Figure
) -> None:
    people = hooked_stage.add_people(6)
    with receiver.away():
        hooked_stage.register(dict.fromkeys(people))
        wait_until(lambda: have_events(hooked_stage, receiver, people), DEADLINE)
        let_pass(60)
        forgotten, *kept = people
        hooked_stage.forget(forgotten)
        assert not any(list_events(receiver, user_id) for user_id in people)
    back_at = time.monotonic()
    expected = {forgotten: ["photo.changed", "photo.gone"]} | {person: ["photo.changed"] for person in kept}
    wait_until(lambda: {user_id: list_events(receiver, user_id) for user_id in people} == expected, LEASE_DEADLINE)
    figure("the receiver was away for a minute: every event is delivered", time.monotonic() - back_at)


def test_a_hanging_receiver_slows_no_picture(hooked_stage: Stage, receiver: Receiver) -> None:
    receiver.opened.clear()
    before = len(receiver.got)
    hooked_stage.warm(20)
    wait_until(lambda: len(receiver.got) > before, DEADLINE)
    people = hooked_stage.warm(20)  # while the receiver holds the threads that it may
    assert {hooked_stage.get(file_id).status for file_id in people.values()} == {200}
    receiver.opened.set()
    wait_until(lambda: all(list_events(receiver, user_id) for user_id in people), LEASE_DEADLINE)


def test_two_killed_workers_lose_no_event(hooked_stage: Stage, receiver: Receiver, figure: Figure) -> None:
    receiver.opened.clear()
    before = len(receiver.got)
    people = hooked_stage.warm(6)
    wait_until(lambda: len(receiver.got) > before and have_events(hooked_stage, receiver, people), DEADLINE)
    for process in hooked_stage.processes("worker", "worker2"):
        process.kill()
    killed_at = time.monotonic()
    for user_id in people:
        hooked_stage.forget(user_id)
    receiver.opened.set()
    delivered: dict[int, list[str]] = defaultdict(list)

    def are_all_delivered() -> bool:
        for user_id in people:
            delivered[user_id] = list_events(receiver, user_id)
        return all(types == ["photo.changed", "photo.gone"] for types in delivered.values())

    wait_until(are_all_delivered, LEASE_DEADLINE)
    figure("two workers killed while they deliver: every event is delivered", time.monotonic() - killed_at)
    with hooked_stage.connect() as redis:  # the messages of the killed workers end with their visibility timeout
        wait_until(lambda: all(key.endswith(":unacked") for key in list_traces(redis, *people)), LEASE_DEADLINE)
