"""What each kind of broker is told."""

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
def test_a_redis_keeps_the_order_of_the_queues_and_delivers_again(url: str) -> None:
    settings = load_settings(celery_broker_url=url)
    options = choose_transport_options(settings)
    assert options["queue_order_strategy"] == "priority"
    assert options["visibility_timeout"] == 180
    assert options.get("master_name") == ("m" if "sentinel" in url else None)
    assert [queue.name for queue in list_queues(settings)] == list(QUEUES)
    assert all(queue.queue_arguments is None for queue in list_queues(settings))


def test_rabbitmq_gets_quorum_queues_and_confirms_what_it_has() -> None:
    settings = load_settings(celery_broker_url="amqp://a//")
    assert choose_transport_options(settings)["confirm_publish"]
    assert all(queue.queue_arguments == QUORUM for queue in list_queues(settings))


@pytest.mark.parametrize("url", ["redis://a", "redis+sentinel://a/m", "amqp://a//"])
def test_no_worker_waits_for_ever_for_a_broker_that_is_silent(url: str) -> None:
    options = choose_transport_options(load_settings(celery_broker_url=url))
    waits = [value for name, value in options.items() if name.endswith("_timeout") and name != "visibility_timeout"]
    assert waits == [ANSWER_SECONDS] * 2


@pytest.mark.parametrize("url", ["redis://a", "amqp://a//"])
def test_whoever_must_not_wait_is_bounded_in_every_step(url: str) -> None:
    options = choose_publishing_options(load_settings(celery_broker_url=url), 0.5)
    assert [value for name, value in options.items() if "timeout" in name] == [0.5, 0.5]
