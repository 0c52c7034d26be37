"""URLs of Redis and of the broker: what they may say, and how redis-py and kombu are told.

    redis://[user:password@]host[:6379][/0]                   rediss:// over TLS, unix:///path
    redis+cluster://[user:password@]host[:6379],host…         rediss+cluster:// over TLS
    redis+sentinel://[user:password@]host[:26379],host…/master name[/database]
    amqp://user:password@host[:5672]/vhost                    amqps:// over TLS; for the broker alone

The options behind the `?` have one spelling for all of them, redis-py's. An error never repeats a part of the URL: a
password that is not percent-encoded may be anywhere in it. The credentials are the servers'. Sentinels that want a
password of their own are not supported.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from warmer.http_url import ENCODE
from warmer.sources import find_folder

CLUSTER = re.compile(r"(?P<scheme>rediss?\+cluster)://(?:(?P<login>[^@/]*)@)?(?P<hosts>[^@/?#]+)/?")
SENTINELS = re.compile(
    r"(?P<scheme>redis\+sentinel)://(?:(?P<login>[^@/]*)@)?(?P<hosts>[^@/?#]+)"
    r"/(?P<master>[A-Za-z0-9._-]+)(?:/(?P<database>[0-9]+))?"
)
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
PORTS = {"redis+sentinel": 26379}
FORMS = "redis+cluster://host,host or redis+sentinel://host,host/master"
TLS = ("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
# The options of each kind of URL. Time-outs and pools are not among them: each process has its own.
OPTIONS: dict[str, tuple[str, ...]] = {
    "redis": ("db", "protocol"),
    "rediss": ("db", "protocol", *TLS),
    "unix": ("db", "protocol"),
    "redis+cluster": ("protocol",),
    "rediss+cluster": ("protocol", *TLS),
    "redis+sentinel": ("protocol",),
    "amqp": (),
    "amqps": TLS,
}
REDIS = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel")
BROKERS = ("redis", "rediss", "unix", "redis+sentinel", "amqp", "amqps")
VALUES = {
    "db": r"[0-9]{1,5}",
    "protocol": r"[23]",
    "ssl_cert_reqs": r"(CERT_|cert_)?(none|optional|required|NONE|OPTIONAL|REQUIRED)",
    "ssl_check_hostname": r"true|false",
}
# RESP2 does all that is needed here, and old servers and proxies refuse the HELLO that RESP3 begins with.
DEFAULT_PROTOCOL = 2


class Host(NamedTuple):
    """Where to ask first."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """The hosts, the login and the database that the URL of a cluster or of Sentinels names."""

    hosts: tuple[Host, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    is_encrypted: bool = False
    master: str = ""  # of Sentinels; empty for a cluster
    database: int = 0


def check_url(url: str, schemes: tuple[str, ...]) -> None:
    """Raises ValueError for a URL that has another scheme, is malformed, or has an option that is not known."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in (*schemes, "rediss+sentinel"):
        raise ValueError(f"must start with {', '.join(f'{one}://' for one in schemes)}")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    has_place = bool(authority) or scheme in ("unix", "rediss+sentinel")
    # An @ behind the first /, ? or # means that one of these stands in the password; in a socket's path it may.
    is_torn = "@" in rest[len(authority) :] and not (scheme == "unix" and authority[-1:] in ("", "@"))
    if is_torn or "#" in rest:
        raise ValueError(f"is not a URL of this kind: {ENCODE}")
    parse_options(url)
    if parse_place(url) is not None:
        return
    if not has_place or not _is_well_formed(url):
        raise ValueError(f"is not of the form {scheme}://…, with a port from 1 to 65535 or without: {ENCODE}")


def check_redis_url(url: str) -> str:
    """Return the URL if it is valid as REDIS_URL. Raises ValueError."""
    check_url(url, REDIS)
    return url


def check_broker_url(url: str) -> str:
    """Return the URL if it is valid as CELERY_BROKER_URL. Raises ValueError."""
    check_url(url, BROKERS)
    return url


def _is_well_formed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme == "unix":
        return bool(parts.path) and not parts.hostname
    database_or_vhost = r"/?[0-9]{0,5}" if parts.scheme in ("redis", "rediss") else r".*"
    return port != 0 and bool(parts.hostname) and bool(re.fullmatch(database_or_vhost, parts.path))


