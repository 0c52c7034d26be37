"""Stops a start with a server whose certificate is not trusted, before anything is sent to it (Redis, the broker)."""

from __future__ import annotations

import socket
import ssl
import sys
from typing import Any
from urllib.parse import urlsplit

from warmer.errors import ConfigError
from warmer.redis_url import Host, parse_options, parse_place
from warmer.settings import Settings

PORTS = {"rediss": 6379, "rediss+cluster": 6379, "amqps": 5671}
ANSWER_SECONDS = 2.0
WHERE = "docs/settings.md, Redis and the broker"


def exit_if_untrusted(settings: Settings, *names: str) -> None:
    """The same for the programs: one line, and the end."""
    try:
        check_certificates(settings, *names)
    except ConfigError as error:
        sys.exit(f"avatar-warmer: {error}")


def check_certificates(settings: Settings, *names: str) -> None:
    """Raise ConfigError for a certificate that the URL in one of these settings does not trust; none: in all of them.

    A server that is away is none: it may be back at any time, and every client of it verifies again.
    """
    urls = {"REDIS_URL": settings.redis_url, "CELERY_BROKER_URL": settings.celery_broker_url or ""}
    for name in names or urls:
        url = urls[name]
        if url.partition("://")[0] not in PORTS:
            continue
        options = parse_options(url)
        if options.get("ssl_cert_reqs") != "none":
            _check_each(name, _list_hosts(url), _make_context(name, options))


def _list_hosts(url: str) -> tuple[Host, ...]:
    if place := parse_place(url):
        return place.hosts
    parts = urlsplit(url)
    return (Host(parts.hostname or "", parts.port or PORTS[parts.scheme]),)


def _make_context(name: str, options: dict[str, Any]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        if "ssl_certfile" in options:
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    except ssl.SSLError:
        raise ConfigError(f"{name}: names a file that holds no certificate or no matching key (PEM)") from None
    context.check_hostname = options.get("ssl_check_hostname", True)
    return context


def _check_each(name: str, hosts: tuple[Host, ...], context: ssl.SSLContext) -> None:
    for host in hosts:
        try:
            with (
                socket.create_connection(host, ANSWER_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=host.name),
            ):
                pass
        except ssl.SSLCertVerificationError as error:
            raise ConfigError(f"{name}: does not trust {host}: {error.verify_message} ({WHERE})") from None
        except OSError:
            continue
