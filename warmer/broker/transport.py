"""The connection to the broker: it reconnects soon after an outage, and keeps its Redis client between commands."""

from __future__ import annotations

import select
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import AMQPError
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES, pyamqp
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError

from warmer.redis_url import DEFAULT_PROTOCOL, TLS

# Exchange and routing key of what is told to every worker, and of what every worker tells.
BROADCASTS = (("celery.pidbox", ""), ("celeryev", "*"))


class _Lean:
    """A channel that keeps its client, survives its connection, and speaks the protocol that it is told.

    kombu makes one for every command outside the consumer's loop, four for each task. Making one builds redis-py's
    table of some hundred callbacks: a sixth of a worker's time.
    """

    protocol = DEFAULT_PROTOCOL

    def _create_client(self, asynchronous: bool = False) -> Any:
        clients: dict[bool, Any] = vars(self).setdefault("_clients", {})
        pool = self.async_pool if asynchronous else self.pool  # type: ignore[attr-defined]  # of the channel
        if asynchronous not in clients or clients[asynchronous].connection_pool is not pool:  # after a reconnect
            clients[asynchronous] = super()._create_client(asynchronous)  # type: ignore[misc]  # of the channel
        return clients[asynchronous]

    def _connparams(self, asynchronous: bool = False) -> Any:
        # kombu fails with an AttributeError here, which ends a worker whose broker went away while it had tasks.
        if self.connection is None or self.connection.client is None:  # type: ignore[attr-defined]  # of the channel
            raise ConnectionError("the connection of this channel is closed")
        params = super()._connparams(asynchronous)  # type: ignore[misc]  # of the channel
        return params | {"protocol": self.protocol}

    def list_patterns(self) -> list[str]:
        """List the channels that workers and Flower subscribe to, as the ACL of Redis has to spell them."""
        found: list[str] = []
        for exchange, routing_key in BROADCASTS:
            found += self._get_publish_topics(exchange, routing_key)  # type: ignore[attr-defined]  # of the channel
        return [f"{self.global_keyprefix}{topic}" for topic in found]  # type: ignore[attr-defined]  # of the channel


class LeanChannel(_Lean, kombu_redis.Channel):
    """Of one server."""

    from_transport_options = (*kombu_redis.Channel.from_transport_options, "protocol")


class LeanSentinelChannel(_Lean, kombu_redis.SentinelChannel):
    """Of the server that Sentinels name."""

    from_transport_options = (*kombu_redis.SentinelChannel.from_transport_options, "protocol")


class LeanTransport(kombu_redis.Transport):
    """The Redis transport with such channels."""

    Channel = LeanChannel


class LeanSentinelTransport(kombu_redis.SentinelTransport):
    """The transport of a Redis that Sentinels name, with such channels."""

    Channel = LeanSentinelChannel


class VerifiedTransport(pyamqp.SSLTransport):
    """RabbitMQ over TLS. py-amqp spells the options in another way, and ignores the host's name unless it is given."""

    def __init__(self, client: Connection, **options: Any) -> None:
        client.ssl = _for_amqp(client.ssl if isinstance(client.ssl, dict) else {}, client.hostname or "")
        super().__init__(client, **options)


# By the registry, because the connections of kombu's pools are of a class of its own.
TRANSPORTS = {
    "redis": LeanTransport,
    "rediss": LeanTransport,
    "sentinel": LeanSentinelTransport,
    "amqps": VerifiedTransport,
}
TRANSPORT_ALIASES.update({scheme: f"{__name__}:{transport.__name__}" for scheme, transport in TRANSPORTS.items()})


class EagerConnection(Connection):
    """A connection that reconnects soon after its broker is back.

    Celery's consumer backs off up to 30 s and takes no setting for it: after 20 s without a broker a worker was
    9 to 10 s late. Half a second to a second costs nothing and ends that.
    """

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.update(interval_start=0.5, interval_step=0.5, interval_max=1)
        return super().ensure_connection(*args, **kwargs)


def _for_amqp(options: dict[str, Any], hostname: str) -> dict[str, Any]:
    """Returns the options of TLS as py-amqp spells them. Those that are spelled so already stay as they are."""
    if not options.keys() <= set(TLS):
        return options
    tls = {name.removeprefix("ssl_"): value for name, value in options.items()}
    if tls.pop("check_hostname", True) and tls.get("cert_reqs") != ssl.CERT_NONE:
        tls["server_hostname"] = hostname
    return tls


def open_anew_if_over(connection: Connection) -> None:
    """Leave a resting connection that RabbitMQ has closed meanwhile, so that its next use opens another.

    Its first use would fail after every restart of the broker. At rest nothing but its end makes it readable, apart
    from heartbeats: after those a new one does no harm. kombu's Redis looks after its own.
    """
    if connection.connected and connection.transport.driver_type == "amqp":
        at_rest = select.poll()
        at_rest.register(connection.connection.sock, select.POLLIN)
        if at_rest.poll(0):
            connection.collect()


@contextmanager
def cut_when_it_fails(connection: Connection) -> Iterator[None]:
    """Cut a connection to RabbitMQ that has failed: closing it in order would wait for the silent server twice more."""
    try:
        yield
    except (AMQPError, OSError):
        if connection.connected and connection.transport.driver_type == "amqp":
            connection.connection.collect()
        raise
