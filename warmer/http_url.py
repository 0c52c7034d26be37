"""HTTP URLs in the settings. An error never repeats a part of one: it may hold a secret."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, SecretStr

from warmer.sources import find_folder

HOST = r"^([A-Za-z0-9._-]+|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?)$"  # to listen at
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
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        raise ValueError("is not an http(s) URL, such as https://host or https://host/path")
    if "?" in value or "#" in value:
        raise ValueError("must end with the host, the port or the path: remove the ? or # and what follows")
    return url


def check_root_url(value: str) -> str:
    """A root without a slash at its end, or nothing; raises ValueError if it holds credentials or a token."""
    if not value:
        return value
    url = check_http_url(value)
    if url.username or url.password:
        raise ValueError("must not hold credentials")
    if TOKEN.search(unquote(unquote(value))):
        raise ValueError("must not hold a bot token: give the root alone, the service adds /bot and the token to it")
    return value.rstrip("/")


def check_public_url(value: str) -> str:
    """The same for the address that browsers see; raises ValueError if a srcset or a header cannot hold it."""
    if value and not re.fullmatch(r"[a-z]+://[A-Za-z0-9._:\[\]-]+(/[!-~]*)?", check_root_url(value)):
        raise ValueError("must be ASCII without spaces: write an international name as xn--…, other characters as %XX")
    return check_root_url(value)


def check_proxy_url(value: SecretStr) -> SecretStr:
    """The URL of an HTTP proxy, maybe with a login; raises ValueError for any other URL."""
    if check_http_url(value.get_secret_value()).path not in ("", "/"):
        raise ValueError(f"must be of the form http://[user:password@]host:port: {ENCODE}")
    return value


def check_certificates(path: Path) -> Path:
    """A file of trusted certificates; raises ValueError if it holds none in PEM form."""
    found = find_folder() / path
    try:
        ssl.create_default_context(cafile=found)
    except (OSError, ValueError):
        raise ValueError("is not a readable file of certificates in PEM form") from None
    return found


def is_loopback(host: str | None) -> bool:
    """Whether the host's name stands for this machine."""
    return bool(LOOPBACK.fullmatch(host or ""))


def is_sent_in_plain_text(value: str) -> bool:
    """Whether requests to this URL cross a network unencrypted."""
    url = urlsplit(value)
    return url.scheme != "https" and not is_loopback(url.hostname)


RootUrl = Annotated[str, AfterValidator(check_root_url)]
PublicUrl = Annotated[str, AfterValidator(check_public_url)]
ProxyUrl = Annotated[SecretStr, AfterValidator(check_proxy_url)]
CertificatesFile = Annotated[Path, AfterValidator(check_certificates)]