def parse_options(url: str) -> dict[str, Any]:
    """Return the options behind the `?` as redis-py's arguments. Raises ValueError for an unknown option."""
    scheme, query = url.partition("://")[0], url.partition("?")[2]
    known = OPTIONS.get(scheme, ())
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs) or not set(options) <= set(known) or (query and not pairs):
        has = f"its options are {', '.join(known)}, each once" if known else "it has no options"
        raise ValueError(f"has an option that is not known ({has}): {ENCODE}")
    for name, value in options.items():
        if not re.fullmatch(VALUES.get(name, r".+"), value):
            raise ValueError(f"has a wrong {name}")
        if name not in VALUES and not os.access(find_folder() / value, os.R_OK):
            raise ValueError(f"names a file in {name} that cannot be read")
    return {name: _read_option(name, value) for name, value in options.items()}


def _read_option(name: str, value: str) -> str | int | bool:
    if name in ("db", "protocol"):
        return int(value)
    if name == "ssl_check_hostname":
        return value == "true"
    return value.lower().removeprefix("cert_") if name == "ssl_cert_reqs" else str(find_folder() / value)


def parse_place(url: str) -> Place | None:
    """Return the cluster or the Sentinels that a URL names. Returns None for any other URL.

    Raises ValueError for a malformed one.
    """
    if not re.match(r"rediss?\+(cluster|sentinel):", url):
        return None
    if url.startswith("rediss+sentinel:"):
        raise ValueError("must not be rediss+sentinel://, TLS with Sentinels is not supported (docs/settings.md)")
    place = url.partition("?")[0]
    match = CLUSTER.fullmatch(place) or SENTINELS.fullmatch(place)
    if match is None:
        raise ValueError(f"must be of the form {FORMS}: {ENCODE}")
    parts = match.groupdict()
    user, has_password, password = (parts["login"] or "").partition(":")
    return Place(
        hosts=tuple(_parse_host(host, PORTS.get(parts["scheme"], 6379)) for host in parts["hosts"].split(",")),
        username=unquote(user) or None,
        password=unquote(password) if has_password else None,
        is_encrypted=parts["scheme"].startswith("rediss"),
        master=parts.get("master") or "",
        database=int(parts.get("database") or 0),
    )


def is_cluster(url: str) -> bool:
    """Returns True if the URL names a cluster."""
    place = parse_place(url)
    return place is not None and not place.master


def split_options(url: str) -> tuple[str, dict[str, Any]]:
    """The URL without its options, and these as redis-py's arguments; a database stands in the URL where it can."""
    options, base = parse_options(url), url.partition("?")[0]
    if url.startswith(("redis:", "rediss:")) and "db" in options:
        scheme, _, rest = base.partition("://")
        base = f"{scheme}://{rest.partition('/')[0]}/{options.pop('db')}"
    return base, {"protocol": DEFAULT_PROTOCOL, **options}


def to_kombu_url(url: str) -> str:
    """The broker's URL as kombu spells it.

    It knows Sentinels in another form, unix sockets by another name, and verifies TLS only where it is told to.
    """
    base, options = split_options(url)
    if url.startswith("unix://"):
        return f"redis+socket://{base.removeprefix('unix://')}?virtual_host={options.get('db', 0)}"
    if (place := parse_place(url)) is not None:
        login = base.partition("://")[2].rpartition("@")[0]
        at = f"{login}@" if login else ""
        return ";".join(f"sentinel://{at}{host}/{place.database}" for host in place.hosts)
    if not url.startswith(("rediss:", "amqps:")):
        return base
    tls = {name: str(value) for name, value in options.items() if name in TLS}
    tls["ssl_cert_reqs"] = f"CERT_{tls.get('ssl_cert_reqs', 'required').upper()}"
    return f"{base}?{urlencode(tls)}"


def _parse_host(text: str, port: int) -> Host:
    match = HOST.fullmatch(text)
    number = int(match["port"] or port) if match else 0
    if match is None or not 0 < number < 65_536:
        raise ValueError(f"must name hosts, each with a port from 1 to 65535 or without: {ENCODE}")
    return Host(match["name"].strip("[]"), number)
