"""URLs over HTTP in the settings. An error never repeats a part of one: there may be a secret in it."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
TOKEN = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{10,}|/bot[0-9]*(?:/|$)|/bot[0-9]+:", re.IGNORECASE)
ENCODE = "a user name or password with /, #, ?, @ or [ in it must be percent-encoded"


def check_http_url(value: str) -> SplitResult:
    """The parts of a URL; raises ValueError unless it is http or https, with a host and nothing after the path."""
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise ValueError(f"is not an http(s) URL: {ENCODE}") from None
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or port == 0:
        raise ValueError("is not an http(s) URL")
    return url


def check_root_url(value: str) -> str:
    """The root that paths are put behind, without a slash at its end; raises ValueError where it holds a secret."""
    url = check_http_url(value)
    if url.username or url.password:
        raise ValueError("must not hold credentials")
    decoded = unquote(unquote(value))
    if TOKEN.search(decoded):
        raise ValueError(
            "must not hold a bot token: give the root alone, the service adds /bot and the token by itself"
        )
    return value.rstrip("/")


def check_proxy_url(value: str) -> str:
    """The URL of a proxy: user, password, host and port; raises ValueError for any other."""
    if check_http_url(value).path not in ("", "/"):
        raise ValueError(f"must be of the form http://[user:password@]host:port: {ENCODE}")
    return value


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine by its very name."""
    return bool(LOOPBACK.fullmatch(host or ""))


def is_readable_by_others(value: str) -> bool:
    """Whether what is sent there goes over a network in plain text."""
    url = urlsplit(value)
    return url.scheme != "https" and not is_loopback(url.hostname)
