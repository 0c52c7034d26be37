"""Stops a start with a server whose certificate is not trusted, before anything is sent to it (Redis, the broker)."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NoReturn
from urllib.parse import urlsplit

from warmer.errors import ConfigError
from warmer.redis_url import Host, parse_options, parse_place
from warmer.settings import Settings

PORTS = {"rediss": 6379, "rediss+cluster": 6379, "amqps": 5671}
CHECK_SECONDS = 3.0  # for all servers together, their names included
ANSWER_SECONDS = 2.0  # for each step of one server
WHERE = "docs/settings.md, Redis and the broker"


def exit_if_untrusted(settings: Settings, *names: str) -> None:
    """The same for the programs: one line, and the end."""
    try:
        check_certificates(settings, *names)
    except ConfigError as error:
        sys.exit(f"avatar-warmer: {error}")


def check_certificates(settings: Settings, *names: str) -> None:
    """Raise ConfigError for a certificate that the URL in one of these settings does not trust; none: in all of them.

    A server that is away, or does not answer within CHECK_SECONDS, is none: it may be back at any time, and every
    client of it verifies again.
    """
    urls = {"REDIS_URL": settings.redis_url, "CELERY_BROKER_URL": settings.celery_broker_url or ""}
    checks: list[tuple[str, Host, ssl.SSLContext]] = []
    for name in names or urls:
        url = urls[name]
        if url.partition("://")[0] not in PORTS:
            continue
        options = parse_options(url)
        context = _make_context(name, url, options)
        if options.get("ssl_cert_reqs") != "none":
            checks += [(name, host, context) for host in _list_hosts(url)]
    _check_all(checks)


def _list_hosts(url: str) -> tuple[Host, ...]:
    if place := parse_place(url):
        return place.hosts
    parts = urlsplit(url)
    return (Host(parts.hostname or "", parts.port or PORTS[parts.scheme]),)


def _make_context(name: str, url: str, options: dict[str, Any]) -> ssl.SSLContext:
    """The context that the URL's client makes: redis-py trusts the file besides the usual ones, py-amqp alone."""

    def refuse_to_ask() -> NoReturn:  # OpenSSL would ask for it on the terminal
        raise ConfigError(f"{name}: names a key that needs a password: ssl_keyfile takes a key without one")

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
    return context


def _check_all(checks: list[tuple[str, Host, ssl.SSLContext]]) -> None:
    """Check all at the same time. A thread whose server does not answer ends later, or with the process."""
    found: SimpleQueue[ConfigError | None] = SimpleQueue()
    for name, host, context in checks:
        Thread(target=lambda *check: found.put(_check(*check)), args=(name, host, context), daemon=True).start()
    deadline = time.monotonic() + CHECK_SECONDS
    with suppress(Empty):
        for _ in checks:
            if error := found.get(timeout=max(0.0, deadline - time.monotonic())):
                raise error


def _check(name: str, host: Host, context: ssl.SSLContext) -> ConfigError | None:
    try:
        with (
            socket.create_connection(host, ANSWER_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host.name),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return ConfigError(f"{name}: does not trust {host}: {error.verify_message} ({WHERE})")
    except (OSError, ValueError):  # a name that no server can have is a ValueError
        return None
