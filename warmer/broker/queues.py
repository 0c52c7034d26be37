"""The queues, as each kind of broker has to be told: Redis, alone or found through Sentinels, and RabbitMQ.

Producers, workers and Flower have to agree on them (kombu), and on the names of the tasks.
"""

from __future__ import annotations

from typing import Any, Literal

from kombu import Queue

from warmer.keys import QUEUES, Keys
from warmer.redis_url import TLS, split_options
from warmer.settings import Settings

ANSWER_SECONDS = 2.0  # how long a worker waits for a broker that is gone without closing its connections
SILENCE_SECONDS = 2.0  # without an answer, after which Redis gets a PING
# Replicated, and never lost with one node. (RabbitMQ, quorum queues.)
QUORUM = {"x-queue-type": "quorum"}
# As messages name them. The functions are in warmer/worker/tasks.py, which no publisher imports.
WARM_TASK, DELIVER_TASK, TICK_TASK, KEEP_NEWEST_TASK = "warm", "deliver", "tick", "keep_newest"


def list_queues(settings: Settings) -> list[Queue]:
    """List the queues, in their order."""
    arguments = QUORUM if is_amqp(settings) else None
    return [Queue(name, routing_key=name, queue_arguments=arguments) for name in QUEUES]


def choose_transport_options(settings: Settings) -> dict[str, Any]:
    """Returns how kombu keeps and finds messages.

    RabbitMQ delivers what a dead worker had by itself; its queues are told apart by virtual host.
    """
    if is_amqp(settings):
        return {
            "confirm_publish": True,  # a message counts as sent when the queue has it
            "read_timeout": ANSWER_SECONDS,  # of an answer that is waited for
            "write_timeout": ANSWER_SECONDS,
        }
    # Without the first three a worker would wait for a lost master until it is back, and never ask for its successor.
    return _find_by(settings, ANSWER_SECONDS) | {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": ANSWER_SECONDS,
        "health_check_interval": SILENCE_SECONDS,
        "visibility_timeout": 180,  # seconds; the second net only, the schedule is the first
        "unacked_restore_interval": 5,  # seconds between looks for a dead worker's tasks
        "unacked_restore_throttle": 1,  # seconds
        "queue_order_strategy": "priority",  # strictly in the order of task_queues
        "priority_steps": [0],  # no priorities inside a queue
        "global_keyprefix": Keys(settings.bot_id).queue_prefix,
    }


def choose_tls(settings: Settings) -> dict[str, Any] | Literal[False]:
    """Returns how a Redis over TLS is verified: Flower does not read it in the URL. Returns False for other brokers."""
    url = settings.celery_broker_url or settings.redis_url
    if not url.startswith("rediss:"):
        return False
    return {"ssl_cert_reqs": "required"} | {name: value for name, value in split_options(url)[1].items() if name in TLS}


def choose_publishing_options(settings: Settings, seconds: float) -> dict[str, Any]:
    """Returns the time limits of a publisher in a request: a broker that accepts and never answers would block it."""
    if is_amqp(settings):
        return {"read_timeout": seconds, "write_timeout": seconds, "max_retries": 0}
    return _find_by(settings, seconds) | {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "health_check_interval": 25,  # seconds; a question before most messages would only take time
        "max_retries": 0,
    }


def is_amqp(settings: Settings) -> bool:
    """Returns True if the broker is RabbitMQ."""
    return settings.broker_url.startswith(("amqp://", "amqps://"))


def _find_by(settings: Settings, seconds: float) -> dict[str, Any]:
    """Returns how to speak, and which Sentinels to ask for the master: one that is away must not hold up the others."""
    protocol = {"protocol": settings.broker_protocol}
    if not settings.broker_master:
        return protocol
    patience = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    return protocol | {"master_name": settings.broker_master, "sentinel_kwargs": patience | protocol}
