"""The options for each kind of broker."""

from __future__ import annotations

import pytest

from warmer.broker.queues import (
    ANSWER_SECONDS,
    QUORUM,
    choose_publishing_options,
    choose_transport_options,
    list_queues,
)
from warmer.keys import QUEUES
from warmer.settings import load_settings


@pytest.mark.parametrize("url", ["redis://a", "redis+sentinel://a/m"])
def test_with_redis_the_queues_are_read_in_order_and_messages_are_redelivered(url: str) -> None:
    settings = load_settings(celery_broker_url=url)
    options = choose_transport_options(settings)
    assert options["queue_order_strategy"] == "priority"
    assert options["visibility_timeout"] == 180
    assert options.get("master_name") == ("m" if "sentinel" in url else None)
    assert [queue.name for queue in list_queues(settings)] == list(QUEUES)
    assert all(queue.queue_arguments is None for queue in list_queues(settings))


def test_with_rabbitmq_the_queues_are_quorum_queues_and_publishing_is_confirmed() -> None:
    settings = load_settings(celery_broker_url="amqp://a//")
    assert choose_transport_options(settings)["confirm_publish"]
    assert all(queue.queue_arguments == QUORUM for queue in list_queues(settings))


@pytest.mark.parametrize("url", ["redis://a", "redis+sentinel://a/m", "amqp://a//"])
def test_a_worker_waits_a_bounded_time_for_a_silent_broker(url: str) -> None:
    options = choose_transport_options(load_settings(celery_broker_url=url))
    waits = [value for name, value in options.items() if name.endswith("_timeout") and name != "visibility_timeout"]
    assert waits == [ANSWER_SECONDS] * 2


@pytest.mark.parametrize("url", ["redis://a", "amqp://a//"])
def test_every_step_of_publishing_has_a_timeout(url: str) -> None:
    options = choose_publishing_options(load_settings(celery_broker_url=url), 0.5)
    assert [value for name, value in options.items() if "timeout" in name] == [0.5, 0.5]
