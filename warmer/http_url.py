"""HTTP URLs in the settings, and the secret of the webhook. An error repeats no part of one: it may hold a secret."""

from __future__ import annotations

import re
import ssl
from binascii import a2b_base64
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, SecretStr, ValidationInfo

from warmer.sources import find_folder

HOST = r"^([A-Za-z0-9._-]+|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?)$"  # to listen at
LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
TOKEN = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{10,}|/bot[0-9]*(?:/|$)|/bot[0-9]+:", re.IGNORECASE)
ORIGIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
NAT64 = IPv6Network("64:ff9b::/96")  # an IPv4 address ends it (RFC 6052)
ENCODE = "a user name or password with /, #, ?, @ or [ in it must be percent-encoded"


def check_http_url(value: str) -> SplitResult:
    """Return the parts of an http(s) URL with a host and nothing after the path. Raises ValueError for any other."""
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
    """Return a root without a slash at its end, or nothing. Raises ValueError if it holds credentials or a token."""
    if not value:
        return value
    url = check_http_url(value)
    if url.username or url.password:
        raise ValueError("must not hold credentials")
    if TOKEN.search(unquote(unquote(value))):
        raise ValueError("must not hold a bot token: give the root alone, the service adds /bot and the token to it")
    return value.rstrip("/")


def check_public_url(value: str) -> str:
    """Return the root that browsers see. Raises ValueError also if a srcset or a header cannot hold it."""
    if value and not re.fullmatch(r"[a-z]+://[A-Za-z0-9._:\[\]-]+(/[!-~]*)?", check_root_url(value)):
        raise ValueError("must be ASCII without spaces: write an international name as xn--…, other characters as %XX")
    return check_root_url(value)


def parse_origin(value: str) -> str:
    """Return the origin as browsers send it: without the default port, an IPv6 address at its shortest.

    Raises ValueError if no browser sends it.
    """
    try:
        url = urlsplit(value)
        port, host = url.port, url.hostname or ""
        host = f"[{ip_address(host)}]" if ":" in host else host
    except ValueError:
        port, host = 0, ""
    if not ORIGIN.fullmatch(value) or not host or port == 0:
        raise ValueError("must name origins such as https://app.example.org, an international name as xn--…")
    is_default = port in (None, 443 if url.scheme == "https" else 80)
    return f"{url.scheme}://{host}" + ("" if is_default else f":{port}")


def check_proxy_url(value: SecretStr) -> SecretStr:
    """Return the URL of an HTTP proxy, maybe with a login. Raises ValueError for any other URL."""
    if check_http_url(value.get_secret_value()).path not in ("", "/"):
        raise ValueError(f"must be of the form http://[user:password@]host:port: {ENCODE}")
    return value


def check_telegram_url(value: str, info: ValidationInfo) -> str:
    """Return the root of a server that gets the bot token. Raises ValueError if others can read it on the way."""
    if value and is_sent_in_plain_text(check_root_url(value)) and not info.data.get("telegram_allow_http"):
        raise ValueError("must be https, the bot token travels in it (http: on loopback, or TELEGRAM_ALLOW_HTTP=true)")
    return check_root_url(value)


def check_webhook_url(value: str, info: ValidationInfo) -> str:
    """Return the URL of the receiver of events: https, or http on loopback. Raises ValueError for any other URL."""
    if not re.fullmatch(r"[!\"$-~]+", value):
        raise ValueError("must be ASCII, without spaces and without a #")
    url = check_http_url(value.partition("?")[0])
    if url.username or url.password:
        raise ValueError("must not hold credentials: the signature says who sends the events")
    if is_sent_in_plain_text(value):
        raise ValueError("must be https, file ids and signed URLs travel to it (http: on loopback)")
    may_be_private = info.data.get("webhook_allow_private") or is_loopback(url.hostname)
    if not may_be_private and is_private(url.hostname or ""):
        raise ValueError("is a private address: set WEBHOOK_ALLOW_PRIVATE=true if you mean it")
    return value


def check_webhook_secrets(value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
    """Check the webhook's secrets (`whsec_…` of Standard Webhooks). Raises ValueError if one is missing or wrong."""
    if info.data.get("webhook_url") and not value:
        raise ValueError("is missing, WEBHOOK_URL needs it")
    for secret in value:
        try:
            key = a2b_base64(secret.get_secret_value().removeprefix("whsec_"), strict_mode=True)
        except ValueError:
            key = b""
        if not 24 <= len(key) <= 64:
            raise ValueError("must be whsec_ and the base64 of 24 to 64 random bytes")
    return value


def check_certificates(path: Path) -> Path:
    """Return a file of trusted certificates. Raises ValueError if it holds none in PEM form."""
    found = find_folder() / path
    try:
        ssl.create_default_context(cafile=found)
    except (OSError, ValueError):
        raise ValueError("is not a readable file of certificates in PEM form") from None
    return found


def is_loopback(host: str | None) -> bool:
    """Returns True if the host's name stands for this machine."""
    return bool(LOOPBACK.fullmatch(host or ""))


def is_public(host: str) -> bool:
    """Returns True if the host is an address that a machine on the internet may have, and False for a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if inside := address.ipv4_mapped or (IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 else None):
            return is_public(str(inside))
        tunnels = (address.sixtofour, *(address.teredo or ()))
        if address.is_site_local or any(one is not None and not is_public(str(one)) for one in tunnels):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_private(host: str) -> bool:
    """Returns True if the host is an address, as opposed to a name, that is not public."""
    return (":" in host or bool(re.fullmatch(r"[0-9.]+", host))) and not is_public(host)


def is_sent_in_plain_text(value: str) -> bool:
    """Returns True if requests to this URL cross a network unencrypted."""
    url = urlsplit(value)
    return url.scheme != "https" and not is_loopback(url.hostname)


TelegramUrl = Annotated[str, AfterValidator(check_telegram_url)]
WebhookUrl = Annotated[str, AfterValidator(check_webhook_url)]
WebhookSecrets = Annotated[tuple[SecretStr, ...], AfterValidator(check_webhook_secrets)]
Origin = Annotated[str, AfterValidator(parse_origin)]
PublicUrl = Annotated[str, AfterValidator(check_public_url)]
ProxyUrl = Annotated[SecretStr, AfterValidator(check_proxy_url)]
CertificatesFile = Annotated[Path, AfterValidator(check_certificates)]
