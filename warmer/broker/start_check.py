"""Stops a start whose Redis or broker is not what the URL says: the setting is named, and no time is lost.

A certificate that is not trusted, a server without TLS or with nothing else, another kind of server, a refused login.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

from warmer.broker.greeting import Address, ask_rabbit, ask_redis, ask_sentinel, connect, identify
from warmer.errors import ConfigError
from warmer.keys import Keys
from warmer.log_line import exit_with
from warmer.redis_url import Host, parse_options, parse_place
from warmer.settings import Settings

PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
PLAIN = {"rediss": "redis", "rediss+cluster": "redis+cluster", "amqps": "amqp"}  # the same without TLS
ENCRYPTED = {plain: scheme for scheme, plain in PLAIN.items()}
CHECK_SECONDS = 5.0  # for all servers together, their names included
WANTS_CERTIFICATE = "wants a certificate of the client: name ssl_certfile and ssl_keyfile in the URL"
WHERE = "docs/settings.md, Redis and the broker"
log = logging.getLogger(__name__)


class Untrusted(ConfigError):
    """A certificate that the URL does not trust: one is enough, whatever the other hosts of the URL say."""


class _Server(NamedTuple):
    """One server that a setting names."""

    name: str  # of the setting
    url: str
    address: Address
    context: ssl.SSLContext | None
    prefix: str  # of the keys

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def kind(self) -> str:
        return "RabbitMQ" if self.scheme.startswith("amqp") else "Redis"


def exit_if_wrong_server(settings: Settings, *names: str) -> None:
    """Check the servers in these settings. If one is wrong, end the program with one line."""
    try:
        check_servers(settings, *names)
    except ConfigError as error:
        exit_with(str(error))


def check_servers(settings: Settings, *names: str) -> None:
    """Raise ConfigError if a server is not what the URL in one of these settings says. Without names it checks all."""
    for error in find_wrong_servers(settings, *names):
        raise error


def find_wrong_servers(settings: Settings, *names: str) -> Iterator[ConfigError]:
    """Yield at most one error for each of these settings. Without names it checks all. Raises Untrusted.

    A server that is away, does not answer within CHECK_SECONDS, or says anything unknown stops no start: it may be back
    at any time. Of several hosts in a URL one that passes suffices.
    """
    urls = {"REDIS_URL": settings.redis_url, "CELERY_BROKER_URL": settings.celery_broker_url or ""}
    prefix, servers = Keys(settings.bot_id).prefix, []
    for name in names or urls:
        if url := urls[name]:
            context = _make_context(name, url)
            servers += [_Server(name, url, address, context, prefix) for address in _list_addresses(url)]
    yield from _check_all(servers)


def _list_addresses(url: str) -> tuple[Address, ...]:
    if place := parse_place(url):
        return place.hosts
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return (unquote(parts.path),)
    return (Host(parts.hostname or "", parts.port or PORTS[parts.scheme]),)


def _make_context(name: str, url: str) -> ssl.SSLContext | None:
    """Make the context that the URL's client makes: redis-py trusts the file besides the usual ones, py-amqp alone.

    Returns None if the URL is one without TLS.
    """

    def refuse_to_ask() -> NoReturn:  # OpenSSL would ask for it on the terminal
        raise ConfigError(f"{name}: names a key that needs a password: ssl_keyfile takes a key without one")

    if url.partition("://")[0] not in PLAIN:
        return None
    options = parse_options(url)
    is_amqp, trusted = url.startswith("amqps:"), options.get("ssl_ca_certs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_amqp else ssl.create_default_context()
    try:
        if trusted:
            context.load_verify_locations(trusted)
        elif is_amqp:
            context.load_default_certs()
        if {"ssl_certfile", "ssl_keyfile"} & options.keys():
            context.load_cert_chain(options.get("ssl_certfile", ""), options.get("ssl_keyfile"), refuse_to_ask)
    except (OSError, ValueError):
        raise ConfigError(f"{name}: names a file that holds no certificate or no matching key (PEM)") from None
    context.check_hostname = options.get("ssl_check_hostname", True)
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _check_all(servers: list[_Server]) -> Iterator[ConfigError]:
    """Check all at the same time. A thread whose server does not answer ends later, or with the process.

    No owner could end it sooner: nothing interrupts a thread that looks up the address of a name.
    """
    answers: SimpleQueue[tuple[str, ConfigError | None]] = SimpleQueue()
    for server in servers:
        Thread(
            target=lambda one: answers.put((one.name, _check(one))), args=(server,), name="server-check", daemon=True
        ).start()
    deadline = time.monotonic() + CHECK_SECONDS
    waiting = Counter(server.name for server in servers)
    passed: set[str] = set()  # settings
    with suppress(Empty):
        for _ in servers:
            name, error = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            waiting[name] -= 1
            if isinstance(error, Untrusted):
                raise error
            if error is None:
                passed.add(name)
            elif not waiting[name] and name not in passed:
                yield error


def _check(server: _Server) -> ConfigError | None:
    try:
        wrong = _find_wrong(server)
    except ssl.SSLCertVerificationError as error:
        return Untrusted(f"{server.name}: does not trust {server.address}: {error.verify_message} ({WHERE})")
    except (OSError, ValueError):  # a name that no server can have is a ValueError
        wrong = ""
    except Exception as error:  # noqa: BLE001 - whatever a client does with an odd answer stops no start
        log.warning("%s: the check of %s ended with %s", server.name, server.address, type(error).__name__)
        wrong = ""
    return ConfigError(f"{server.name}: {server.address} {wrong} ({WHERE})") if wrong else None


def _find_wrong(server: _Server) -> str:
    """Returns what is wrong with this server, or "". Raises OSError if it is away, or not trusted."""
    try:
        wrong = ask_rabbit(server.url) if server.kind == "RabbitMQ" else _talk(server)
    except ssl.SSLCertVerificationError:
        raise
    except OSError as error:
        wrong = WANTS_CERTIFICATE if "CERTIFICATE_REQUIRED" in str(error) else None
    return _name_other(server) if wrong is None else wrong


def _talk(server: _Server) -> str | None:
    """Returns what Redis or a Sentinel says is wrong, or "". Returns None if it is neither. Raises OSError."""
    place = parse_place(server.url)
    with connect(server.address) as plain, _encrypt(server, plain) as connection:
        if place is None or not place.master:
            return ask_redis(connection, server.url, server.prefix)
        master = ask_sentinel(connection, place.master)
    if not isinstance(master, Host):
        return master
    with connect(master) as to_master:
        wrong = ask_redis(to_master, server.url, server.prefix)
    return f"leads to {master}, which {wrong}" if wrong else ""


def _encrypt(server: _Server, plain: socket.socket) -> socket.socket:
    if server.context is None or isinstance(server.address, str):
        return plain
    return server.context.wrap_socket(plain, server_hostname=server.address.name)


def _name_other(server: _Server) -> str:
    """Returns words for what speaks there instead, or "" if that is unknown. Raises OSError."""
    found, scheme = identify(server.address), server.scheme
    if found == "TLS":
        if scheme in PLAIN:
            return ""
        use = f"write {ENCRYPTED[scheme]}:// instead of {scheme}://" if scheme in ENCRYPTED else "not supported here"
        return f"speaks TLS alone: {use}"
    if found == server.kind:
        return f"does not speak TLS: write {PLAIN[scheme]}:// instead of {scheme}://" if scheme in PLAIN else ""
    return f"is {found}, not {server.kind}" if found else ""
