"""The channels of the broker: which ones its user needs, and that a missing one is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from tests.support.clock import Clock
from tests.support.redis_nodes import Node
from tests.warmer.observe.test_checks import KEYS, KOMBU, RIGHTS
from warmer.broker.publish import Publisher
from warmer.broker.queues import choose_transport_options, list_queues
from warmer.broker.rights import list_denied_channels
from warmer.observe.checks import RIGHTS_SECONDS, HealthChecks
from warmer.settings import Settings
from warmer.state.schedule import Schedule

FEWER = tuple(right for right in RIGHTS if right not in KOMBU)
OpenApp = Callable[[int], Celery]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with Node(tmp_path) as node:
        yield node


@pytest.fixture
def open_app(node: Node, settings: Settings) -> OpenApp:
    """Celery whose broker is the user `avatars` of that server, in this database, set up as the service does it."""

    def open_database(database: int) -> Celery:
        app = Celery(broker=f"redis://avatars:password@{node.where}/{database}", set_as_current=False)
        app.conf.broker_transport_options = choose_transport_options(settings) | {"global_keyprefix": KEYS.queue_prefix}
        app.conf.task_queues = list_queues(settings)
        return app

    return open_database


def grant(node: Node, *rules: str) -> None:
    node.client.execute_command("ACL", "SETUSER", "avatars", "reset", "on", ">password", *rules)


def list_subscribed(app: Any, channel: Any) -> list[str]:
    """What a worker and Flower subscribe to, as Celery itself declares it."""
    app.control.mailbox.get_queue("worker")(channel).declare()
    app.events.Receiver(channel).queue(channel).declare()
    # kombu keeps the queues in the class, so those of earlier tests may be among them.
    topics = dict.fromkeys(topic for queue in channel._fanout_queues for topic in channel._get_subscribe_topics(queue))
    return [f"{channel.global_keyprefix}{topic}" for topic in topics]


def test_the_documented_line_grants_every_channel(node: Node, open_app: OpenApp) -> None:
    grant(node, *RIGHTS)
    assert list_denied_channels(open_app(0)) == ()


def test_what_is_tried_is_what_workers_and_flower_subscribe_to(node: Node, open_app: OpenApp) -> None:
    grant(node, *RIGHTS)
    app = open_app(0)
    with app.connection() as connection:
        channel: Any = connection.default_channel
        assert list_subscribed(app, channel) == channel.list_patterns()


@pytest.mark.parametrize(
    ("rules", "denied"),
    [
        (FEWER, KOMBU),  # the wider pattern does not suffice
        ((*FEWER, KOMBU[0]), KOMBU[1:]),
        ((*FEWER, KOMBU[1]), KOMBU[:1]),
        ((*RIGHTS, "-psubscribe"), ("+psubscribe",)),
    ],
)
def test_a_missing_channel_is_named(
    node: Node, open_app: OpenApp, rules: tuple[str, ...], denied: tuple[str, ...]
) -> None:
    grant(node, *rules)
    assert list_denied_channels(open_app(0)) == denied


def test_the_channels_of_another_database_are_named_with_its_number(node: Node, open_app: OpenApp) -> None:
    grant(node, *RIGHTS)
    assert list_denied_channels(open_app(3)) == tuple(right.replace("/0.", "/3.") for right in KOMBU)


def test_a_broker_of_another_kind_has_no_such_channels() -> None:
    assert list_denied_channels(Celery(broker="memory://", set_as_current=False)) == ()


def test_a_missing_channel_shows_in_checks_and_log_until_it_is_granted(
    node: Node, open_app: OpenApp, redis: Redis, settings: Settings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    grant(node, *FEWER)
    checks = HealthChecks(redis, KEYS, Publisher(open_app(0), redis, KEYS, Schedule(redis, KEYS), settings), clock)
    for _ in range(2):
        health = checks.take()
        assert (health.checks["redis"], health.checks["broker"], health.broker_denied) == ("ok", "denied", KOMBU)
        clock.sleep(RIGHTS_SECONDS)
    assert [record.levelname for record in caplog.records if KOMBU[0] in record.getMessage()] == ["CRITICAL"]
    grant(node, *RIGHTS)
    health = checks.take()
    assert (health.checks["broker"], health.broker_denied) == ("ok", ())
