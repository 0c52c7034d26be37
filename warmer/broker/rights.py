"""Finds the channels that the ACL of a Redis broker denies: subscribes as Celery's workers and Flower do."""

from __future__ import annotations

from typing import Any

from celery import Celery

from warmer.state.rights import list_denied_patterns


def list_denied_channels(app: Celery) -> tuple[str, ...]:
    """List the missing rights, as `ACL SETUSER` spells them. Raises one of `warmer.broker.publish.BROKER_FAILED`.

    RabbitMQ has no such rights.
    """
    with app.connection_or_acquire() as connection:
        if connection.transport.driver_type != "redis":
            return ()
        channel: Any = connection.default_channel
        return list_denied_patterns(channel.pool, channel.list_patterns())
